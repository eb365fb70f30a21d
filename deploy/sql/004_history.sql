-- What happened to each video, in order; and what lists of videos are read by. Safe to run twice.

CREATE TABLE IF NOT EXISTS reelbus.history (
    video_id  uuid NOT NULL,
    id        bigint GENERATED ALWAYS AS IDENTITY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    what      text NOT NULL
        CONSTRAINT history_what CHECK (what IN
            ('expected', 'received', 'polled', 'claimed', 'try_failed', 'stored', 'failed', 'announced')),
    detail    text,
    topic     text,
    partition integer,
    "offset"  bigint,
    PRIMARY KEY (video_id, id)
);

-- The record that a video was heard of by is noted once, by whoever comes first: the producer that has published what a
-- provider was asked, or the consumer that takes it.
CREATE UNIQUE INDEX IF NOT EXISTS history_record ON reelbus.history (video_id, what, topic, partition, "offset")
    WHERE what IN ('received', 'polled');

-- Whoever lets a video wait for a provider, for the first time or under another id.
CREATE OR REPLACE FUNCTION reelbus.note_expected() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO reelbus.history (video_id, what, detail)
    VALUES (NEW.video_id, 'expected', format('from %s, as %s', coalesce(NEW.provider, 'a provider'), NEW.provider_video_id));
    RETURN NULL;
END;
$$;

CREATE OR REPLACE TRIGGER video_note_expected_first AFTER INSERT ON reelbus.video
    FOR EACH ROW WHEN (NEW.state = 'waiting' AND NEW.provider_video_id IS NOT NULL)
    EXECUTE FUNCTION reelbus.note_expected();
CREATE OR REPLACE TRIGGER video_note_expected_again AFTER UPDATE OF provider, provider_video_id ON reelbus.video
    FOR EACH ROW WHEN (NEW.state = 'waiting' AND NEW.provider_video_id IS NOT NULL
        AND (OLD.provider, OLD.provider_video_id) IS DISTINCT FROM (NEW.provider, NEW.provider_video_id))
    EXECUTE FUNCTION reelbus.note_expected();

COMMENT ON TABLE reelbus.history IS 'The newest events of each video, some 200; older ones are dropped.';
COMMENT ON COLUMN reelbus.history.topic IS 'With partition and offset: the record that came in, or that announced the outcome.';

COMMENT ON COLUMN reelbus.video.next_try_at IS 'When the bytes are asked for again after a try that failed; null while one is under way.';

-- Whoever changes a row calls pg_notify('reelbus_video', video_id) in the same transaction and moves updated_at forward:
-- frontends are told by the one and go on after a lost connection by the other.
COMMENT ON COLUMN reelbus.video.updated_at IS 'Time of the last change; grows with each one, and so is its version.';

-- Lists have those that wait by the application's own times, and all others by these.
CREATE INDEX IF NOT EXISTS video_recent ON reelbus.video (updated_at DESC, video_id DESC) WHERE state <> 'waiting';
CREATE INDEX IF NOT EXISTS video_recent_of_state ON reelbus.video (state, updated_at DESC, video_id DESC)
    WHERE state <> 'waiting';
CREATE INDEX IF NOT EXISTS video_recent_of_user ON reelbus.video (user_id, updated_at DESC, video_id DESC)
    WHERE state <> 'waiting';
DROP INDEX IF EXISTS reelbus.video_updated_at;
