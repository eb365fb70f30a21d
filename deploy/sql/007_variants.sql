-- What is stored of a video beside it. Safe to run twice.

ALTER TABLE reelbus.video ADD COLUMN IF NOT EXISTS variants jsonb;
COMMENT ON COLUMN reelbus.video.variants IS 'What lies next to the video in its bucket: {"thumbnail": {"url", "object_key", "bytes", "sha256", "content_type"}, "spritesheet": ...}; null: nothing.';
