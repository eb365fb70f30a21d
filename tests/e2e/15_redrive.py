"""redrive: dead letters and final failures once more, each once."""

import collections
import io
import json
import signal
import time
import uuid

import confluent_kafka
import fastavro
from harness import SCHEMAS, fingerprint, wait_for

COUNT = "reelbus-redrive-count"
INPUT = "video.webhook.received"


def redrive(bus, *arguments, status=0, **environment):
    """What was said of each record, and the sums."""
    done = bus.run("reelbus-consumer", "redrive", "--json", *arguments, env={"REELBUS_GROUP": f"{bus.number}-group", **environment})
    assert done.returncode == status, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[:-1], lines[-1]["summary"]


def by_video(lines):
    return {line["video_id"]: line for line in lines}


def event_bytes(bus, video_id, url):
    event = {"event_id": str(uuid.uuid4()), "video_id": video_id, "user_id": bus.user, "status": "completed", "video_url": url,
             "scheme": "plain", "checked": True, "received_at": int(time.time() * 1000)}  # fmt: skip
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, SCHEMAS["video_webhook_received"], event)
    return b"\xc3\x01" + fingerprint(SCHEMAS["video_webhook_received"]) + stream.getvalue()


def set_aside(bus, video_id, value, **more):
    """A dead letter as a consumer writes it that could not read a good record then."""
    causes = {"reelbus.error.code": "unknown_schema", "reelbus.error.message": "no such schema",
              "__connect.errors.topic": bus.prefix + INPUT, "kafka_dlt-original-offset": b"\0" * 8, **more}  # fmt: skip
    producer = confluent_kafka.Producer({"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"]})
    producer.produce(bus.prefix + "video.store.dlq", value, video_id, partition=0, headers=[("mine", b"\0\xff"), ("none", None), *causes.items()])
    assert producer.flush(60) == 0


def of_key(bus, topic, key):
    return [record for record in bus.records(topic) if record.key() == key.encode()]


def count_of(record):
    return dict(record.headers() or []).get(COUNT)


def test_what_has_failed_is_stored_once_its_cause_is_gone_and_no_more_than_once(running, source):
    bus = running
    source.answers.update(later=[404, (429, b"", {"Retry-After": "1"}), 200], never=[404])
    later, never = (bus.send(source.url(path)) for path in ("later", "never"))
    letter, poison = bus.insert_video(), bus.insert_video()
    value = event_bytes(bus, letter, source.url("letter"))
    set_aside(bus, letter, value)
    set_aside(bus, "elsewhere", b"x", **{"__connect.errors.topic": "another.topic"})
    bus.produce(INPUT, b"no event", poison)
    wait_for(lambda: len(bus.records("video.store.dlq")) == 3 and len(bus.events("video.store_failed")) == 2, "all have failed")

    rows = bus.query("SELECT * FROM reelbus.video ORDER BY video_id")
    lines, sums = redrive(bus, "--dry-run", status=4)
    assert (sums["would_send"], sums["left"]) == (4, 1) and "no topic that we read" in by_video(lines)["elsewhere"]["because"]
    assert redrive(bus, "--dry-run", "--code", "unknown_schema", "--source", "dlq", status=4)[1]["would_send"] == 1
    assert redrive(bus, "--dry-run", "--class", "source", "--since", "1h")[1]["would_send"] == 2
    assert redrive(bus, "--dry-run", "--until", "1h")[1] | {"took_ms": 0} == {"dry_run": True, "would_send": 0, "left": 0, "took_ms": 0}
    assert set(by_video(redrive(bus, "--dry-run", never, letter)[0])) == {never, letter}
    assert redrive(bus, "--dry-run", "--max", "1", "--source", "failed")[1]["would_send"] == 1
    assert "expected one of: source" in bus.run("reelbus-consumer", "redrive", "--class", "sauce").stderr
    assert bus.query("SELECT * FROM reelbus.video ORDER BY video_id") == rows and of_key(bus, INPUT, letter) == []

    lines, sums = redrive(bus, status=4)
    assert sums["sent"] == 4 and {line["verdict"] for line in lines} == {"sent", "left"}
    assert bus.wait_for_event("video.stored", letter)["attempt"] == 1
    assert bus.wait_for_event("video.stored", later)["attempt"] == 2
    (back,) = of_key(bus, INPUT, letter)
    assert back.value() == value and back.headers() == [("mine", b"\0\xff"), ("none", None), (COUNT, b"1")]
    assert [count_of(record) for record in of_key(bus, "video.store.retry", later)] == [b"1"]
    wait_for(lambda: len(bus.events("video.store_failed", never)) == 2, "it fails again")
    wait_for(lambda: [count_of(record) for record in of_key(bus, "video.store.dlq", poison)] == [None, b"1"], "poison is poison")
    assert [event["attempt"] for event in bus.events("video.store_failed", later)] == [1]
    assert sorted(event["attempt"] for event in bus.events("video.store_failed", never)) == [1, 2]

    lines, sums = redrive(bus, REELBUS_REDRIVES_MAX="1", status=4)  # the guard
    assert (sums["sent"], sums["left"]) == (0, 3) and all("redrives_max" in by_video(lines)[video]["because"] for video in (never, poison))
    assert redrive(bus, "--source", "failed", never)[1]["sent"] == 1
    wait_for(lambda: len(bus.events("video.store_failed", never)) == 3, "it fails once more")
    bus.wait_until_finished()
    assert len(bus.events("video.stored")) == 2 and bus.video_row(never)["redrives"] == 2


