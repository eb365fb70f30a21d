-- Which video of a provider is which of ours. Safe to run twice.

CREATE INDEX IF NOT EXISTS video_provider ON reelbus.video (provider, provider_video_id) WHERE provider_video_id IS NOT NULL;

-- An application calls this after it has asked a provider for a video, so that a webhook that carries only the provider's
-- id is understood, and so that the provider is asked when no webhook comes. Calling it again changes nothing. A video that
-- is already further on stays where it is and only learns ids that it has not; one that has failed waits again when the
-- provider's id is another one.
CREATE OR REPLACE FUNCTION reelbus.expect_video(video_id uuid, provider text, provider_video_id text) RETURNS void
    LANGUAGE sql
AS $$
    WITH written AS (
    INSERT INTO reelbus.video AS v (video_id, state, provider, provider_video_id)
    VALUES ($1, 'waiting', $2, $3)
    ON CONFLICT ON CONSTRAINT video_pkey DO UPDATE SET
        state = CASE v.state WHEN 'failed' THEN 'waiting' ELSE v.state END,
        provider = CASE WHEN v.state IN ('waiting', 'failed') THEN $2 ELSE coalesce(v.provider, $2) END,
        provider_video_id = CASE WHEN v.state IN ('waiting', 'failed') THEN $3 ELSE coalesce(v.provider_video_id, $3) END,
        error_class = CASE WHEN v.state IN ('waiting', 'failed') THEN NULL ELSE v.error_class END,
        error_code = CASE WHEN v.state IN ('waiting', 'failed') THEN NULL ELSE v.error_code END,
        error_message = CASE WHEN v.state IN ('waiting', 'failed') THEN NULL ELSE v.error_message END,
        failed_at = CASE WHEN v.state IN ('waiting', 'failed') THEN NULL ELSE v.failed_at END,
        updated_at = greatest(clock_timestamp(), v.updated_at + interval '1 microsecond')
    WHERE CASE
        WHEN v.state IN ('waiting', 'failed') THEN (v.provider, v.provider_video_id) IS DISTINCT FROM ($2, $3)
        ELSE v.provider IS NULL OR v.provider_video_id IS NULL
    END
    RETURNING v.video_id)
    SELECT pg_notify('reelbus_video', written.video_id::text) FROM written;
$$;

COMMENT ON FUNCTION reelbus.expect_video IS 'Tell reelbus that this provider makes this video, under this id of its own.';
