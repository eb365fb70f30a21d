"""Death between any two steps: the programs of `make fail` die where they are told to, and are started again."""

import hashlib
import json
import re
import signal
import sys

import pytest
import requests
import s3
from harness import MP4_HEAD, ROOT, SECRET, WAIT_S, binaries, local, wait_for
from sources import Source

sys.path.insert(0, str(ROOT / "tests/fakes"))
import supabase

pytestmark = pytest.mark.release_only  # the programs are those of `make fail`, whatever is tested otherwise

MB = 1_000_000
TABLE = re.findall(r'^    X\((\w+), (CONSUMER|PRODUCER|BOTH), (PLAIN|ERRNO), "(.+)"\)', (ROOT / "common/failpoint.h").read_text(), re.MULTILINE)
CONSUMER = [name for name, of, _, _ in TABLE if of == "CONSUMER"]
PRODUCER = [name for name, of, _, _ in TABLE if of == "PRODUCER"]
OF_A_STORE = ("file_", "s3_", "supabase_", "removal_")
JOB = [name for name in CONSUMER if not name.startswith(OF_A_STORE)]
FIRST = {"txn_abort": "txn_flush:1:EIO", "txn_look": "txn_committed:1:EIO"}  # what has to happen for a point to be reached


def video(zeros=1):
    """A source of a whole MP4 of about this size."""
    return Source(MP4_HEAD + (8 + zeros).to_bytes(4, "big") + b"mdat", zeros)


def starting_with(word):
    return [name for name in CONSUMER + PRODUCER if name.startswith(word)]


@pytest.fixture
def failing(bus):
    bus.programs = binaries("fail")
    if not (bus.programs / "reelbus-consumer").exists():
        pytest.skip("needs `make fail`")
    return bus


def dies(start, point, **options):
    """Start a program that dies at a point. Gives it while it still lives."""
    first = [FIRST[point]] if point in FIRST else []
    return start(wait=False, REELBUS_FAIL=",".join([*first, f"{point}:1:kill"]), **options)


def wait_until_dead(program, point):
    wait_for(lambda: not program.process.alive(), f"it dies at {point}: {program.process.tail()}")
    assert program.process.status == -signal.SIGKILL, program.process.tail()
    assert f"failpoint {point}:1:kill" in program.log


def assert_settled(bus, video_id):
    """One row, and one event that says what the row says. Gives the row."""
    event = bus.wait_for_event("video.stored", video_id)
    bus.wait_until_finished()
    assert len(bus.events("video.stored", video_id)) == 1
    assert bus.events("video.store_failed", video_id) == []
    row = bus.video_row(video_id)
    assert (row["state"], row["status"], row["attempt"]) == ("stored", "completed", 1)
    assert row["sha256"] == event["sha256"] and row["object_key"] == event["object_key"] and row["video_url"] == event["video_url"]
    return row


def drive(bus, points, source, object_of, **options):
    """At each of the points the consumer dies once, with a video of its own, and is started again."""
    content = requests.get(source.url, timeout=WAIT_S).content
    for point in points:
        video_id = bus.insert_video()
        bus.send_webhook_event(video_id, source.url)
        consumer = dies(bus.start_consumer, point, **options)
        if point == "partitions_lost":
            bus.wait_for_event("video.stored", video_id)
            consumer.process.send(signal.SIGTERM)
        wait_until_dead(consumer, point)
        bus.start_consumer(wait=False, **options)
        row = assert_settled(bus, video_id)
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert object_of(row) == content, point
        bus.consumer.stop()


@pytest.mark.parametrize("part", range(4))
def test_a_consumer_that_dies_between_two_steps_stores_the_video_once(failing, part):
    points = (JOB + starting_with("file_"))[part::4]
    with video(MB) as source:
        drive(failing, points, source, lambda row: (failing.store / row["bucket"] / row["object_key"]).read_bytes())
    assert [name for name in failing.objects() if name.startswith(".partial/")] == []


