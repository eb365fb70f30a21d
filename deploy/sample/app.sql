-- The table of an application that generates videos, as reelbus finds it. Yours may have other names and more columns.
CREATE TABLE IF NOT EXISTS video_history (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id    uuid NOT NULL,
    prompt     text NOT NULL,
    video_url  text,
    status     text NOT NULL DEFAULT 'pending',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS video_history_created_at ON video_history (created_at DESC);
