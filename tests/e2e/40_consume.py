"""What comes from Kafka is input like any other."""

import http.server
import os
import time
import uuid

import confluent_kafka
from harness import SCHEMAS, TINY_MP4, encode, fingerprint, wait_for
from sources import serving


def produce(bus, topic, value, key=b"key", headers=None, **settings):
    producer = confluent_kafka.Producer({"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"], **settings})
    producer.produce(bus.prefix + topic, value, key, headers=headers or [])
    assert producer.flush(60) == 0


def webhook_event(video_id, **more):
    event = {"event_id": str(uuid.uuid4()), "video_id": video_id, "status": "completed", "scheme": "plain", "checked": True,
             "received_at": 1_795_372_200_000, **more}  # fmt: skip
    return encode("video_webhook_received", **event)


def test_poison_goes_to_the_dead_letters_with_its_bytes_and_the_cause(bus):
    bus.start_consumer()
    poisons = [
        b"", b"\0", b"not avro", b"\0\0\0\0\7what", b"\xc3\x01" + b"\0" * 8 + b"x",
        b"\xc3\x01" + fingerprint(SCHEMAS["video_webhook_received"]),
        webhook_event(str(uuid.uuid4()))[:-1], webhook_event(str(uuid.uuid4())) + b"\0",
        webhook_event("no uuid"), webhook_event(str(uuid.uuid4()), status="melted"),
        encode("video_deleted", event_id="e", video_id="v", reason="r", store="s", bucket="b", object_key="k", bytes=1,
               deleted_at=1),
    ]  # fmt: skip
    for poison in poisons:
        produce(bus, "video.webhook.received", poison, b"the key", [("mine", b"kept")])
    produce(bus, "video.webhook.received", None)  # a tombstone
    letters = wait_for(
        lambda: (lambda found: found if len(found) == len(poisons) + 1 else None)(bus.records("video.store.dlq")), "all are out"
    )
    assert sorted(letter.value() or b"" for letter in letters) == sorted([*poisons, b""])
    for letter in letters:
        headers = dict(letter.headers())
        assert headers["__connect.errors.topic"].decode() == bus.prefix + "video.webhook.received"
        assert int(headers["__connect.errors.offset"]) >= 0 and int(headers["__connect.errors.partition"]) in range(3)
        assert headers["reelbus.error.code"].decode() in ("bad_event", "unknown_schema")
        assert headers["reelbus.error.message"] and headers["__connect.errors.exception.message"]
        assert headers["__connect.errors.stage"] == b"VALUE_CONVERTER" and headers["__connect.errors.task.id"] == b"0"
        assert headers["kafka_dlt-original-topic"] == headers["__connect.errors.topic"]
        assert int.from_bytes(headers["kafka_dlt-original-offset"], "big") == int(headers["__connect.errors.offset"])
        assert int.from_bytes(headers["kafka_dlt-original-partition"], "big") == int(headers["__connect.errors.partition"])
        assert len(headers["kafka_dlt-original-offset"]) == 8 and len(headers["kafka_dlt-original-partition"]) == 4
        if letter.value():
            assert letter.key() == b"the key" and headers["mine"] == b"kept"
    bus.wait_until_finished()
    assert bus.query("SELECT count(*) AS n FROM reelbus.video")[0]["n"] == 0


def test_good_records_behind_poison_are_not_held_up(running):
    produce(running, "video.webhook.received", b"poison")
    video_id, provider_video = running.store_video()
    running.assert_stored(video_id, provider_video)


def test_a_poll_result_is_as_good_as_a_webhook(running):
    video_id = running.insert_video()
    provider_video = running.ask_for_video(video_id, call_back=False)
    base = f"http://127.0.0.1:{running.stack.ports['provider']}"
    event = {"event_id": str(uuid.uuid4()), "video_id": video_id, "provider": "sample", "provider_video_id": provider_video,
             "polled_at": 1_795_372_200_000}  # fmt: skip
    produce(running, "video.poll.result", encode("video_poll_result", status="in_progress", progress=40, **event))
    running.wait_until_finished()
    assert running.video_row(video_id)["state"] is None  # nothing to do yet
    produce(running, "video.poll.result", encode("video_poll_result", status="completed", video_url=base + "/gone", **event))
    failed = running.wait_for_event("video.store_failed", video_id)
    assert (failed["provider"], failed["provider_video_id"], failed["code"]) == ("sample", provider_video, "source_gone")


