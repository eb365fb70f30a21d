"""What the auditor reads out of Kafka: records as subscribers see them, and how far the group has committed."""

import collections
import io
import json
import pathlib
import struct
import time

import committed
import confluent_kafka
import fastavro
import offset_map
from confluent_kafka import admin

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMAS = {path.stem: fastavro.parse_schema(json.loads(path.read_text())) for path in (ROOT / "schemas").glob("*.avsc")}
INPUTS = {"video.webhook.received": "video_webhook_received", "video.poll.result": "video_poll_result",
          "video.store.retry": "video_store_retry"}  # fmt: skip
OUTCOMES = {"video.stored": "video_stored", "video.store_failed": "video_store_failed"}
DEAD = "video.store.dlq"
NOT_FINAL = ("queued", "in_progress")  # news about a generation that goes on

# One record of an input topic; `origin` is the coordinate of the first record, for one of the topic of retries.
Input = collections.namedtuple("Input", "topic at video final url origin")
Outcome = collections.namedtuple("Outcome", "topic at video attempt source event")
At = collections.namedtuple("At", "topic partition offset")


class Away(Exception):
    """Kafka, Postgres or the store does not answer now."""


def fingerprint(schema):
    form = fastavro.schema.to_parsing_canonical_form(schema)
    return bytes.fromhex(fastavro.schema.fingerprint(form, "CRC-64-AVRO"))


FINGERPRINTS = {name: fingerprint(schema) for name, schema in SCHEMAS.items()}


def decode(schema, value):
    """Single-object encoding, by fastavro; None when it is none of this schema."""
    if value is None or value[:2] != b"\xc3\x01" or value[2:10] != FINGERPRINTS[schema]:
        return None
    try:
        return fastavro.schemaless_reader(io.BytesIO(value[10:]), SCHEMAS[schema])
    except (EOFError, ValueError, IndexError, UnicodeDecodeError):
        return None


class Reader:
    """Follows topics from their beginning, at one isolation level."""

    def __init__(self, brokers, partitions, isolation):
        self.consumer = confluent_kafka.Consumer({
            "bootstrap.servers": brokers, "group.id": "audit", "enable.auto.commit": False, "isolation.level": isolation,
            "enable.partition.eof": True, "log_level": 0,
        })  # fmt: skip
        self.reached = {}
        self.consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for topic, number in partitions])

    def read_until(self, ends, wait_s):
        """All records until each partition has been read up to its end. Transaction markers are passed over."""
        deadline = time.monotonic() + wait_s
        while any(self.reached.get(place, 0) < end for place, end in ends.items()):
            record = self.consumer.poll(0.5)
            if record is None:
                if time.monotonic() > deadline:
                    behind = [place for place, end in ends.items() if self.reached.get(place, 0) < end]
                    raise Away(f"Kafka gives no more of {behind[:3]}")
                continue
            error = record.error()
            if error is None:
                self.reached[record.topic(), record.partition()] = record.offset() + 1
                yield record
            elif error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                self.reached[record.topic(), record.partition()] = record.offset()

    def close(self):
        self.consumer.close()


class Covered:
    """What the group will not read again: all below the committed offset, and what its metadata names above."""

    def __init__(self, places):
        self.partitions = {place[:2]: (max(place.offset, 0), offset_map.read(place.offset, place.metadata)) for place in places}

    def covers(self, at):
        offset, above = self.partitions.get(at[:2], (0, ()))
        return at.offset < offset or at.offset in above


