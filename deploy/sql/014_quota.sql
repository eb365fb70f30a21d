-- What the consumers' options say of how much may be stored, so that others can show it beside the sums. Safe to run twice.

CREATE TABLE IF NOT EXISTS reelbus.quota (
    store       text NOT NULL,
    bucket      text NOT NULL,
    of_user     boolean NOT NULL,
    quota_bytes bigint NOT NULL,
    warn_bytes  bigint NOT NULL,
    stop_bytes  bigint NOT NULL,
    noted_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store, bucket, of_user)
);
COMMENT ON TABLE reelbus.quota IS 'The marks of all, and with of_user those of each user, as a consumer noted them last; 0: none. Nothing is weighed by it.';