class Stumbling(http.server.BaseHTTPRequestHandler):
    """Is out of order twice."""

    asked = 0

    def log_message(self, *args):
        pass

    def do_GET(self):
        Stumbling.asked += 1
        self.send_response(503 if Stumbling.asked < 3 else 200)
        self.send_header("Content-Length", str(len(TINY_MP4)))
        self.end_headers()
        self.wfile.write(TINY_MP4)


def test_a_record_that_has_waited_for_us_for_hours_is_not_given_up_at_the_first_stumble(bus):
    """Nobody knows how long its URL lives: our own outage is no time in which it was tried."""
    bus.start_consumer()
    video_id = bus.insert_video()
    long_ago = int(time.time() - 5 * 3600) * 1000
    with serving(Stumbling) as source:
        produce(bus, "video.webhook.received", webhook_event(video_id, video_url=f"{source}/v.mp4", received_at=long_ago), video_id.encode())
        stored = bus.wait_for_event("video.stored", video_id)
    assert stored["tries"] == 3 and int(stored["received_at"].timestamp() * 1000) == long_ago


def test_poison_that_is_too_large_to_be_set_aside_with_its_cause_does_not_stop_the_work(bus):
    """As large as Kafka takes: with the headers of a dead letter it is more."""
    bus.start_consumer()
    size = 1_048_400
    produce(bus, "video.webhook.received", os.urandom(size), b"k", **{"message.max.bytes": 1_100_000})
    (letter,) = wait_for(lambda: bus.records("video.store.dlq"), "it is set aside")
    headers = dict(letter.headers())
    assert letter.value() is None and int(headers["reelbus.error.left_out_bytes"]) == size
    assert headers["reelbus.error.code"] in (b"unknown_schema", b"bad_event")
    assert headers["__connect.errors.topic"].decode() == bus.prefix + "video.webhook.received"
    bus.wait_until_finished()


def test_a_member_whose_identity_is_taken_ends_and_commits_nothing(bus, source):
    source.shut()
    first = bus.start_consumer(REELBUS_GROUP_INSTANCE_ID="the-same")
    video_id = bus.insert_video()
    bus.send_webhook_event(video_id, source.url("v"))
    wait_for(source.paths, "the first one has begun")
    second = bus.start_consumer(REELBUS_GROUP_INSTANCE_ID="the-same")
    wait_for(lambda: not first.process.alive(), "the first one ends")
    assert first.process.status == 3
    assert "ev=fatal" in first.log and "code=group_fenced" in first.log
    assert bus.committed()[0] == 0 and second.process.alive()
    source.open()
    bus.wait_for_event("video.stored", video_id)


def test_webhook_and_poll_result_about_one_video_lead_to_one_outcome(running):
    running.consumer.stop()
    videos = {}
    for _ in range(20):
        video_id = running.insert_video()
        videos[video_id] = running.ask_for_video(video_id)
    received = wait_for(
        lambda: (lambda found: found if len(found) == 20 else None)(running.events("video.webhook.received")), "all are in"
    )
    for event in received:
        produce(running, "video.poll.result", encode(
            "video_poll_result", event_id="e", video_id=event["video_id"], provider="sample", provider_video_id="p",
            status="completed", video_url=event["video_url"], polled_at=1_795_372_200_000), event["video_id"])  # fmt: skip
    running.start_consumer()
    wait_for(lambda: len(running.events("video.stored")) >= 20, "all are stored")
    running.wait_until_finished()
    assert sorted(event["video_id"] for event in running.events("video.stored")) == sorted(videos)
    for video_id, provider_video in videos.items():
        running.assert_stored(video_id, provider_video)


def test_more_records_than_may_be_worked_on_at_once_all_come_to_their_end(bus):
    bus.start_producer()
    videos = [bus.insert_video() for _ in range(60)]
    for video_id in videos:
        bus.webhook({"videoId": video_id, "status": "failed"})
    bus.start_consumer(REELBUS_RECORDS_MAX=4)
    wait_for(lambda: len(bus.events("video.store_failed")) == 60, "all are finished")
    bus.wait_until_finished()
    wait_for(lambda: bus.consumer.metric("reelbus_paused") == 0, "more would be taken")