def test_an_error_at_each_step_is_got_over(failing):
    """All in one life of the consumer: it dies of none of them."""
    points = [name for name, of, kind, _ in TABLE if (of, kind) == ("CONSUMER", "ERRNO")]
    with video(MB) as source:
        failing.start_consumer(REELBUS_FAIL=",".join(f"{point}:1:{'ENOSPC' if point == 'file_write' else 'EIO'}" for point in points))
        video_id = failing.insert_video()
        failing.send_webhook_event(video_id, source.url)
        assert_settled(failing, video_id)
    log = failing.consumer.log
    assert [point for point in points if f"failpoint {point}:1:" not in log] == []
    assert failing.objects() == [f"videos/{failing.user}/{video_id}.mp4"]


def test_so_it_does_with_s3(failing, s3_server):
    bucket = f"videos-{failing.number}-{id(failing):x}"
    s3_server.client.create_bucket(Bucket=bucket)
    options = s3.options(s3_server.port, bucket, REELBUS_S3_SINGLE_MAX_BYTES="5MiB", REELBUS_S3_PART_BYTES="5MiB")
    with video(6 * MB) as source:
        drive(failing, starting_with("s3_"), source,
              lambda row: s3_server.client.get_object(Bucket=bucket, Key=row["object_key"])["Body"].read(), **options)  # fmt: skip


def test_so_it_does_with_supabase(failing):
    server = supabase.Supabase()
    server.make_bucket("videos")
    options = {"REELBUS_STORE": "supabase", "SUPABASE_URL": server.url, "SUPABASE_SERVICE_ROLE_KEY": supabase.SECRET_KEY}
    with video(7 * MB) as source:
        drive(failing, starting_with("supabase_"), source,
              lambda row: server.objects["videos", row["object_key"]].content.bytes(), **options)  # fmt: skip
    server.close()


