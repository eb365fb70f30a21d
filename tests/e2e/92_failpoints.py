"""Death, a stop or an error between any two steps: the first, the middle and the last time that a program comes by."""

import hashlib
import sys
import threading

import confluent_kafka
import failpoints
import pytest
import requests
import s3
from failpoints import Lives, points_of
from harness import MP4_HEAD, ROOT, WAIT_S, binaries
from sources import Source

sys.path.insert(0, str(ROOT / "tests/fakes"))
import supabase

pytestmark = pytest.mark.release_only  # the programs are those of `make fail`, whatever is tested otherwise

KB, MB = 1000, 1_000_000
OF_A_STORE = ("file_", "s3_", "supabase_", "removal_")
JOB = [name for name in points_of("CONSUMER", "") if not name.startswith(OF_A_STORE)]
PARTS = 4


def video(zeros):
    """A source of a whole MP4 of about this size."""
    return Source(MP4_HEAD + (8 + zeros).to_bytes(4, "big") + b"mdat", zeros)


class Stored(Lives):
    """Videos that a consumer stores. object_of: what is in the store for a row."""

    def __init__(self, bus, points, source, object_of, **options):
        super().__init__(bus, points)
        self.source, self.object_of, self.options, self.videos = source, object_of, options, []
        self.content = requests.get(source.url, timeout=WAIT_S).content

    def begin(self, fail):
        return self.bus.start_consumer(wait=False, REELBUS_FAIL=fail, **self.options)

    def new_video(self):
        self.videos.append(self.ask("INSERT INTO video_history (user_id, prompt) VALUES (%s, 'a test') RETURNING id::text", self.bus.user))
        return self.videos[-1]

    def feed(self):
        self.bus.send_webhook_event(self.new_video(), self.source.url)

    def left(self):
        return self.ask("SELECT count(*) FROM video_history WHERE status <> 'completed'")

    def finish(self):
        """A life in which all that is left is done. Every video has its one event, and that says what the row says."""
        self.last()
        self.bus.wait_until_finished()
        assert self.bus.events("video.store_failed") == []
        events = {event["video_id"]: event for event in self.bus.events("video.stored")}
        assert sorted(events) == sorted(self.videos) and len(self.bus.records("video.stored")) == len(events)
        for video_id, event in events.items():
            row = self.bus.video_row(video_id)
            assert (row["state"], row["status"], row["attempt"]) == ("stored", "completed", 1)
            assert row["sha256"] == event["sha256"] == hashlib.sha256(self.content).hexdigest()
            assert row["object_key"] == event["object_key"] and row["video_url"] == event["video_url"]
            assert self.object_of(row) == self.content
        self.close()


def in_files(bus, points, source):
    return Stored(bus, points, source, lambda row: (bus.store / row["bucket"] / row["object_key"]).read_bytes())


@pytest.mark.parametrize("part", range(PARTS))
def test_a_consumer_that_dies_between_two_steps_stores_each_video_once(failing, part):
    with video(100 * KB) as source:
        lives = in_files(failing, [*JOB, *points_of("CONSUMER", "file_")], source)
        lives.count()
        lives.die_at_each(lives.points[part::PARTS])
        lives.finish()


def test_so_does_one_that_is_stopped_there_or_meets_errors(failing):
    with video(100 * KB) as source:
        lives = in_files(failing, [*JOB, *points_of("CONSUMER", "file_")], source)
        lives.count()
        lives.stop_at_each()
        lives.err_at_each()
        lives.finish()


def come_and_go(bus, over):
    """Another member of the group, which does nothing but that."""
    while not over.is_set():
        visitor = confluent_kafka.Consumer({"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"], "group.id": f"{bus.number}-group",
                                            "partition.assignment.strategy": "range", "enable.auto.commit": False})  # fmt: skip
        visitor.subscribe([bus.prefix + topic for topic in ("video.webhook.received", "video.poll.result", "video.store.retry")])
        while not over.is_set() and not visitor.assignment():
            visitor.poll(0.02)
        visitor.close()


def test_so_does_one_that_dies_while_partitions_come_and_go(failing):
    over = threading.Event()
    visitor = threading.Thread(target=come_and_go, args=(failing, over))
    with video(100 * KB) as source:
        failing.common["REELBUS_KAFKA"] += ";heartbeat.interval.ms=100"  # so often it hears of a rebalance
        lives = in_files(failing, points_of("CONSUMER", "partitions_"), source)
        visitor.start()
        try:
            for point in lives.points:
                for nth in (1, 2, 3):
                    lives.die(point, nth)
        finally:
            over.set()
            visitor.join()
        lives.finish()


