"""Those who move videos from the source to the target, and one run of one of them."""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import random
import re
import subprocess
import time
import uuid

import confluent_kafka
import fastavro

import places
import servers

RUN_S = 120  # one run must not take longer
LOOKED_AT = 3  # so many stored files of each run are compared with their source ...
LOOKED_AT_BYTES = 64 << 20  # ... when they are not larger than this
OUTCOMES = {name: fastavro.parse_schema(json.loads((servers.ROOT / f"schemas/{name.replace('.', '_')}.avsc").read_text()))
            for name in ("video.stored", "video.store_failed")}  # fmt: skip


class Trouble(Exception):
    """A run that must not count: something did not arrive, or not as it was sent."""


@dataclasses.dataclass
class Run:
    files: int
    mb_per_s: float
    cpu_s_per_gb: float  # of the mover and of all that it has started
    nginx_cpu_s_per_gb: float  # of source and target
    peak_mib: float  # of the mover; 0 when it is many processes
    videos_per_s: float
    cpu_ms: float  # of the mover, for a video; the next two are of those who help reelbus
    postgres_cpu_ms: float
    kafka_cpu_ms: float


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Mover:
    """`at_once` videos are on their way at any time."""

    def __init__(self, there, letter, title, at_once):
        self.there = there
        self.letter = letter
        self.title = title
        self.at_once = at_once

    def open(self):
        pass

    def move(self, names):
        """Move these. Gives seconds, CPU seconds and the peak of memory in MiB."""
        raise NotImplementedError

    def found(self):
        return self.there.stored()

    def clear(self):
        self.there.empty_target()

    def run(self, names):
        sizes = [(self.there.source_folder / name).stat().st_size for name in names]
        before_s = self.there.cpu_s()
        seconds, cpu_s, peak_mib = self.move(names)
        nginx_s, postgres_s, kafka_s = (after - before for after, before in zip(self.there.cpu_s(), before_s))
        self.check(names, sizes)
        self.clear()
        gb, count = sum(sizes) / 1e9, len(names)
        return Run(count, gb * 1e3 / seconds, cpu_s / gb, nginx_s / gb, peak_mib, count / seconds, cpu_s * 1e3 / count,
                   postgres_s * 1e3 / count, kafka_s * 1e3 / count)  # fmt: skip

    def check(self, names, sizes):
        found = self.found()
        if sorted(found.values()) != sorted(sizes):
            raise Trouble(f"({self.letter}) {self.title}: {len(names)} videos were to be stored, {len(found)} are there, or of another size")
        sources = {digest(path) for path in (self.there.source_folder / name for name in names[: places.DIFFERENT + 1])
                   if path.stat().st_size <= LOOKED_AT_BYTES}  # fmt: skip
        small = [path for path, size in found.items() if size <= LOOKED_AT_BYTES]
        if not all(digest(path) in sources for path in random.sample(small, min(LOOKED_AT, len(small)))):
            raise Trouble(f"({self.letter}) {self.title} has stored other bytes than were there")


def plain_environment():
    """Ours, but for what could lead a program elsewhere than it is told."""
    return {name: value for name, value in os.environ.items()
            if not name.upper().startswith("AWS_") and not name.upper().endswith("_PROXY")}  # fmt: skip


class Command(Mover):
    """A program that is started for each run and moves all by itself."""

    def move(self, names):
        command, environment, text = self.command(names)
        log = self.there.stack.folder / f"logs/{self.letter}.log"
        begun = time.monotonic()
        with open(log, "wb") as output:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, env={**plain_environment(), **environment})
            child.stdin.write(text.encode())
            child.stdin.close()
            _, status, used = os.wait4(child.pid, 0)
        seconds = time.monotonic() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise Trouble(f"({self.letter}) {self.title} ended with {child.returncode}: {log.read_text(errors='replace')[-400:]}")
        return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


