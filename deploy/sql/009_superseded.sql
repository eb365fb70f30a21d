-- Failures that something new has come about, another URL for example. Safe to run twice.
--
-- The row names the record that has settled the video, so that this one announces it, also after a death in between. When the next
-- attempt begins before that, the row has room for the new outcome only: so the old one is put aside here, for its record to find.

ALTER TABLE reelbus.video ADD COLUMN IF NOT EXISTS superseded jsonb;
COMMENT ON COLUMN reelbus.video.superseded IS 'The newest failures before the present attempt, 20 at most: {"topic/partition/offset": {...}}, by the record that announces each; null: none.';

CREATE OR REPLACE FUNCTION reelbus.keep_failure() RETURNS trigger
    LANGUAGE plpgsql
AS $$
DECLARE
    kept jsonb := coalesce(OLD.superseded, '{}');
BEGIN
    IF (SELECT count(*) FROM jsonb_object_keys(kept)) >= 20 THEN
        kept := kept - (SELECT e.key FROM jsonb_each(kept) AS e ORDER BY (e.value ->> 'attempt')::int LIMIT 1);
    END IF;
    NEW.superseded := kept || jsonb_build_object(
        OLD.owner_topic || '/' || OLD.owner_partition || '/' || OLD.owner_offset,
        jsonb_build_object(
            'attempt', OLD.attempt, 'tries', OLD.tries,
            'error_class', OLD.error_class, 'error_code', OLD.error_code, 'error_message', OLD.error_message,
            'source_url', OLD.source_url, 'provider', OLD.provider, 'provider_video_id', OLD.provider_video_id,
            'received_at', (extract(epoch FROM OLD.received_at) * 1000)::bigint,
            'first_try_at', (extract(epoch FROM OLD.first_try_at) * 1000)::bigint,
            'last_try_at', (extract(epoch FROM OLD.last_try_at) * 1000)::bigint,
            'failed_at', (extract(epoch FROM OLD.failed_at) * 1000)::bigint));
    RETURN NEW;
END;
$$;

CREATE OR REPLACE TRIGGER video_keep_failure BEFORE UPDATE OF state ON reelbus.video
    FOR EACH ROW WHEN (OLD.state = 'failed' AND NEW.state <> 'failed' AND OLD.owner_topic IS NOT NULL)
    EXECUTE FUNCTION reelbus.keep_failure();
