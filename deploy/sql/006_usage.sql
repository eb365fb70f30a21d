-- How many bytes are stored, of each user, in all and by day. Safe to run twice: what is stored already is counted the first
-- time only.
--
-- Triggers on reelbus.video count, in the transaction that changes the row. So whoever changes it, and however often the same
-- outcome is written, the sums are those of the rows.

CREATE TABLE IF NOT EXISTS reelbus.usage (
    store   text NOT NULL,
    bucket  text NOT NULL,
    user_id text NOT NULL,
    bytes   bigint NOT NULL DEFAULT 0,
    videos  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (store, bucket, user_id)
);
COMMENT ON TABLE reelbus.usage IS 'What is stored now, by user; of videos without one the user_id is empty.';

CREATE TABLE IF NOT EXISTS reelbus.usage_in_all (
    store  text NOT NULL,
    bucket text NOT NULL,
    part   smallint NOT NULL,
    bytes  bigint NOT NULL DEFAULT 0,
    videos bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (store, bucket, part)
);
COMMENT ON TABLE reelbus.usage_in_all IS 'What is stored now in all: the sum over the parts. They are so many so that one transaction seldom waits for another.';

CREATE TABLE IF NOT EXISTS reelbus.usage_day (
    store  text NOT NULL,
    bucket text NOT NULL,
    day    date NOT NULL,
    part   smallint NOT NULL,
    bytes  bigint NOT NULL DEFAULT 0,
    videos bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (store, bucket, day, part)
);
COMMENT ON TABLE reelbus.usage_day IS 'What has come on each day (UTC), less what has gone: the growth.';

ALTER TABLE reelbus.video
    ADD COLUMN IF NOT EXISTS held_bytes  bigint,
    ADD COLUMN IF NOT EXISTS held_store  text,
    ADD COLUMN IF NOT EXISTS held_bucket text,
    ADD COLUMN IF NOT EXISTS held_at     timestamptz,
    ADD COLUMN IF NOT EXISTS spilled     boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS variants_bytes bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN reelbus.video.held_bytes IS 'Announced length while the video is being stored: room that is not free any more. It counts under state processing, for a day after held_at.';
COMMENT ON COLUMN reelbus.video.variants_bytes IS 'Of thumbnail and spritesheet together; they count as the video''s.';
COMMENT ON COLUMN reelbus.video.spilled IS 'It goes to the fallback store, and stays there.';

CREATE INDEX IF NOT EXISTS video_held ON reelbus.video (held_store, held_bucket)
    WHERE state = 'processing' AND held_bytes IS NOT NULL;

-- Always in this order: user, all, day. Transactions that change one video each, as all of reelbus' own do, never wait in a circle
-- then. Who changes many in one transaction may meet another who does: Postgres ends one of the two (40P01), to be done again.
-- Those who change rows by hand in great numbers do well to go in the order of user_id, or to lock the table first.
CREATE OR REPLACE FUNCTION reelbus.add_usage(at_store text, at_bucket text, of_user text, more_bytes bigint, more_videos bigint)
    RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = ''
AS $$
DECLARE
    my_part smallint := pg_backend_pid() % 16;
BEGIN
    INSERT INTO reelbus.usage AS u VALUES (at_store, at_bucket, of_user, more_bytes, more_videos)
    ON CONFLICT (store, bucket, user_id) DO UPDATE SET
        bytes = u.bytes + excluded.bytes, videos = u.videos + excluded.videos;
    INSERT INTO reelbus.usage_in_all AS a VALUES (at_store, at_bucket, my_part, more_bytes, more_videos)
    ON CONFLICT (store, bucket, part) DO UPDATE SET
        bytes = a.bytes + excluded.bytes, videos = a.videos + excluded.videos;
    INSERT INTO reelbus.usage_day AS d
    VALUES (at_store, at_bucket, (now() AT TIME ZONE 'UTC')::date, my_part, more_bytes, more_videos)
    ON CONFLICT (store, bucket, day, part) DO UPDATE SET
        bytes = d.bytes + excluded.bytes, videos = d.videos + excluded.videos;
END;
$$;

