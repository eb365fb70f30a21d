-- Which videos are asked for, when, and by whom. Safe to run twice.

ALTER TABLE reelbus.video
    ADD COLUMN IF NOT EXISTS waiting_since     timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS webhook_at        timestamptz,
    ADD COLUMN IF NOT EXISTS provider_status   text,
    ADD COLUMN IF NOT EXISTS progress          integer,
    ADD COLUMN IF NOT EXISTS polls             integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS next_poll_at      timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS poll_lease_until  timestamptz,
    ADD COLUMN IF NOT EXISTS poll_missing_since timestamptz,
    ADD COLUMN IF NOT EXISTS poll_announced    integer NOT NULL DEFAULT 0;

COMMENT ON COLUMN reelbus.video.waiting_since IS 'When it began to wait; its deadline counts from here.';
COMMENT ON COLUMN reelbus.video.webhook_at IS 'When a webhook told of its end; null: none has.';
COMMENT ON COLUMN reelbus.video.provider_status IS 'What polling published last: queued, in_progress, completed, failed or expired.';
COMMENT ON COLUMN reelbus.video.progress IS 'Percent of the generation, as the provider said last; null when it said nothing.';
COMMENT ON COLUMN reelbus.video.polls IS 'How often the provider was asked about it.';
COMMENT ON COLUMN reelbus.video.poll_lease_until IS 'A producer is asking; it has the video until then. Its exact value is the proof of that.';
COMMENT ON COLUMN reelbus.video.poll_missing_since IS 'Since when the provider says that it does not know the video.';
COMMENT ON COLUMN reelbus.video.poll_announced IS 'How often polling has published its end, which the consumer has not taken yet.';

CREATE INDEX IF NOT EXISTS video_poll ON reelbus.video (provider, next_poll_at)
    WHERE state = 'waiting' AND provider_video_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS reelbus.provider (
    provider        text PRIMARY KEY,
    webhook_seen_at timestamptz NOT NULL
);
COMMENT ON TABLE reelbus.provider IS 'When a webhook about a video of this provider came last; while they come, polling is thin.';

-- Whoever lets a video wait, for the first time or again under another id of its provider: polling begins anew.
CREATE OR REPLACE FUNCTION reelbus.begin_to_wait() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    NEW.waiting_since := now();
    NEW.webhook_at := NULL;
    NEW.provider_status := NULL;
    NEW.progress := NULL;
    NEW.polls := 0;
    NEW.next_poll_at := now();
    NEW.poll_lease_until := NULL;
    NEW.poll_missing_since := NULL;
    NEW.poll_announced := 0;
    RETURN NEW;
END;
$$;

CREATE OR REPLACE TRIGGER video_begin_to_wait BEFORE UPDATE OF state, provider, provider_video_id ON reelbus.video
    FOR EACH ROW WHEN (NEW.state = 'waiting' AND (OLD.state, OLD.provider, OLD.provider_video_id)
        IS DISTINCT FROM (NEW.state, NEW.provider, NEW.provider_video_id))
    EXECUTE FUNCTION reelbus.begin_to_wait();