class Pipeline(Command):
    def move(self, names):
        seconds, cpu_s, _ = super().move(names)
        return seconds, cpu_s, 0

    def command(self, names):
        source, target = self.there.source_url, f"{self.there.target_url}/{places.BUCKET}"
        line = f"curl -sf {source}/$1 | curl -sf -T - {target}/$1"
        return ["xargs", "-P", str(self.at_once), "-n", "1", "sh", "-c", line, "sh"], {}, "\n".join(names)


class Rclone(Command):
    def command(self, names):
        environment = {
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_SOURCE_TYPE": "http",
            "RCLONE_CONFIG_SOURCE_URL": self.there.source_url + "/",
            "RCLONE_CONFIG_TARGET_TYPE": "s3",
            "RCLONE_CONFIG_TARGET_PROVIDER": "Other",
            "RCLONE_CONFIG_TARGET_ENDPOINT": self.there.target_url,
            "RCLONE_CONFIG_TARGET_ACCESS_KEY_ID": "bench",
            "RCLONE_CONFIG_TARGET_SECRET_ACCESS_KEY": "bench",
            "RCLONE_CONFIG_TARGET_NO_CHECK_BUCKET": "true",
            "RCLONE_CONFIG_TARGET_NO_HEAD": "true",
        }
        command = ["rclone", "copy", "--files-from", "-", "--no-check-dest", "--no-traverse", "--ignore-checksum", "--retries", "1",
                   "--transfers", str(self.at_once), "--checkers", str(self.at_once), "source:", f"target:{places.BUCKET}"]  # fmt: skip
        return command, environment, "\n".join(names)


class Outcomes:
    """Reads the outcomes of one consumer, from now on."""

    def __init__(self, brokers, prefix):
        self.prefix = prefix
        self.consumer = confluent_kafka.Consumer({
            "bootstrap.servers": brokers, "group.id": "bench", "enable.auto.commit": False, "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10, "log_level": 0,
        })  # fmt: skip
        self.consumer.assign([end for topic in OUTCOMES for end in self.ends(prefix + topic)])

    def ends(self, topic):
        """Where its partitions end. It was made just now: the broker may not know it yet, or not that it leads it."""
        deadline = time.monotonic() + RUN_S
        while True:
            places = [confluent_kafka.TopicPartition(topic, number)
                      for number in self.consumer.list_topics(topic, timeout=20).topics[topic].partitions]  # fmt: skip
            try:
                for place in places:
                    place.offset = self.consumer.get_watermark_offsets(place, 20)[1]
                if places:
                    return places
                problem = "it has no partitions"
            except confluent_kafka.KafkaException as refused:
                problem = refused
            if time.monotonic() > deadline:
                raise Trouble(f"Kafka does not tell where {topic} ends: {problem}")
            time.sleep(0.1)

    def wait_for(self, ids, wait_s):
        """Until all of these are stored. Gives their events, and when the last one came."""
        events, deadline, came = {}, time.monotonic() + wait_s, None
        while len(events) < len(ids):
            record = self.consumer.poll(0.1)
            if record is not None:
                event = self.read(record)
                came = time.monotonic()
                if event["video_id"] in ids:
                    events[event["video_id"]] = event
            elif time.monotonic() > deadline:
                raise Trouble(f"{len(events)} of {len(ids)} videos were stored within {wait_s} s")
        return events, came

    def read(self, record):
        if record.error() is not None:
            raise confluent_kafka.KafkaException(record.error())
        topic = record.topic().removeprefix(self.prefix)
        event = fastavro.schemaless_reader(io.BytesIO(record.value()[10:]), OUTCOMES[topic])
        if topic != "video.stored":
            raise Trouble(f"a video was not stored: {event}")
        return event

    def close(self):
        self.consumer.close()


def received(video_id, user_id, url):
    """What the producer writes when a webhook came, as it stands on Kafka."""
    event = {"event_id": str(uuid.uuid4()), "video_id": video_id, "user_id": user_id, "status": "completed", "video_url": url,
             "scheme": "plain", "checked": True, "received_at": int(time.time() * 1000)}  # fmt: skip
    value = io.BytesIO()
    fastavro.schemaless_writer(value, servers.SCHEMA, event)
    return b"\xc3\x01" + bytes.fromhex(servers.fingerprint()) + value.getvalue()


