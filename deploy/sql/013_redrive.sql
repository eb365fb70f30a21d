-- Final failures that are tried once more, because an operator says so. Safe to run twice.
--
-- redriven_attempt says of which attempt the record was sent: one that has failed is sent once. Pages of them are marked before
-- they are sent, in one Kafka transaction that also says which page it is: so whoever goes on after a death knows which were.

ALTER TABLE reelbus.video
    ADD COLUMN IF NOT EXISTS redrives         integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS redriven_attempt integer,
    ADD COLUMN IF NOT EXISTS redriven_at      timestamptz,
    ADD COLUMN IF NOT EXISTS redrive_page     bigint,
    ADD COLUMN IF NOT EXISTS redrive_group    text;
COMMENT ON COLUMN reelbus.video.redrives IS 'How often a final failure was sent once more; above redrives_max it is left.';
COMMENT ON COLUMN reelbus.video.redriven_attempt IS 'The attempt that has failed and is to be followed by another one; its record is on its way.';

CREATE SEQUENCE IF NOT EXISTS reelbus.redrive_page;
CREATE INDEX IF NOT EXISTS video_failed ON reelbus.video (video_id) WHERE state = 'failed';
CREATE INDEX IF NOT EXISTS video_failed_by ON reelbus.video (error_code, failed_at) WHERE state = 'failed';
CREATE INDEX IF NOT EXISTS video_redrive_page ON reelbus.video (redrive_group, redrive_page) WHERE redrive_page IS NOT NULL;
