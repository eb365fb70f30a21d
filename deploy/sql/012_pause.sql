-- Whether a consumer group is to store anything for now, as an operator says. Safe to run twice.
--
-- The members look here once a second. While they are paused they tell how many records they are still working on, so that a
-- drain knows when the last one has ended.

CREATE TABLE IF NOT EXISTS reelbus.control (
    consumer_group text PRIMARY KEY,
    pause          bigint NOT NULL DEFAULT 1,
    paused_until   timestamptz NOT NULL,
    reason         text NOT NULL DEFAULT '',
    paused_by      text NOT NULL DEFAULT '',
    paused_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN reelbus.control.pause IS 'Counts the pauses: what members tell of an earlier one says nothing about this one.';
COMMENT ON COLUMN reelbus.control.paused_until IS 'infinity: until somebody resumes it. A moment that has passed: it is not paused.';

CREATE TABLE IF NOT EXISTS reelbus.member (
    consumer_group text NOT NULL,
    member         text NOT NULL,
    pause          bigint NOT NULL,
    in_flight      bigint NOT NULL,
    told_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer_group, member)
);
COMMENT ON TABLE reelbus.member IS 'What members of a paused group tell each second. What is older than ten seconds says nothing any more.';
COMMENT ON COLUMN reelbus.member.in_flight IS 'Records that are worked on, but for those that only wait.';