class Consumer(servers.Reelbus):
    """reelbus-consumer, with a topic and a port of its own."""

    def __init__(self, there, letter, title, at_once, binaries, options):
        super().__init__(there.stack, letter, title, binaries)
        self.there = there
        self.at_once = at_once
        self.options = options

    def command(self):
        return [self.binaries / "reelbus-consumer"]

    def environment(self):
        return {
            **self.stack.consumer_options(),
            "REELBUS_PROVIDERS": "",
            "REELBUS_TOPIC_PREFIX": self.prefix,
            "REELBUS_GROUP": f"{self.prefix}reelbus",
            "REELBUS_METRICS_LISTEN": f"127.0.0.1:{self.port}",
            "REELBUS_TRANSFERS_MAX": str(self.at_once),
            "REELBUS_HOST_TRANSFERS_MAX": str(self.at_once),
            "REELBUS_VIDEO_MAX_BYTES": "6GiB",
            **self.options,
        }

    def reset_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024

    def stop(self):
        self.process.stop()


def s3_options(there, **more):
    """Into nginx. The copy that gives an object its hash is left out, for nginx cannot copy within metadata."""
    return {
        "REELBUS_STORE": "s3",
        "AWS_ENDPOINT_URL": there.target_url,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "REELBUS_S3_HASH_MAX_BYTES": "0",
        "REELBUS_S3_SINGLE_MAX_BYTES": "5GiB",
        "REELBUS_S3_MD5": "false",
        **more,
    }


def file_options(there):
    return {"REELBUS_STORE": "file", "REELBUS_FILE_ROOT": str(there.target_folder / "files"),
            "REELBUS_FILE_PUBLIC_URL": "http://localhost/"}  # fmt: skip


class Reelbus(Mover):
    """From the records on Kafka to `video.stored`: with rows, claims, and events. Nothing is left out."""

    def __init__(self, there, letter, title, at_once, options, binaries=servers.ROOT / "build"):
        super().__init__(there, letter, title, at_once)
        self.consumer = Consumer(there, f"{letter}{at_once}", f"reelbus ({letter}), {at_once} at once", at_once, binaries, options)

    def open(self):
        self.consumer.start()
        self.outcomes = Outcomes(self.consumer.brokers, self.consumer.prefix)
        self.producer = confluent_kafka.Producer({"bootstrap.servers": self.consumer.brokers, "linger.ms": 1, "log_level": 0})

    def new_videos(self, count):
        with self.there.stack.database() as database:
            rows = database.execute("INSERT INTO video_history (user_id, prompt) SELECT gen_random_uuid(), '' "
                                    "FROM generate_series(1, %s) RETURNING id::text, user_id::text", [count])  # fmt: skip
            return rows.fetchall()

    def send(self, names):
        """Records about these. Gives the ids of the videos."""
        videos = self.new_videos(len(names))
        records = [(video, received(video, user, f"{self.there.source_url}/{name}")) for (video, user), name in zip(videos, names)]
        begun = time.monotonic()
        for key, value in records:
            self.producer.produce(self.consumer.topic, key=key, value=value)
        self.producer.flush(30)
        return {key for key, _ in records}, begun

    def move(self, names):
        self.consumer.reset_peak()
        used_s = servers.cpu_s(self.consumer.process)
        ids, begun = self.send(names)
        self.events, came = self.outcomes.wait_for(ids, RUN_S)
        return came - begun, servers.cpu_s(self.consumer.process) - used_s, self.consumer.peak_mib()

    def clear(self):
        if self.consumer.options["REELBUS_STORE"] == "file":  # it keeps its folders open
            for path in self.there.stored():
                path.unlink()
        else:
            super().clear()

    def profile(self):
        return self.consumer.profile()

    def close(self):
        with contextlib.suppress(AttributeError):
            self.outcomes.close()
