-- Replays: what is read once more, and how far. Safe to run twice.
--
-- A run has a number, and outcomes that it writes name it as their owner. So whoever goes on with one that was ended knows which
-- of them it has still to announce, and nobody else takes them for his own.

CREATE TABLE IF NOT EXISTS reelbus.replay (
    replay_group text PRIMARY KEY,
    run          bigint NOT NULL,
    arguments    text NOT NULL,
    bounds       text NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz
);
COMMENT ON TABLE reelbus.replay IS 'The last replay of each group.';
COMMENT ON COLUMN reelbus.replay.bounds IS 'What it reads, a line for each partition: topic, partition, first offset, offset behind the last.';
COMMENT ON COLUMN reelbus.replay.finished_at IS 'Null: it was ended before it was through, or runs; the next one goes on with it.';