def test_so_it_does_with_s3(failing, s3_server):
    bucket = f"videos-{failing.number}-{id(failing):x}"
    s3_server.client.create_bucket(Bucket=bucket)
    options = s3.options(s3_server.port, bucket, REELBUS_S3_SINGLE_MAX_BYTES="5MiB", REELBUS_S3_PART_BYTES="5MiB")
    with video(6 * MB) as source:
        lives = Stored(failing, points_of("CONSUMER", "s3_"), source,
                       lambda row: s3_server.client.get_object(Bucket=bucket, Key=row["object_key"])["Body"].read(), **options)  # fmt: skip
        lives.all()
        lives.finish()


def test_so_it_does_with_supabase(failing):
    server = supabase.Supabase()
    server.make_bucket("videos")
    options = {"REELBUS_STORE": "supabase", "SUPABASE_URL": server.url, "SUPABASE_SERVICE_ROLE_KEY": supabase.SECRET_KEY}
    with video(7 * MB) as source:
        lives = Stored(failing, points_of("CONSUMER", "supabase_"), source,
                       lambda row: server.objects["videos", row["object_key"]].content.bytes(), **options)  # fmt: skip
        lives.all()
        lives.finish()
    server.close()


class Removed(Stored):
    """Users who have two videos each, and get a third one: for that, the oldest makes room."""

    def __init__(self, bus, source, users):
        super().__init__(bus, points_of("CONSUMER", "removal_"), source, None, REELBUS_QUOTA_THEN="cleanup",
                         REELBUS_QUOTA_USER_BYTES=400 * KB, REELBUS_QUOTA_USER_LOW_AT=310 * KB, REELBUS_QUOTA_CHECK_MS="100ms")  # fmt: skip
        self.users = [f"00000000-0000-4000-8000-{number:012}" for number in range(users)]
        self.old = self.fill()
        self.kept = set(self.videos) - self.old
        self.ask("UPDATE reelbus.video SET stored_at = stored_at - interval '3 days' WHERE video_id = ANY(%s) RETURNING 1", list(self.old))

    def fill(self):
        old = set()
        for self.bus.user in self.users:
            for _ in range(2):
                super().feed()
            old.add(self.videos[-2])
        consumer = self.last()
        self.wait_until_done(consumer)
        self.bus.wait_until_finished()
        consumer.stop()
        return old

    def feed(self):
        self.bus.user = self.users.pop()
        super().feed()

    def begin(self, fail):
        """Whoever was removing a video is believed to be dead after a while."""
        self.ask("WITH given_up AS (UPDATE reelbus.video SET deleting_since = now() - interval '1 hour' WHERE deleting_since IS NOT NULL"
                 " RETURNING 1) SELECT count(*) FROM given_up")  # fmt: skip
        return super().begin(fail)

    def left(self):
        return super().left() + self.ask("SELECT count(*) FROM reelbus.video WHERE deleting_since IS NOT NULL")

    def finish(self):
        self.wait_until_done(self.last())
        self.bus.wait_until_finished()
        fed = set(self.videos) - self.old - self.kept
        removed = [event for event in self.bus.events("video.deleted")]
        assert len({event["event_id"] for event in removed}) == len({event["video_id"] for event in removed}) == len(fed)
        for event in removed:
            assert event["video_id"] in self.old and self.bus.video_row(event["video_id"])["state"] == "deleted"
        names = {name.rpartition("/")[2].removesuffix(".mp4") for name in self.bus.objects()}
        assert names == set(self.videos) - {event["video_id"] for event in removed}
        self.close()


def test_a_video_that_makes_room_is_gone_and_announced_whenever_the_consumer_dies(failing):
    with video(150 * KB) as source:
        lives = Removed(failing, source, users=50)
        lives.all()
        lives.finish()


def test_all_points_are_driven_and_none_is_in_a_release():
    driven = {*JOB, *(name for word in OF_A_STORE for name in points_of("CONSUMER", word))}
    driven |= set(points_of("PRODUCER", "webhook_", "spool_", "poll_", "kafka_", "program_"))
    assert sorted(driven) == sorted(name for name, _, _, _ in failpoints.TABLE) and len(driven) >= 24
    for program in ("reelbus-producer", "reelbus-consumer"):
        code = (binaries("release") / program).read_bytes()
        assert [name for name, _, _, when in failpoints.TABLE if when.encode() in code] == []
        assert b"REELBUS_FAIL" not in code and b"RB_FAIL_" not in code
