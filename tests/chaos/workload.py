"""An application, and a provider that tells it about videos: webhooks that are sent again until they are answered 2xx, videos that
are only found by asking, and the same video in several ways at once."""

import random
import threading
import time
import uuid

import psycopg
import requests
import source

SECRET = "canary-webhook-secret"


class Workload:
    """Senders, each a thread. same: how many of the videos are told of in all ways, up to five times."""

    def __init__(self, seed, ledger, provider, database_url, receivers, rate, videos=None, same=0, senders=16):
        self.ledger, self.provider, self.database_url, self.receivers = ledger, provider, database_url, receivers
        self.rate, self.limit, self.same_limit = rate, videos, same
        self.seed, self.lock = seed, threading.Lock()
        self.videos = self.same = self.webhooks = self.polled = 0
        self.stop = threading.Event()
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(senders)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(120)

    def done(self):
        return self.limit is not None and self.videos >= self.limit

    def take_turn(self):
        """Whether to begin another video, and whether in all ways; keeps the rate."""
        with self.lock:
            if self.done() or self.videos >= (time.monotonic() - self.began) * self.rate:
                return None
            self.videos += 1
            same = self.same < self.same_limit
            self.same += same
            return same

    def run(self, number):
        rng = random.Random(f"{self.seed} {number}")
        connection, session = [None], requests.Session()
        while not self.stop.is_set():
            same = self.take_turn()
            if same is None:
                self.stop.wait(0.05)
                continue
            self.video(rng, connection, session, same)

    def query(self, connection, sql, *values):
        """Until the database takes it; what is asked here may be asked twice."""
        while not self.stop.is_set():
            try:
                if connection[0] is None:
                    connection[0] = psycopg.connect(self.database_url, autocommit=True, connect_timeout=5)
                connection[0].execute(sql, values)
                return True
            except psycopg.Error:
                if connection[0] is not None:
                    connection[0].close()
                connection[0] = None
                self.stop.wait(0.5)
        return False

    def video(self, rng, connection, session, same):
        kinds = list(source.KINDS)
        kind = rng.choice(["busy", "limited"] if same else kinds + ["plain"] * len(kinds))
        name = f"video_{kind}-{rng.choice([13_000, 40_000, 40_000, 150_000])}-{int(time.time())}-{uuid.UUID(int=rng.getrandbits(128)).hex[:12]}"
        url, sha256, size = source.facts(self.provider, name)
        video_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        ways = {"webhook", "poll"} if same else {rng.choice(["webhook", "webhook", "webhook", "poll"])}
        good = source.KINDS[kind][1]
        self.ledger.video(video_id, url, sha256 if good else None, size if good else None, "poll" in ways)
        if not self.query(connection, "INSERT INTO video_history (id, user_id, prompt) VALUES (%s, %s, 'chaos') ON CONFLICT DO NOTHING",
                          video_id, str(uuid.UUID(int=rng.getrandbits(4), version=4))):  # fmt: skip
            return
        if "poll" in ways:
            self.query(connection, "SELECT reelbus.expect_video(%s, 'sample', %s)", video_id, name)
            with self.lock:
                self.polled += 1
        if "webhook" in ways:
            body = {"videoId": video_id, "status": "failed"} if kind == "broken" else {"videoId": video_id, "videoUrl": url, "status": "completed"}
            self.tell(rng, session, video_id, body, rng.randint(1, 5) if same else rng.choice([1, 1, 1, 2]))

    def tell(self, rng, session, video_id, body, times):
        """So many webhooks; each is sent again until somebody takes it, five times at most."""
        for _ in range(times):
            for _ in range(5):
                if 200 <= self.webhook(rng, session, video_id, body) < 300:
                    break
                self.stop.wait(rng.uniform(0.1, 1))
            if times > 1:
                self.stop.wait(rng.uniform(0, 0.3))

    def webhook(self, rng, session, video_id, body):
        number = self.ledger.send(video_id)
        with self.lock:
            self.webhooks += 1
        try:
            status = session.post(f"http://127.0.0.1:{rng.choice(self.receivers)}/api/webhook/video-complete", json=body,
                                  headers={"x-webhook-secret": SECRET}, timeout=30).status_code  # fmt: skip
        except requests.RequestException:
            status = 0
        self.ledger.answer(video_id, number, status)
        return status
