-- Videos that go because of a rule of the operator's: too old, too much of one user, too much in all. Safe to run twice.
--
-- Each store (kind and bucket) is looked at by itself. Oldest first; nothing that is younger than the safety age.

CREATE TABLE IF NOT EXISTS reelbus.lease (
    name     text PRIMARY KEY,
    holder   text NOT NULL,
    until    timestamptz NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
COMMENT ON TABLE reelbus.lease IS 'Who does what only one of all workers is to do. A row and no lock of a session: behind a pooler a session is nobody''s.';
COMMENT ON COLUMN reelbus.lease.until IS 'Moved on while the holder works; when it is past, the holder has died.';
COMMENT ON COLUMN reelbus.lease.ended_at IS 'When the holder was through; null: it is not yet.';

-- Which videos are due by a rule: 'age', 'user' or 'total'. A limit of 0 is none. Changes nothing, locks nothing.
CREATE OR REPLACE FUNCTION reelbus.due_to_go(rule text, at_store text, at_bucket text, age_ms bigint, user_bytes bigint,
                                             user_videos bigint, all_bytes bigint, low_bytes bigint, safe_ms bigint, at_most bigint)
    RETURNS TABLE (due uuid, due_bytes bigint, due_user text)
    LANGUAGE plpgsql
    ROWS 100
    SET search_path = ''
AS $$
DECLARE
    old_until timestamptz := now() - safe_ms * interval '1 millisecond';
    used      bigint;
BEGIN
    IF rule = 'age' AND age_ms > 0 THEN
        RETURN QUERY SELECT v.video_id, coalesce(v.bytes, 0) + v.variants_bytes, coalesce(v.user_id, '') FROM reelbus.video v
            WHERE v.state = 'stored' AND v.store = at_store AND v.bucket = at_bucket
              AND v.stored_at < least(old_until, now() - age_ms * interval '1 millisecond')
            ORDER BY v.stored_at LIMIT at_most;
    ELSIF rule = 'user' THEN
        RETURN QUERY SELECT o.video_id, o.bytes, u.user_id FROM reelbus.usage u CROSS JOIN LATERAL
            (SELECT i.video_id, i.stored_at, i.bytes, sum(i.bytes) OVER w AS bytes_with, count(*) OVER w AS videos_with FROM
                (SELECT v.video_id, v.stored_at, coalesce(v.bytes, 0) + v.variants_bytes AS bytes FROM reelbus.video v
                 WHERE v.state = 'stored' AND v.store = at_store AND v.bucket = at_bucket AND coalesce(v.user_id, '') = u.user_id
                   AND v.stored_at < old_until
                 ORDER BY v.stored_at, v.video_id LIMIT at_most) AS i
             WINDOW w AS (ORDER BY i.stored_at, i.video_id ROWS UNBOUNDED PRECEDING)) AS o
            WHERE u.store = at_store AND u.bucket = at_bucket AND u.user_id <> ''
              AND ((user_bytes > 0 AND u.bytes > user_bytes AND o.bytes_with - o.bytes < u.bytes - user_bytes)
                OR (user_videos > 0 AND u.videos > user_videos AND o.videos_with - 1 < u.videos - user_videos))
            ORDER BY o.stored_at LIMIT at_most;
    ELSIF rule = 'total' AND all_bytes > 0 THEN
        SELECT coalesce(sum(a.bytes), 0) INTO used FROM reelbus.usage_in_all a WHERE a.store = at_store AND a.bucket = at_bucket;
        IF used <= all_bytes THEN
            RETURN;
        END IF;
        RETURN QUERY SELECT o.video_id, o.bytes, o.user_id FROM
            (SELECT i.video_id, i.bytes, i.user_id, i.stored_at,
                    sum(i.bytes) OVER (ORDER BY i.stored_at, i.video_id ROWS UNBOUNDED PRECEDING) AS bytes_with FROM
                (SELECT v.video_id, v.stored_at, coalesce(v.bytes, 0) + v.variants_bytes AS bytes, coalesce(v.user_id, '') AS user_id
                 FROM reelbus.video v
                 WHERE v.state = 'stored' AND v.store = at_store AND v.bucket = at_bucket AND v.stored_at < old_until
                 ORDER BY v.stored_at, v.video_id LIMIT at_most) AS i) AS o
            WHERE o.bytes_with - o.bytes < used - low_bytes
            ORDER BY o.stored_at;
    END IF;
END;
$$;
COMMENT ON FUNCTION reelbus.due_to_go IS 'Which stored videos are due by a rule of retention, the oldest first.';

-- The sums of users are locked in one order, before the triggers on reelbus.video come to change them: two transactions that let
-- many videos go do not wait for each other in a circle then, nor does one that stores a single one.
CREATE OR REPLACE FUNCTION reelbus.lock_usage(at_store text, at_bucket text, of_users text[]) RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = ''
AS $$
BEGIN
    PERFORM FROM reelbus.usage u WHERE u.store = at_store AND u.bucket = at_bucket AND u.user_id = ANY (of_users)
        ORDER BY u.user_id FOR UPDATE;
END;
$$;

-- The same videos, locked for the statement that lets them go; what somebody else has locked is left out. One worker at a time
-- decides about a store, this one or one that makes room: no more go than must.
CREATE OR REPLACE FUNCTION reelbus.take_due(rule text, at_store text, at_bucket text, age_ms bigint, user_bytes bigint,
                                            user_videos bigint, all_bytes bigint, low_bytes bigint, safe_ms bigint, at_most bigint)
    RETURNS TABLE (verdict text, video_id uuid)
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
DECLARE
    taken uuid[];
    users text[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('reelbus.cleanup'), hashtext(at_store || '/' || at_bucket));
    SELECT array_agg(l.video_id), array_agg(DISTINCT l.user_id) INTO taken, users FROM
        (SELECT v.video_id, coalesce(v.user_id, '') AS user_id FROM reelbus.video v
         WHERE v.state = 'stored' AND v.video_id IN
            (SELECT d.due FROM reelbus.due_to_go(rule, at_store, at_bucket, age_ms, user_bytes, user_videos, all_bytes, low_bytes,
                                                 safe_ms, at_most) AS d)
         FOR UPDATE SKIP LOCKED) AS l;
    PERFORM reelbus.lock_usage(at_store, at_bucket, users);
    RETURN QUERY SELECT rule, t.one FROM unnest(taken) AS t (one);
END;
$$;
COMMENT ON FUNCTION reelbus.take_due IS 'Some of the videos that are due by a rule of retention, locked.';

-- What is still known of a user's videos once they are deleted, also of those that went, or are going, for another reason. What is
-- being removed still needs its key: it is told apart by deleting_since, and forgets the rest in the end, by its reason.
CREATE OR REPLACE FUNCTION reelbus.forget_user(of_user text) RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = ''
AS $$
BEGIN
    WITH forgotten AS (
        UPDATE reelbus.video v SET user_id = CASE WHEN v.deleting_since IS NOT NULL THEN v.user_id END,
            object_key = CASE WHEN v.deleting_since IS NOT NULL THEN v.object_key END,
            variants = CASE WHEN v.deleting_since IS NOT NULL THEN v.variants END,
            source_url = NULL, stored_url = NULL, error_message = NULL, superseded = NULL, delete_reason = 'request'
        WHERE v.user_id = of_user AND v.state = 'deleted' RETURNING v.video_id)
    DELETE FROM reelbus.history h USING forgotten WHERE h.video_id = forgotten.video_id;
    DELETE FROM reelbus.usage u WHERE u.user_id = of_user AND u.videos = 0 AND u.bytes = 0;
END;
$$;
COMMENT ON FUNCTION reelbus.forget_user IS 'Forget what is still known of a user''s deleted videos.';
