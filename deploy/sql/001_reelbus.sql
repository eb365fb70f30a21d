-- reelbus' own state. The application's table is not touched. Safe to run twice.
-- Applied by `reelbus-consumer setup`; may as well be run by hand: psql "$DATABASE_URL" -f 001_reelbus.sql

CREATE SCHEMA IF NOT EXISTS reelbus;
COMMENT ON SCHEMA reelbus IS 'What reelbus knows about the videos that it stores.';

CREATE TABLE IF NOT EXISTS reelbus.setup (
    file       text PRIMARY KEY,
    version    text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE reelbus.setup IS 'Which files setup has applied, and in which version, by a hash of their text: setup --check compares. What is run by hand is not noted.';

CREATE TABLE IF NOT EXISTS reelbus.video (
    video_id          uuid PRIMARY KEY,
    user_id           text,
    state             text NOT NULL
        CONSTRAINT video_state CHECK (state IN ('waiting', 'processing', 'stored', 'failed', 'deleted')),

    -- where the bytes come from
    source_url        text,
    provider          text,
    provider_video_id text,
    expires_at        timestamptz,
    received_at       timestamptz,

    -- where they lie
    store             text,
    bucket            text,
    object_key        text,
    stored_url        text,
    bytes             bigint,
    sha256            text,
    content_type      text,
    stored_at         timestamptz,

    -- how it went
    attempt           integer NOT NULL DEFAULT 0,
    tries             integer NOT NULL DEFAULT 0,
    first_try_at      timestamptz,
    last_try_at       timestamptz,
    next_try_at       timestamptz,
    error_class       text,
    error_code        text,
    error_message     text,
    failed_at         timestamptz,

    -- who may write and announce it
    claim_epoch       bigint NOT NULL DEFAULT 0,
    owner_topic       text,
    owner_partition   integer,
    owner_offset      bigint,

    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN reelbus.video.user_id IS 'Owner in the application''s table, as text, when the video was claimed.';
COMMENT ON COLUMN reelbus.video.source_url IS 'The original URL. Kept for ever: the backup.';
COMMENT ON COLUMN reelbus.video.expires_at IS 'When the original URL stops working; null when nobody said.';
COMMENT ON COLUMN reelbus.video.attempt IS 'Outcomes so far; a later success after a failure is a new attempt.';
COMMENT ON COLUMN reelbus.video.tries IS 'How often the bytes were asked for, in the current attempt.';
COMMENT ON COLUMN reelbus.video.claim_epoch IS 'Counted up by each claim; an outcome is written only under the claim that is current.';
COMMENT ON COLUMN reelbus.video.owner_offset IS 'With topic and partition: the one record that may announce the outcome.';