def test_a_video_that_makes_room_is_gone_and_announced_whenever_the_consumer_dies(failing):
    bus, number = failing, 0
    options = {"REELBUS_QUOTA_THEN": "cleanup", "REELBUS_QUOTA_USER_BYTES": 4 * MB, "REELBUS_QUOTA_USER_LOW_AT": 3 * MB,
               "REELBUS_QUOTA_CHECK_MS": "100ms"}  # fmt: skip
    with video(3 * MB // 2) as source:
        bus.start_consumer(**options)
        for point in starting_with("removal_"):
            bus.user = f"00000000-0000-4000-8000-{number:012}"
            number += 1
            old, next_, last = (bus.insert_video() for _ in range(3))
            for video_id in (old, next_):
                bus.send_webhook_event(video_id, source.url)
                bus.wait_for_event("video.stored", video_id)
            bus.query("UPDATE reelbus.video SET stored_at = stored_at - interval '3 days' WHERE video_id = %s", old)
            bus.wait_until_finished()
            bus.consumer.stop()
            bus.send_webhook_event(last, source.url)
            wait_until_dead(dies(bus.start_consumer, point, **options), point)
            assert bus.video_row(old)["state"] == "deleted"
            bus.query("UPDATE reelbus.video SET deleting_since = now() - interval '1 hour' WHERE deleting_since IS NOT NULL")
            bus.start_consumer(wait=False, **options)
            wait_for(lambda: bus.video_row(old)["deleting_since"] is None, "it is taken over")
            bus.wait_for_event("video.stored", last)
            assert len({event["event_id"] for event in bus.events("video.deleted", old)}) == 1
            assert not bus.object_path(old).exists() and bus.object_path(next_).exists() and bus.object_path(last).exists()


def call(bus, video_id, url):
    """A webhook, as a sender that tries once. Gives the status, None without an answer."""
    body = {"videoId": video_id, "videoUrl": url, "status": "completed"}
    try:
        return requests.post(bus.producer.url("/api/webhook/video-complete"), json=body, headers={"x-webhook-secret": SECRET},
                             timeout=WAIT_S).status_code  # fmt: skip
    except requests.ConnectionError:
        return None


def is_listening(program):
    assert program.process.alive(), program.process.tail()
    return local.port_is_open(program.port)


def test_a_webhook_is_answered_or_sent_again_whenever_the_producer_dies(failing):
    bus = failing
    with video() as source:
        for point in starting_with("webhook_"):
            video_id = bus.insert_video()
            producer = dies(bus.start_producer, point)
            wait_for(lambda: bus.producer.is_ready(), "it takes webhooks")
            status = call(bus, video_id, source.url)
            assert status is None or (status == 200 and point == "webhook_answered")
            wait_until_dead(producer, point)
            if status is None:
                bus.start_producer()
                assert call(bus, video_id, source.url) == 200
                bus.producer.stop()
            assert len(bus.events("video.webhook.received", video_id)) in ((1,) if point in ("webhook_verified", "webhook_publish") else (1, 2))
        bus.start_consumer()
        bus.wait_until_finished()
        videos = [row["id"] for row in bus.query("SELECT id::text FROM video_history")]
        assert len(videos) == len(starting_with("webhook_"))
        for video_id in videos:
            bus.wait_for_event("video.stored", video_id)


def test_what_was_answered_200_survives_in_the_spool_whenever_the_producer_dies(failing):
    bus, nowhere = failing, {"REELBUS_KAFKA_BROKERS": "127.0.0.1:1"}
    answered = []
    with video() as source:
        for point in starting_with("spool_"):
            video_id, spool = bus.insert_video(), {"REELBUS_SPOOL": bus.folder / f"spool-{point}"}
            if point in ("spool_write", "spool_sync"):
                producer = dies(bus.start_producer, point, **spool, **nowhere)
                wait_for(lambda: is_listening(producer), "it takes webhooks")
                assert call(bus, video_id, source.url) is None
                wait_until_dead(producer, point)
                bus.start_producer(wait=False, **spool, **nowhere)
                wait_for(lambda: is_listening(bus.producer), "it takes webhooks again")
                assert call(bus, video_id, source.url) == 200
                bus.producer.kill()
            else:
                bus.start_producer(wait=False, **spool, **nowhere)
                wait_for(lambda: is_listening(bus.producer), "it takes webhooks")
                assert call(bus, video_id, source.url) == 200
                bus.producer.kill()
                wait_until_dead(dies(bus.start_producer, point, **spool), point)
            answered.append(video_id)
            bus.start_producer(**spool)
            wait_for(lambda: bus.producer.metric("reelbus_spool_records") == 0, "the spool is empty")
            bus.producer.stop()
        bus.start_consumer()
        bus.wait_until_finished()
        for video_id in answered:
            assert len(bus.events("video.webhook.received", video_id)) in (1, 2)
            bus.wait_for_event("video.stored", video_id)


def test_a_video_that_is_polled_is_stored_once_whenever_the_producer_dies(failing):
    bus = failing
    base = f"http://127.0.0.1:{bus.stack.ports['provider']}/v1"
    path = bus.folder / "providers.json"
    path.write_text(json.dumps({"providers": [{"name": "here", "api": {"kind": "replicate", "base_url": base, "key": local.PROVIDER_KEY}}]}))
    options = {"REELBUS_PROVIDERS": path, "REELBUS_POLL_INTERVAL_MS": "100ms", "REELBUS_POLL_WEBHOOK_TRUST_MS": "0"}
    videos = {}
    for point in starting_with("poll_"):
        video_id = bus.insert_video()
        videos[video_id] = bus.ask_for_video(video_id, call_back=False)
        bus.query("SELECT reelbus.expect_video(%s, 'here', %s)", video_id, videos[video_id])
        wait_until_dead(dies(bus.start_producer, point, **options), point)
        bus.query("UPDATE reelbus.video SET next_poll_at = now(), poll_lease_until = now() WHERE video_id = %s", video_id)
        bus.start_producer(**options)
        wait_for(lambda: bus.query("SELECT 1 FROM reelbus.video WHERE video_id = %s AND poll_announced > 0", video_id), "it is announced")
        bus.producer.stop()
        assert len({event["event_id"] for event in bus.events("video.poll.result", video_id) if event["status"] == "completed"}) == 1
    bus.start_consumer(REELBUS_PROVIDERS=path)
    bus.wait_until_finished()
    for video_id, provider_video in videos.items():
        bus.assert_stored(video_id, provider_video)


def test_all_points_are_driven_and_none_is_in_a_release():
    driven = JOB + [name for word in ("file_", "s3_", "supabase_", "removal_", "webhook_", "spool_", "poll_") for name in starting_with(word)]
    assert sorted(driven) == sorted(CONSUMER + PRODUCER) and len(driven) >= 24
    for program in ("reelbus-producer", "reelbus-consumer"):
        code = (binaries("release") / program).read_bytes()
        assert [name for name, _, _, when in TABLE if when.encode() in code] == []
        assert b"REELBUS_FAIL" not in code and b"RB_FAIL_" not in code
