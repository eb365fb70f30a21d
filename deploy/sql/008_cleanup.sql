-- Videos that make room for newer ones, or go for another reason. Safe to run twice.
--
-- The row goes first: one statement makes it 'deleted', gives the application its original URL back, and corrects the sums. Then
-- the event is sent and the object removed. Until both are done deleting_since is set, so that what a killed worker has left
-- half done is found and finished by another.

ALTER TABLE reelbus.video
    ADD COLUMN IF NOT EXISTS deleted_at     timestamptz,
    ADD COLUMN IF NOT EXISTS delete_reason  text,
    ADD COLUMN IF NOT EXISTS deleting_since timestamptz;
COMMENT ON COLUMN reelbus.video.delete_reason IS 'As in the event video.deleted: quota, for example.';
COMMENT ON COLUMN reelbus.video.deleting_since IS 'Since when a worker is removing the object and announcing that; null: done. After five minutes another takes over.';

CREATE INDEX IF NOT EXISTS video_deleting ON reelbus.video (deleting_since) WHERE deleting_since IS NOT NULL;
CREATE INDEX IF NOT EXISTS video_oldest ON reelbus.video (store, bucket, stored_at) WHERE state = 'stored';
CREATE INDEX IF NOT EXISTS video_oldest_of_user ON reelbus.video (store, bucket, (coalesce(user_id, '')), stored_at)
    WHERE state = 'stored';

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'reelbus.history'::regclass AND conname = 'history_what'
                   AND pg_get_constraintdef(oid) LIKE '%deleted%') THEN
        ALTER TABLE reelbus.history DROP CONSTRAINT IF EXISTS history_what;
        ALTER TABLE reelbus.history ADD CONSTRAINT history_what CHECK (what IN
            ('expected', 'received', 'polled', 'claimed', 'try_failed', 'stored', 'failed', 'announced', 'deleted')) NOT VALID;
    END IF;
END $$;

-- What is stored, and what room is held for, of all (of_user null) or of one user; without one video.
CREATE OR REPLACE FUNCTION reelbus.used_bytes(at_store text, at_bucket text, of_user text, but_video uuid) RETURNS bigint
    LANGUAGE sql
    SET search_path = ''
AS $$
    SELECT (coalesce((SELECT sum(v.held_bytes) FROM reelbus.video v
            WHERE v.state = 'processing' AND v.held_bytes IS NOT NULL AND v.held_store = at_store AND v.held_bucket = at_bucket
              AND v.held_at > now() - interval '1 day' AND v.video_id <> but_video
              AND (of_user IS NULL OR coalesce(v.user_id, '') = of_user)), 0)
        + CASE WHEN of_user IS NULL
            THEN coalesce((SELECT sum(a.bytes) FROM reelbus.usage_in_all a
                WHERE a.store = at_store AND a.bucket = at_bucket), 0)
            ELSE coalesce((SELECT u.bytes FROM reelbus.usage u
                WHERE u.store = at_store AND u.bucket = at_bucket AND u.user_id = of_user), 0)
        END)::bigint
$$;

-- Which video must go next, so that there is room for another one, and no more than the low mark is used? Of the same user, or
-- of all. Asked again after each one, by one worker at a time: no more go than must.
--
-- verdict: room, when none must go (any more); next, with the oldest; none, when it would be in vain: it fits not even then, all
-- that are left are too young, or so many are being removed already that the store seems to keep them.
CREATE OR REPLACE FUNCTION reelbus.next_to_delete(video uuid, at_store text, at_bucket text, more_bytes bigint, of_its_user boolean,
                                                  stop_mark bigint, low_mark bigint, safe_ms bigint, at_once bigint,
                                                  OUT verdict text, OUT oldest uuid)
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
DECLARE
    looked_at CONSTANT bigint := 1000; -- what is older is enough to decide by
    of_user   text;
    new_bytes bigint := greatest(more_bytes, 1);
    old_until timestamptz := now() - safe_ms * interval '1 millisecond';
    used      bigint;
    old_bytes bigint;
    old_count bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('reelbus.cleanup'), hashtext(at_store || '/' || at_bucket));
    IF of_its_user THEN
        SELECT coalesce(v.user_id, '') INTO of_user FROM reelbus.video v WHERE v.video_id = video;
        IF NOT FOUND THEN
            verdict := 'none'; -- without a user it would be all
            RETURN;
        END IF;
    END IF;
    used := reelbus.used_bytes(at_store, at_bucket, of_user, video);
    IF used <= low_mark AND used + new_bytes <= stop_mark THEN
        verdict := 'room';
        RETURN;
    END IF;
    SELECT count(*), coalesce(sum(o.bytes), 0) INTO old_count, old_bytes FROM
        (SELECT coalesce(v.bytes, 0) + v.variants_bytes AS bytes FROM reelbus.video v
         WHERE v.state = 'stored' AND v.store = at_store AND v.bucket = at_bucket AND v.stored_at < old_until
           AND (of_user IS NULL OR coalesce(v.user_id, '') = of_user)
         ORDER BY v.stored_at LIMIT looked_at) AS o;
    IF new_bytes <= stop_mark AND (old_count = looked_at OR used - old_bytes + new_bytes <= stop_mark)
       AND (SELECT count(*) FROM reelbus.video v
            WHERE v.deleting_since IS NOT NULL AND v.store = at_store AND v.bucket = at_bucket) < at_once THEN
        SELECT v.video_id INTO oldest FROM reelbus.video v
            WHERE v.state = 'stored' AND v.store = at_store AND v.bucket = at_bucket AND v.stored_at < old_until
              AND (of_user IS NULL OR coalesce(v.user_id, '') = of_user)
            ORDER BY v.stored_at LIMIT 1 FOR UPDATE SKIP LOCKED;
    END IF;
    verdict := CASE WHEN oldest IS NOT NULL THEN 'next' WHEN used + new_bytes <= stop_mark THEN 'room' ELSE 'none' END;
END;
$$;
COMMENT ON FUNCTION reelbus.next_to_delete IS 'Which video must go so that there is room for this one?';