CREATE OR REPLACE FUNCTION reelbus.note_usage() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = ''
AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state = 'stored' THEN
        PERFORM reelbus.add_usage(coalesce(OLD.store, ''), coalesce(OLD.bucket, ''), coalesce(OLD.user_id, ''),
                                  -coalesce(OLD.bytes, 0) - OLD.variants_bytes, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state = 'stored' THEN
        PERFORM reelbus.add_usage(coalesce(NEW.store, ''), coalesce(NEW.bucket, ''), coalesce(NEW.user_id, ''),
                                  coalesce(NEW.bytes, 0) + NEW.variants_bytes, 1);
    END IF;
    RETURN NULL;
END;
$$;

-- Count anew what the rows say, should anybody doubt the sums; nobody can store meanwhile. Of days, what was stored on them and
-- is still there.
CREATE OR REPLACE FUNCTION reelbus.recount_usage() RETURNS void
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
BEGIN
    LOCK TABLE reelbus.video IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM reelbus.usage;
    DELETE FROM reelbus.usage_in_all;
    DELETE FROM reelbus.usage_day;
    INSERT INTO reelbus.usage (store, bucket, user_id, bytes, videos)
        SELECT coalesce(store, ''), coalesce(bucket, ''), coalesce(user_id, ''), sum(coalesce(bytes, 0) + variants_bytes), count(*)
        FROM reelbus.video WHERE state = 'stored' GROUP BY 1, 2, 3;
    INSERT INTO reelbus.usage_in_all (store, bucket, part, bytes, videos)
        SELECT store, bucket, 0, sum(bytes), sum(videos) FROM reelbus.usage GROUP BY 1, 2;
    INSERT INTO reelbus.usage_day (store, bucket, day, part, bytes, videos)
        SELECT coalesce(store, ''), coalesce(bucket, ''), (coalesce(stored_at, now()) AT TIME ZONE 'UTC')::date, 0,
               sum(coalesce(bytes, 0) + variants_bytes), count(*)
        FROM reelbus.video WHERE state = 'stored' GROUP BY 1, 2, 3;
END;
$$;

-- Triggers and the first count in one statement: nothing is stored between them.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'reelbus.video'::regclass AND tgname = 'video_usage_changed') THEN
        LOCK TABLE reelbus.video IN SHARE ROW EXCLUSIVE MODE;
        CREATE OR REPLACE TRIGGER video_usage_came AFTER INSERT ON reelbus.video
            FOR EACH ROW WHEN (NEW.state = 'stored') EXECUTE FUNCTION reelbus.note_usage();
        CREATE OR REPLACE TRIGGER video_usage_went AFTER DELETE ON reelbus.video
            FOR EACH ROW WHEN (OLD.state = 'stored') EXECUTE FUNCTION reelbus.note_usage();
        CREATE OR REPLACE TRIGGER video_usage_changed AFTER UPDATE OF state, bytes, variants_bytes, store, bucket, user_id ON reelbus.video
            FOR EACH ROW WHEN ((OLD.state = 'stored' OR NEW.state = 'stored')
                AND (OLD.state, OLD.bytes, OLD.variants_bytes, OLD.store, OLD.bucket, OLD.user_id)
                    IS DISTINCT FROM (NEW.state, NEW.bytes, NEW.variants_bytes, NEW.store, NEW.bucket, NEW.user_id))
            EXECUTE FUNCTION reelbus.note_usage();
        PERFORM reelbus.recount_usage();
    END IF;
END $$;

-- Is there room for a video that a worker has claimed? When there is, its bytes are held for it, in the one transaction in which
-- the room was looked at; so workers that ask at the same time do not get the same room. With 0 bytes, while nobody knows how many
-- will come, nothing is held: there is room as long as the mark is not reached. A mark that is null is none.
--
-- verdict: fits, over_user, over_all, or lost, when the claim is no longer the worker's. user_bytes and all_bytes are what is
-- stored or held, without this video. With spill, what does not fit is noted down for the fallback store.
CREATE OR REPLACE FUNCTION reelbus.weigh(video uuid, claim bigint, at_store text, at_bucket text, more_bytes bigint,
                                         user_mark bigint, all_mark bigint, spill boolean,
                                         OUT verdict text, OUT user_bytes bigint, OUT all_bytes bigint)
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
DECLARE
    of_user text;
BEGIN
    IF more_bytes > 0 THEN
        PERFORM pg_advisory_xact_lock(hashtext('reelbus.weigh'), hashtext(at_store || '/' || at_bucket));
        PERFORM set_config('synchronous_commit', 'off', true); -- what is held after a crash of Postgres is weighed again
    END IF;
    SELECT coalesce(v.user_id, '') INTO of_user FROM reelbus.video v
        WHERE v.video_id = video AND v.claim_epoch = claim AND v.state = 'processing';
    IF NOT FOUND THEN
        verdict := 'lost';
        RETURN;
    END IF;
    SELECT coalesce(sum(v.held_bytes), 0), coalesce(sum(v.held_bytes) FILTER (WHERE coalesce(v.user_id, '') = of_user), 0)
        INTO all_bytes, user_bytes FROM reelbus.video v
        WHERE v.state = 'processing' AND v.held_bytes IS NOT NULL AND v.held_store = at_store AND v.held_bucket = at_bucket
          AND v.held_at > now() - interval '1 day' AND v.video_id <> video;
    user_bytes := user_bytes + coalesce((SELECT u.bytes FROM reelbus.usage u
        WHERE u.store = at_store AND u.bucket = at_bucket AND u.user_id = of_user), 0);
    all_bytes := all_bytes + coalesce((SELECT sum(a.bytes) FROM reelbus.usage_in_all a
        WHERE a.store = at_store AND a.bucket = at_bucket), 0);
    verdict := CASE
        WHEN all_bytes + greatest(more_bytes, 1) > all_mark THEN 'over_all'
        WHEN user_bytes + greatest(more_bytes, 1) > user_mark THEN 'over_user'
        ELSE 'fits'
    END;
    IF verdict = 'fits' AND more_bytes > 0 THEN
        UPDATE reelbus.video v SET held_bytes = more_bytes, held_store = at_store, held_bucket = at_bucket, held_at = now()
            WHERE v.video_id = video AND v.claim_epoch = claim;
    ELSIF verdict <> 'fits' AND spill THEN
        UPDATE reelbus.video v SET spilled = true, held_bytes = NULL WHERE v.video_id = video AND v.claim_epoch = claim;
    END IF;
END;
$$;
COMMENT ON FUNCTION reelbus.weigh IS 'Is there room for this video? Holds it when there is.';
