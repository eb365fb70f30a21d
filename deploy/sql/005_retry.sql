-- Which record of the topic of retries goes on with a video. Safe to run twice.

ALTER TABLE reelbus.video
    ADD COLUMN IF NOT EXISTS put_off integer NOT NULL DEFAULT 0;

COMMENT ON COLUMN reelbus.video.put_off IS 'Tries and renewals of the newest record that is on the topic of retries for certain; records about the same URL with fewer are out of date. 0: there is none.';