class Topics:
    """All that is in the topics so far, and how it is read on."""

    def __init__(self, brokers, prefix, group):
        self.prefix, self.brokers = prefix, brokers
        self.admin = self.new_admin()
        self.group = group
        names = [prefix + name for name in (*INPUTS, *OUTCOMES, DEAD)]
        metadata = self.call(lambda: self.admin.list_topics(timeout=20)).topics
        self.partitions = [(name, number) for name in names for number in metadata[name].partitions]
        self.input_partitions = [place for place in self.partitions if place[0].removeprefix(prefix) in INPUTS]
        self.committed_reader = Reader(brokers, self.partitions, "read_committed")
        self.any_reader = Reader(brokers, self.partitions, "read_uncommitted")
        self.inputs = collections.defaultdict(list)  # video -> records, in no order across topics
        self.outcomes = collections.defaultdict(list)
        self.retries = collections.defaultdict(list)  # coordinate of the first record -> records on the topic of retries
        self.unreadable, self.dead = [], set()
        self.visible = self.written = 0

    def new_admin(self):
        return admin.AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})

    def call(self, ask):
        """Three times. A client that was refused may go on for minutes with leaders that are none any more: another one is asked."""
        for left in (2, 1, 0):
            try:
                return ask()
            except confluent_kafka.KafkaException as problem:
                if left == 0:
                    raise Away(f"Kafka: {problem}") from None
            self.admin = self.new_admin()
            time.sleep(1)

    def ends(self, partitions, isolation):
        level = getattr(confluent_kafka.IsolationLevel, isolation)
        latest = {confluent_kafka.TopicPartition(*place): admin.OffsetSpec.latest() for place in partitions}

        def ask():
            asked = self.admin.list_offsets(latest, isolation_level=level, request_timeout=20)
            return {(place.topic, place.partition): future.result().offset for place, future in asked.items()}

        return self.call(ask)

    def committed(self, stable):
        """Any of the brokers knows who answers for the group."""
        trouble = None
        for address in self.brokers.split(",") * 3:
            try:
                return Covered(committed.fetch(address, self.group, self.input_partitions, stable))
            except committed.Refused as refused:
                if refused.args[0] == committed.UNSTABLE:
                    raise
                trouble = refused
            except (OSError, struct.error) as problem:
                trouble = problem
            time.sleep(0.5)
        raise Away(f"Kafka does not tell what is committed: {trouble!r}")

    def covered(self):
        """At least this is committed."""
        return self.committed(stable=False)

    def covered_for_certain(self, wait_s):
        """And this with all transactions that were on their way: an outcome may be seen before its offsets are. None when there is no
        moment without one."""
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            try:
                return self.committed(stable=True)
            except committed.Refused:
                time.sleep(0.05)
        return None

    def read(self, wait_s):
        """Up to where the topics end now: a transaction that is open there is waited for."""
        ends = self.ends(self.partitions, "READ_UNCOMMITTED")
        for record in self.committed_reader.read_until(ends, wait_s):
            self.visible += 1
            self.take(record)
        self.written += sum(1 for _ in self.any_reader.read_until(ends, wait_s))

    def open_transactions(self):
        """Partitions in which readers of committed records are held up."""
        offsets = self.call(lambda: self.admin.list_topics(timeout=20)).topics.get("__consumer_offsets")
        places = self.partitions + [("__consumer_offsets", number) for number in (offsets.partitions if offsets else ())]
        stable, all_of_it = self.ends(places, "READ_COMMITTED"), self.ends(places, "READ_UNCOMMITTED")
        return {place: (stable[place], end) for place, end in all_of_it.items() if stable[place] < end}

    def take(self, record):
        at = At(record.topic(), record.partition(), record.offset())
        name = at.topic.removeprefix(self.prefix)
        if name == DEAD:
            headers = dict(record.headers() or ())
            self.dead.add(At(headers["__connect.errors.topic"].decode(), int(headers["__connect.errors.partition"]),
                             int(headers["__connect.errors.offset"])))  # fmt: skip
            return
        event = decode(INPUTS.get(name) or OUTCOMES[name], record.value())
        if event is None:
            self.unreadable.append(at)
        elif name in OUTCOMES:
            source = At(event["source_topic"], event["source_partition"], event["source_offset"])
            self.outcomes[event["video_id"]].append(Outcome(name, at, event["video_id"], event["attempt"], source, event))
        else:
            self.take_input(name, at, event)

    def take_input(self, name, at, event):
        origin = At(event["origin_topic"], event["origin_partition"], event["origin_offset"]) if "origin_topic" in event else None
        record = Input(name, at, event["video_id"], event["status"] not in NOT_FINAL, event["video_url"], origin)
        self.inputs[record.video].append(record)
        if origin is not None:
            self.retries[origin].append(record)

    def close(self):
        for consumer in (self.committed_reader, self.any_reader):
            consumer.close()
