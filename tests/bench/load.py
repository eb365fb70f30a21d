"""One run: wrk against one server, and a look at what came to lie on Kafka, by clients that share no code with it."""

import dataclasses
import io
import json
import pathlib
import resource
import subprocess
import time

import confluent_kafka
import fastavro

import servers
import signed

SETTLE_S = 0.3  # a topic that has not grown for so long has all that was on its way
FASTEST = 100_000  # signed requests are made for so many a second
READ_S = 60  # reading back what one run has written must not take longer
DECODED_PER_RUN = 1000  # so many values are read whole; of the others, the keys


@dataclasses.dataclass
class Run:
    answered: int  # requests that wrk saw answered 200
    distinct: int  # of what they sent, so much is on Kafka
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: float  # of the server, for one request
    kafka_cpu_us: float  # of Kafka, for one request, as the next two
    postgres_cpu_us: float
    wrk_cpu_us: float
    rss_before_mib: float
    rss_after_mib: float


class Trouble(Exception):
    """A run that must not count: something was lost, or answered other than 200."""


class Tally:
    """Counts what comes to a topic, run by run, at read_committed."""

    def __init__(self, server):
        self.server = server
        self.total = 0
        self.consumer = confluent_kafka.Consumer({
            "bootstrap.servers": server.brokers, "group.id": "bench", "enable.auto.commit": False,
            "isolation.level": "read_committed", "auto.offset.reset": "earliest", "queued.max.messages.kbytes": 65536, "log_level": 0,
            "fetch.wait.max.ms": 10,  # while a fetch waits, the broker answers nothing else, such as where a partition ends
        })  # fmt: skip
        self.places = {number: 0 for number in self.partitions()}

    def partitions(self):
        """The topic was made just now: the broker may not tell of it yet."""
        deadline = time.monotonic() + READ_S
        while time.monotonic() < deadline:
            if numbers := self.consumer.list_topics(self.server.topic, timeout=20).topics[self.server.topic].partitions:
                return numbers
        raise Trouble(f"Kafka does not tell the partitions of {self.server.topic}")

    def ends(self):
        return {number: self.consumer.get_watermark_offsets(confluent_kafka.TopicPartition(self.server.topic, number), 20)[1]
                for number in self.places}  # fmt: skip

    def settled_ends(self):
        before, now = None, self.ends()
        while now != before:
            time.sleep(SETTLE_S)
            before, now = now, self.ends()
        return now

    def count(self):
        """Distinct webhooks that came since the last call."""
        ends = self.settled_ends()
        left = {number for number in ends if ends[number] > self.places[number]}
        seen, decoded = set(), 0
        self.consumer.assign([confluent_kafka.TopicPartition(self.server.topic, number, self.places[number]) for number in left])
        deadline = time.monotonic() + READ_S
        while left:
            records = self.consumer.consume(10000, timeout=0.1)
            if not records and time.monotonic() > deadline:
                raise Trouble(f"Kafka gives nothing more of {self.server.topic}")
            for record in records:
                if record.error() is not None:
                    raise confluent_kafka.KafkaException(record.error())
                seen.add(self.identity(record, decoded < DECODED_PER_RUN))
                decoded += 1
                if record.offset() + 1 >= ends[record.partition()]:
                    left.discard(record.partition())
        self.consumer.unassign()
        self.places = ends
        self.total += len(seen)
        return len(seen)

    def identity(self, record, whole):
        """What makes a webhook this one: its webhook-id, or else the video's id, for each was sent with another."""
        if not self.server.avro:
            return record.value()[12:48]
        if whole:
            self.check(record)
        if self.server.load == "signed":
            place = record.value().index(b"msg_")
            return record.value()[place : place + signed.ID_BYTES]
        return record.key()

    def check(self, record):
        value = record.value()
        event = fastavro.schemaless_reader(io.BytesIO(value[10:]), servers.SCHEMA)
        good = value[:10] == b"\xc3\x01" + bytes.fromhex(servers.fingerprint()) and event["video_id"].encode() == record.key()
        if not good or event["checked"] != (self.server.load == "signed") or event["status"] != "completed":
            raise Trouble(f"{self.server.title} has written an event that is not as it should be: {event}")

    def close(self):
        self.consumer.close()


class Load:
    """Sends to one server, and keeps the count."""

    def __init__(self, server):
        self.server = server
        self.tally = Tally(server)
        self.runs = 0

    def arguments(self, seconds):
        self.runs += 1
        if self.server.load == "plain":
            return ["plain", servers.local.WEBHOOK_SECRET, f"{self.runs:08x}"]
        file = self.server.stack.folder / "signed.txt"
        signed.write(file, self.runs, self.server.videos, FASTEST * seconds)
        return ["signed", file]

    def used_s(self):
        """What the server, Kafka, Postgres and wrk have used of the processors. wrk is the only child that ends meanwhile."""
        stack, ended = self.server.stack, resource.getrusage(resource.RUSAGE_CHILDREN)
        return (servers.cpu_s(self.server.process), servers.cpu_s(stack.processes["kafka"]),
                servers.children_cpu_s(stack.processes["postgres"]), ended.ru_utime + ended.ru_stime)  # fmt: skip

    def wrk(self, connections, seconds, arguments):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s",
                   pathlib.Path(__file__).with_name("load.lua"), f"http://127.0.0.1:{self.server.port}{self.server.path}",
                   "--", *arguments]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
        if done.returncode != 0:
            raise Trouble(f"wrk failed: {done.stdout}{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def run(self, connections, seconds):
        server = self.server
        arguments = self.arguments(seconds)
        used_s, rss_mib = self.used_s(), server.memory_mib()
        found = self.wrk(connections, seconds, arguments)
        cpu_us = [(now - before) * 1e6 / max(found["answered"], 1) for now, before in zip(self.used_s(), used_s)]
        rss_after_mib = server.memory_mib()
        answered, distinct = found["answered"], self.tally.count()

        if found["bad_status"] + found["broken"] + found["timeouts"] > 0:
            raise Trouble(f"{server.title}, {connections} connections: {found}; see {server.process.log}")
        # What was under way when wrk stopped is on Kafka, or not; what was answered is.
        if not answered <= distinct <= answered + connections:
            raise Trouble(f"{server.title}, {connections} connections: {answered} answered 200, {distinct} on Kafka")
        return Run(
            answered=answered,
            distinct=distinct,
            requests_per_s=answered / (found["microseconds"] / 1e6),
            p50_ms=found["p50_us"] / 1000,
            p99_ms=found["p99_us"] / 1000,
            max_ms=found["max_us"] / 1000,
            cpu_us=cpu_us[0],
            kafka_cpu_us=cpu_us[1],
            postgres_cpu_us=cpu_us[2],
            wrk_cpu_us=cpu_us[3],
            rss_before_mib=rss_mib,
            rss_after_mib=rss_after_mib,
        )

    def finish(self):
        """End the server. The 200s that it has sent must be what is on Kafka, to the last one. Gives both numbers."""
        self.tally.count()
        sent, found = self.server.stop(), self.tally.total
        self.tally.close()
        if sent != found:
            raise Trouble(f"{self.server.title} has answered 200 {sent} times, but {found} webhooks are on Kafka")
        return {"answered_200": sent, "distinct_on_kafka": found}
