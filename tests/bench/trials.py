"""What is tried once: one huge video among small ones, many slow sources, and how soon a single video is announced."""

import dataclasses
import http.client
import json
import statistics
import time
import urllib.parse

import movers
import places
import servers

CHUNK_BYTES = 1 << 18
LATENCY_BYTES = 5_000_000
WARM_UP = 10


@dataclasses.dataclass
class Memory:
    transfers: int
    largest_mib: float
    mb_per_s: float
    before_mib: float
    peak_mib: float
    kib_each: float
    tries_max: int


def memory_of(reelbus, names):
    """One run, with a look at the memory, and whether anything had to be tried a second time."""
    sizes = [(reelbus.there.source_folder / name).stat().st_size for name in names]
    before = reelbus.consumer.memory_mib()
    run = reelbus.run(names)
    return Memory(len(names), max(sizes) / places.MIB, run.mb_per_s, before, run.peak_mib, (run.peak_mib - before) * 1024 / len(names),
                  max(event["tries"] for event in reelbus.events.values()))  # fmt: skip


def huge(reelbus, names, gib):
    """One that is larger than memory may be, among as many small ones as fit beside it."""
    return memory_of(reelbus, [reelbus.there.make_huge(int(gib * 2**30)), *names[: reelbus.at_once - 1]])


def slow(reelbus, names):
    return memory_of(reelbus, names)


class RawCopy:
    """The same bytes from the source to the target, over connections that are open: what no store can be faster than."""

    def __init__(self, there):
        self.there = there
        self.source, self.target = (http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
                                    for url in (there.source_url, there.target_url))  # fmt: skip

    def copy_ms(self, name):
        begun = time.monotonic()
        self.source.request("GET", f"/{name}")
        answer = self.source.getresponse()
        length = int(answer.headers["Content-Length"])
        chunks = iter(lambda: answer.read(CHUNK_BYTES), b"")
        self.target.request("PUT", f"/{places.BUCKET}/raw.mp4", body=chunks, headers={"Content-Length": str(length)})
        done = self.target.getresponse()
        done.read()
        if done.status not in (201, 204):
            raise movers.Trouble(f"the raw copy was answered {done.status}")
        return (time.monotonic() - begun) * 1e3

    def close(self):
        self.source.close()
        self.target.close()


class Producer(servers.Reelbus):
    """Takes the webhooks for one of the consumers."""

    def __init__(self, consumer):
        super().__init__(consumer.stack, f"{consumer.letter}-producer", "reelbus-producer", consumer.binaries)
        self.prefix = consumer.prefix

    def start(self):
        self.port = servers.local.free_port()
        self.process = self.stack.start(self.title, lambda: self.stack.spawn(self.letter, self.command(), self.environment()),
                                        self.is_ready, 30)  # fmt: skip

    def connect(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port)

    def send(self, video_id, url):
        body = json.dumps({"videoId": video_id, "videoUrl": url, "status": "completed"})
        self.connection.request("POST", self.path, body=body, headers={
            "Content-Type": "application/json", "x-webhook-secret": servers.local.WEBHOOK_SECRET})  # fmt: skip
        answer = self.connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise movers.Trouble(f"a webhook was answered {answer.status}")


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def latency(reelbus, count):
    """One video at a time: from the webhook to its `video.stored`, and beside it a raw copy of the same bytes."""
    there = reelbus.there
    producer, raw = Producer(reelbus.consumer), RawCopy(there)
    producer.start()
    producer.connect()
    name = "five.mp4"
    places.write_video(there.source_folder / name, LATENCY_BYTES)
    stored_ms, copied_ms = [], []
    for video, _ in reelbus.new_videos(WARM_UP + count):
        copied_ms.append(raw.copy_ms(name))
        begun = time.monotonic()
        producer.send(video, f"{there.source_url}/{name}")
        _, came = reelbus.outcomes.wait_for({video}, 60)
        stored_ms.append((came - begun) * 1e3)
        if len(stored_ms) % 25 == 0:
            reelbus.clear()
    raw.close()
    producer.connection.close()
    producer.process.stop()
    reelbus.clear()
    stored_ms, copied_ms = stored_ms[WARM_UP:], copied_ms[WARM_UP:]
    return {"videos": count, "raw_p50_ms": statistics.median(copied_ms), "p50_ms": statistics.median(stored_ms),
            "p99_ms": percentile(stored_ms, 0.99), "max_ms": max(stored_ms)}  # fmt: skip
