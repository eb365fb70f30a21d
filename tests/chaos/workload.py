"""An application, and a provider that tells it about videos: webhooks that are sent again until they are answered 2xx, videos that
are only found by asking, and the same video in several ways at once.

It runs in a process of its own: see apart.py.
"""

import random
import threading
import time
import types
import uuid

import apart
import psycopg
import requests
import source
from ledger import Ledger

SECRET = "canary-webhook-secret"
TRIES = 12  # of one webhook
SIZES, WEIGHTS = (13_000, 40_000, 150_000, 6_000_000), (30, 15, 15, 1)  # the last one takes an S3 store several parts


class Workload:
    """Senders, each a thread. videos: how many in all; same: how many of them are told of in all ways, up to five times; webhooks: how
    many are to be answered 2xx, at least: they go on at that pace until they are told to end; waiting: how many may be without an outcome
    before others begin; seconds: the webhooks are spread over these."""

    def __init__(self, seed, ledger, provider, database, receivers, rate, videos, same, webhooks, waiting, seconds, senders):
        self.ledger, self.database, self.receivers = Ledger(ledger), database, receivers
        self.provider = source.Provider(types.SimpleNamespace(**provider, bytes=16000, listen=""))
        self.rate, self.limit, self.same_limit, self.webhooks_wanted, self.waiting_most = rate, videos, same, webhooks, waiting
        self.began, self.seconds = time.monotonic(), seconds
        self.seed, self.lock = seed, threading.Lock()
        self.videos = self.same = self.webhooks = self.polled = self.answered = self.owed = self.settled = 0
        self.turns = 0.0  # videos that the rate allows
        self.hurry = False
        self.stop = threading.Event()
        for work in [self.keep_time] + [lambda number=number: self.run(number) for number in range(senders)]:
            threading.Thread(target=work, daemon=True).start()

    def is_done(self):
        return (self.limit is not None and self.videos >= self.limit) or (
            self.webhooks_wanted is not None and self.same >= self.same_limit and self.answered >= self.webhooks_wanted)  # fmt: skip

    def keep_time(self):
        """So many turns a second, and none while too many videos have no outcome."""
        connection, last = [None], time.monotonic()
        for turn in range(1 << 40):
            if self.stop.wait(0.05):
                return
            if turn % 40 == 0:
                settled = self.query(connection, "SELECT count(*) FROM reelbus.video WHERE state IN ('stored', 'failed')")
                self.settled = settled[0] if settled else self.settled
            now = time.monotonic()
            early = self.webhooks_wanted and self.answered / self.webhooks_wanted > (now - self.began) / self.seconds
            if not early and self.owed - self.settled < self.waiting_most:
                self.turns = min(self.turns + (now - last) * self.rate_now(), self.videos + self.rate)
            last = now

    def rate_now(self):
        """The last fifth is for those faults that need work to go on: one by one, until all faults were had."""
        return self.rate if self.limit is None or self.videos < self.limit * 4 / 5 or self.hurry else min(self.rate, 1)

    def take_turn(self):
        """Whether to begin another video, and whether in all ways: these are spread over the run."""
        with self.lock:
            if self.videos >= (self.turns if self.limit is None else min(self.turns, self.limit)):
                return None
            self.videos += 1
            so_far, of = (self.answered, self.webhooks_wanted) if self.limit is None else (self.videos, self.limit)
            same = self.same < self.same_limit and (not of or self.same * of <= so_far * self.same_limit)
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
        """Until the database takes it; what is asked here may be asked twice. Gives a row, () without one, None at the end."""
        while not self.stop.is_set():
            try:
                if connection[0] is None:
                    connection[0] = psycopg.connect(self.database, autocommit=True, connect_timeout=5)
                cursor = connection[0].execute(sql, values)
                return cursor.fetchone() if cursor.description else ()
            except psycopg.Error:
                if connection[0] is not None:
                    connection[0].close()
                connection[0] = None
                self.stop.wait(0.5)
        return None

    def video(self, rng, connection, session, same):
        kinds = list(source.KINDS)
        kind = rng.choice(["busy", "limited", "late"] if same else kinds + ["plain"] * len(kinds))
        name = f"video_{kind}-{rng.choices(SIZES, WEIGHTS)[0]}-{int(time.time())}-{uuid.UUID(int=rng.getrandbits(128)).hex[:12]}"
        url, sha256, size = source.facts(self.provider, name)
        video_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        ways = {"webhook", "poll"} if same else {rng.choice(["webhook", "webhook", "webhook", "poll"])}
        good = source.KINDS[kind][1]
        self.ledger.video(video_id, url, sha256 if good else None, size if good else None, "poll" in ways)
        if self.query(connection, "INSERT INTO video_history (id, user_id, prompt) VALUES (%s, %s, 'chaos') ON CONFLICT DO NOTHING",
                      video_id, str(uuid.UUID(int=rng.getrandbits(4), version=4))) is None:  # fmt: skip
            return
        if "poll" in ways:
            self.query(connection, "SELECT reelbus.expect_video(%s, 'sample', %s)", video_id, name)
            with self.lock:
                self.polled += 1
                self.owed += 1
        if "webhook" in ways:
            body = {"videoId": video_id, "status": "failed"} if kind == "broken" else {"videoId": video_id, "videoUrl": url, "status": "completed"}
            self.tell(rng, session, video_id, body, rng.randint(1, 5 if same else 9), "poll" not in ways)

    def tell(self, rng, session, video_id, body, times, owes):
        """So many webhooks; each is sent again until somebody takes it."""
        for _ in range(times):
            for turn in range(TRIES):
                if 200 <= self.webhook(rng, session, video_id, body) < 300:
                    with self.lock:
                        self.answered += 1
                        self.owed += owes
                    owes = False
                    break
                if self.stop.wait(rng.uniform(0.1, min(1 + turn, 4))):
                    return
            if times > 1:
                self.stop.wait(rng.uniform(0, 0.2))

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

    # -- what the harness asks ---------------------------------------------------------------------------------------------

    def answer(self, what):
        self.hurry = what == "hurry"
        if what == "end":
            self.stop.set()
            for thread in threading.enumerate():
                if thread is not threading.main_thread():
                    thread.join(60)
        return {"videos": self.videos, "same": self.same, "webhooks": self.webhooks, "answered": self.answered, "polled": self.polled,
                "waiting": self.owed - self.settled, "answers": dict(sorted(self.ledger.answers.items())), "done": self.is_done()}  # fmt: skip


if __name__ == "__main__":
    apart.serve(Workload(**apart.told()).answer)