def test_a_run_that_was_killed_is_gone_on_with_and_sends_nothing_twice(failing):
    bus, videos = failing, [failing.insert_video() for _ in range(6)]
    for video_id in videos[:3]:
        set_aside(bus, video_id, event_bytes(bus, video_id, "http://127.0.0.1:1/v"))
    for video_id in videos[3:]:
        bus.query("INSERT INTO reelbus.video (video_id, user_id, state, source_url, attempt, error_class, error_code, failed_at, owner_topic,"
                  " owner_partition, owner_offset) VALUES (%s, %s, 'failed', 'http://127.0.0.1:1/v', 1, 'source', 'source_gone', now(), 't', 0, 1)",
                  video_id, bus.user)  # fmt: skip

    def sent():
        return collections.Counter(record.key().decode() for record in bus.records(INPUT))

    marked = "SELECT video_id::text AS id FROM reelbus.video WHERE redriven_attempt = attempt"
    for point, marks in (("txn_offsets:1", 0), ("txn_commit:1", 0), ("txn_commit:2", 3), ("txn_committed:1", 3)):
        done = bus.run("reelbus-consumer", "redrive", env={"REELBUS_GROUP": f"{bus.number}-group", "REELBUS_FAIL": f"{point}:kill"})
        assert done.returncode == -9, done.stdout + done.stderr
        assert len(bus.query(marked)) == marks
        if point == "txn_commit:2":  # marked, and not sent
            assert set(sent()) == set(videos[:3])
    lines, sums = redrive(bus)
    assert (lines, sums["sent"], sums["left"]) == ([], 0, 0)
    assert sent() == dict.fromkeys(videos, 1)
    assert {row["redrives"] for row in bus.query("SELECT redrives FROM reelbus.video")} == {1}


def test_failures_are_tried_again_by_themselves_once_their_cause_is_gone(bus, source):
    bus.start_producer()
    full = str(uuid.uuid4())
    bus.query("INSERT INTO reelbus.video (video_id, user_id, state, store, bucket, bytes) VALUES (%s, %s, 'stored', 'file', 'videos', 2000)",
              full, bus.user)  # fmt: skip
    consumer = bus.start_consumer(REELBUS_REDRIVE_AUTO="quota,credentials", REELBUS_QUOTA_CHECK_MS="50ms", REELBUS_QUOTA_THEN="keep",
                                  REELBUS_QUOTA_USER_BYTES="2000")  # fmt: skip
    kept = bus.send(source.url("kept"))
    assert bus.wait_for_event("video.store_failed", kept)["code"] == "quota_kept"
    denied, other, often = (bus.insert_video() for _ in range(3))
    for video_id, code, redrives in ((denied, "provider_denied", 0), (other, "source_gone", 0), (often, "provider_denied", 3)):
        bus.query("INSERT INTO reelbus.video (video_id, user_id, state, source_url, attempt, error_class, error_code, failed_at, redrives)"
                  " VALUES (%s, %s, 'failed', %s, 1, 'source', %s, now(), %s)", video_id, bus.user, source.url(video_id), code, redrives)  # fmt: skip
    before = consumer.metric("reelbus_redriven_total")
    bus.query("UPDATE reelbus.video SET bytes = 1000 WHERE video_id = %s", full)  # below the warning mark
    event = bus.wait_for_event("video.stored", kept)
    assert (before, event["attempt"]) == (0, 2) and "ev=redriven cause=quota videos=1" in consumer.log
    assert source.paths() == ["kept"]
    consumer.process.send(signal.SIGHUP)
    assert bus.wait_for_event("video.stored", denied)["attempt"] == 2
    bus.wait_until_finished()
    assert sorted(source.paths()) == sorted(["kept", denied]) and consumer.metric("reelbus_redriven_total") == 2
    states = {row["id"]: (row["state"], row["redrives"]) for row in bus.query("SELECT video_id::text AS id, state, redrives FROM reelbus.video")}
    assert (states[kept], states[denied], states[other], states[often]) == (("stored", 1), ("stored", 1), ("failed", 0), ("failed", 3))
