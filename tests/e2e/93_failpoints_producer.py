"""Death, a stop or an error between any two steps of the producer: what it has answered 200 is never lost."""

import json

import pytest
import requests
from failpoints import Lives, points_of
from harness import SECRET, WAIT_S, local, wait_for

pytestmark = pytest.mark.release_only  # the programs are those of `make fail`, whatever is tested otherwise

NOWHERE = {"REELBUS_KAFKA_BROKERS": "127.0.0.1:1"}
WRITING, SENDING = ("spool_write", "spool_sync"), ("spool_drained", "spool_mark")


class Received(Lives):
    """Webhooks, each sent until it is answered 200."""

    def __init__(self, bus, points, source, url_bytes=0, **options):
        super().__init__(bus, points)
        self.url = source.url("v") + "?" + url_bytes * "x"
        self.options, self.waiting, self.answered = options, [], []

    def begin(self, fail, **options):
        producer = self.bus.start_producer(wait=False, REELBUS_FAIL=fail, **{**self.options, **options})
        wait_for(lambda: not producer.process.alive() or local.port_is_open(producer.port), "it takes webhooks")
        return producer

    def feed(self):
        self.waiting.append(self.ask("INSERT INTO video_history (user_id, prompt) VALUES (%s, 'a test') RETURNING id::text", self.bus.user))

    def send(self):
        """Until one is not answered 200."""
        while self.waiting and self.call(self.waiting[0]) == 200:
            self.answered.append(self.waiting.pop(0))

    def left(self):
        if self.bus.started and self.bus.producer.process.alive():
            self.send()
        return len(self.waiting)

    def call(self, video_id):
        """As a sender that tries once. Gives the status, None without an answer."""
        body = {"videoId": video_id, "videoUrl": self.url, "status": "completed"}
        try:
            return requests.post(self.bus.producer.url("/api/webhook/video-complete"), json=body, headers={"x-webhook-secret": SECRET},
                                 timeout=WAIT_S).status_code  # fmt: skip
        except requests.ConnectionError:
            return None

    def finish(self):
        """Lives in which all that is left is done: each video that was answered 200 is stored, and has its one event."""
        self.options = {name: value for name, value in self.options.items() if name not in NOWHERE}
        producer = self.last()
        self.wait_until_done(producer)
        wait_for(lambda: not producer.metric("reelbus_spool_records"), "the spool is empty")
        producer.stop()
        assert set(self.answered) <= {event["video_id"] for event in self.bus.events("video.webhook.received")}
        self.bus.start_consumer()
        self.bus.wait_until_finished()
        assert sorted(event["video_id"] for event in self.bus.events("video.stored")) == sorted(self.answered)
        self.close()


def test_a_webhook_is_answered_or_sent_again_whenever_the_producer_dies(failing, source):
    lives = Received(failing, points_of("PRODUCER", "webhook_", "kafka_", "program_"), source)
    lives.all()
    lives.finish()


def test_what_was_answered_200_is_in_the_spool_whenever_the_producer_dies(failing, source):
    lives = Received(failing, list(WRITING), source, REELBUS_SPOOL=failing.folder / "spool", **NOWHERE)
    lives.all()
    lives.finish()


class Spooled(Received):
    """The spool is filled while Kafka is away, and drained when it is there: some segments of it."""

    LEAST = 24

    def __init__(self, bus, source):
        super().__init__(bus, list(SENDING), source, 6000, REELBUS_SPOOL=bus.folder / "spool", REELBUS_SPOOL_MAX_BYTES="256KiB")

    def begin(self, fail, **options):
        producer = super().begin("", **NOWHERE)
        for _ in range(self.LEAST - int(producer.metric("reelbus_spool_records"))):
            super().feed()
        wait_for(lambda: super(Spooled, self).left() == 0, "all are answered")
        producer.kill()
        return super().begin(fail)

    def feed(self):
        """It is filled before each life."""

    def left(self):
        if not self.bus.started or not self.bus.producer.process.alive():
            return self.LEAST
        try:
            return self.bus.producer.metric("reelbus_spool_records")
        except requests.RequestException:
            return self.LEAST


def test_what_is_in_the_spool_goes_to_kafka_whenever_the_producer_dies(failing, source):
    lives = Spooled(failing, source)
    lives.all()
    lives.finish()


class Polled(Lives):
    """Videos that are only found by asking."""

    def __init__(self, bus):
        super().__init__(bus, points_of("PRODUCER", "poll_"))
        base = f"http://127.0.0.1:{bus.stack.ports['provider']}/v1"
        path = bus.folder / "providers.json"
        path.write_text(json.dumps({"providers": [{"name": "here", "api": {"kind": "replicate", "base_url": base, "key": local.PROVIDER_KEY}}]}))
        self.options = {"REELBUS_PROVIDERS": path, "REELBUS_POLL_INTERVAL_MS": "100ms", "REELBUS_POLL_WEBHOOK_TRUST_MS": "0"}
        self.videos = {}

    def begin(self, fail):
        """Whoever had leased a video is believed to be dead after a while."""
        self.ask("WITH due AS (UPDATE reelbus.video SET next_poll_at = now(), poll_lease_until = now() WHERE poll_announced = 0 RETURNING 1)"
                 " SELECT count(*) FROM due")  # fmt: skip
        return self.bus.start_producer(wait=False, REELBUS_FAIL=fail, **self.options)

    def feed(self):
        video_id = self.bus.insert_video()
        self.videos[video_id] = self.bus.ask_for_video(video_id, call_back=False)
        self.ask("SELECT 1 FROM reelbus.expect_video(%s, 'here', %s)", video_id, self.videos[video_id])

    def left(self):
        return self.ask("SELECT count(*) FROM reelbus.video WHERE poll_announced = 0")

    def finish(self):
        self.wait_until_done(self.last())
        self.bus.producer.stop()
        told = {}
        for event in self.bus.events("video.poll.result"):
            if event["status"] == "completed":
                told.setdefault(event["video_id"], set()).add(event["event_id"])
        assert sorted(told) == sorted(self.videos) and {len(ids) for ids in told.values()} == {1}
        self.bus.start_consumer(REELBUS_PROVIDERS=self.options["REELBUS_PROVIDERS"])
        self.bus.wait_until_finished()
        assert sorted(event["video_id"] for event in self.bus.events("video.stored")) == sorted(self.videos)
        self.close()


def test_a_video_that_is_polled_is_stored_once_whenever_the_producer_dies(failing):
    lives = Polled(failing)
    lives.all()
    lives.finish()
