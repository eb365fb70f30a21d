"""tail: what others have written, as lines and as JSON."""

import base64
import io
import json
import signal
import subprocess
import time
import uuid

import confluent_kafka
import fastavro
import harness
import pytest
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from harness import SCHEMAS, TOPICS

FILLER = {"string": "text", "long": 7, "int": 7, "boolean": True}


def event_of(schema, **fields):
    """An event with something in every field that must not be null."""
    full = {}
    for field in schema["fields"]:
        kind = field["type"]
        full[field["name"]] = None if isinstance(kind, list) else FILLER[kind if isinstance(kind, str) else kind["type"]]
    return {**full, **fields}


def encode(schema, event):
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, event)
    return b"\xc3\x01" + harness.fingerprint(schema) + stream.getvalue()


class Topics:
    """The topics of a bus, written by confluent-kafka."""

    def __init__(self, bus):
        self.bus = bus
        self.settings = {"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"]}
        self.producer = confluent_kafka.Producer(self.settings)

    def send(self, topic, value, key="", **more):
        self.producer.produce(self.bus.prefix + topic, value, key, **more)
        assert self.producer.flush(60) == 0

    def event(self, topic, video_id, **fields):
        schema = SCHEMAS[TOPICS[topic]]
        event = event_of(schema, video_id=video_id, **fields)
        self.send(topic, encode(schema, event), video_id)
        return event

    def run(self, *arguments, **environment):
        return self.bus.run("reelbus-consumer", "tail", *arguments, env=environment)

    def tail(self, *arguments, **environment):
        """What a tail that ends by itself prints as JSON."""
        done = self.run(*arguments, "--until", "now", "--json", **environment)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def topics(bus):
    return Topics(bus)


def test_every_kind_of_event_is_decoded_and_filtered(topics):
    video_id, other = str(uuid.uuid4()), str(uuid.uuid4())
    sent = {topic: topics.event(topic, video_id, user_id="ann") for topic in TOPICS}
    topics.event("video.stored", other, user_id="bob")
    records = topics.tail("--offset", "beginning", "--video", video_id.upper())
    assert {record["type"]: record["event"] for record in records} == sent
    for record in records:
        assert record["topic"] == topics.bus.prefix + record["type"] and record["key"] == video_id
        assert record["offset"] == 0 or record["type"] == "video.stored"
    assert [record["key"] for record in topics.tail("--since", "1h", "--user", "bob")] == [other]
    assert topics.tail("--since", "1h", "--user", "nobody") == [] and topics.tail("--since", "now") == []
    types = topics.tail("--since", "2020-01-01", "--type", "video.deleted,video.poll.result")
    assert sorted(record["type"] for record in types) == ["video.deleted", "video.poll.result"]
    assert len(topics.tail("video.stored", topics.bus.prefix + "video.deleted", "--offset", "0")) == 3


def test_a_line_is_readable_and_nothing_in_it_reaches_the_terminal(topics):
    url = "https://cdn.example.com/v.mp4?X-Amz-Signature=canary"
    evil = "two\nlines \x1b[31mred\x1b[0m \u202etxt"
    topics.event("video.webhook.received", "0b5e7a34-6f5e-4a3e-9f0e-0a3a3f3f0b5e", video_url=url, error_message=evil,
                 expires_at=1790000000123, user_id="ann")  # fmt: skip
    line = topics.run("--offset", "beginning", "--until", "now").stdout
    assert line.count("\n") == 1 and "\x1b" not in line and "\u202e" not in line and "canary" not in line
    assert f" {topics.bus.prefix}video.webhook.received[" in line and "@0 0b5e7a34-6f5e-4a3e-9f0e-0a3a3f3f0b5e user=ann " in line
    assert "video_url=https://cdn.example.com/v.mp4" in line and "expires_at=2026-09-21T" in line
    assert r'error_message="two\nlines \x1b[31mred' in line
    record = topics.tail("--offset", "beginning")[0]
    assert record["event"]["video_url"] == url and record["event"]["error_message"] == evil


def test_dead_letters_and_what_cannot_be_read_are_shown(topics):
    video_id, prefix = str(uuid.uuid4()), topics.bus.prefix
    schema = SCHEMAS["video_webhook_received"]
    causes = [("reelbus.error.code", b"unknown_schema"), ("reelbus.error.message", b"the record names a schema"),
              ("__connect.errors.topic", f"{prefix}video.webhook.received".encode()),
              ("__connect.errors.partition", b"2"), ("__connect.errors.offset", b"17")]  # fmt: skip
    topics.send("video.store.dlq", encode(schema, event_of(schema, video_id=video_id)), "another key", headers=causes)
    topics.send("video.store.dlq", b"\xff\x00 no event", video_id, headers=causes)
    topics.send("video.stored", None, video_id)
    records = topics.tail("--offset", "beginning", "--video", video_id)
    read = next(record for record in records if record["event"])
    assert read["type"] == "video.webhook.received" and read["event"]["video_id"] == video_id and read["key"] == "another key"
    assert read["headers"]["reelbus.error.code"] == "unknown_schema"
    raw = next(record for record in records if "unreadable" in record)
    assert base64.b64decode(raw["value_base64"]) == b"\xff\x00 no event" and raw["key"] == video_id
    empty = next(record for record in records if record["topic"].endswith("video.stored"))
    assert empty["event"] is None and "unreadable" not in empty
    lines = topics.run("video.store.dlq", "--offset", "beginning", "--until", "now").stdout
    assert lines.count("cause=unknown_schema message=\"the record names a schema\"") == 2
    assert f"from={prefix}video.webhook.received from_partition=2 from_offset=17" in lines
    assert r"\xff\x00 no event" in lines


def test_it_begins_and_ends_where_it_is_told(topics):
    name = topics.bus.prefix + "video.deleted"
    schema = SCHEMAS["video_deleted"]
    for number in range(10):
        value = encode(schema, event_of(schema, video_id=str(uuid.uuid4()), bytes=number))
        topics.producer.produce(name, value, str(number), partition=1, timestamp=1_760_000_000_000 + 1000 * number)
    assert topics.producer.flush(60) == 0

    def numbers(*arguments):
        return [record["event"]["bytes"] for record in topics.tail("video.deleted", "--partition", "1", *arguments)]

    assert numbers("--offset", "-3") == [7, 8, 9] and numbers("--offset", "8") == [8, 9]
    assert numbers("--offset", "-1000") == numbers("--offset", "beginning") == list(range(10))
    assert numbers("--offset", "beginning", "--count", "2") == [0, 1] and numbers("--offset", "end") == []
    assert numbers("--since", "2025-10-09T08:53:25.500Z") == [6, 7, 8, 9]
    done = topics.run("video.deleted", "--since", "2025-10-09T10:53:21+02:00", "--until", "2025-10-09T08:53:24Z", "--json")
    assert [json.loads(line)["event"]["bytes"] for line in done.stdout.splitlines()] == [1, 2, 3]
    for wrong, words in (["--since", "soon"], "expected a moment"), (["--offset", "x"], "expected a number"), (["no.topic"], "there is no topic"):
        done = topics.run("video.deleted", *wrong)
        assert done.returncode == 2 and words in done.stderr and done.stdout == ""
    assert topics.run("--partition", "7").returncode == 2
    away = topics.run(REELBUS_KAFKA_BROKERS="127.0.0.1:1")
    assert away.returncode == 5 and "Kafka does not tell about the topic" in away.stderr


def test_it_shows_what_is_committed_and_does_not_wait_for_what_is_open(topics):
    schema = SCHEMAS["video_deleted"]
    producers = []
    for number, end in enumerate(("commit_transaction", "abort_transaction", None)):
        producer = confluent_kafka.Producer({**topics.settings, "transactional.id": f"{topics.bus.number}-{number}"})
        producer.init_transactions(60)
        producer.begin_transaction()
        producer.produce(topics.bus.prefix + "video.deleted", encode(schema, event_of(schema, bytes=number)), str(number), partition=0)
        assert producer.flush(60) == 0
        if end:
            getattr(producer, end)(60)
        producers.append(producer)
    assert [record["event"]["bytes"] for record in topics.tail("--offset", "beginning")] == [0]
    producers[-1].abort_transaction(60)
    assert [record["event"]["bytes"] for record in topics.tail("--offset", "beginning")] == [0]  # a marker is the last in the log


def test_it_reads_confluents_wire_format_through_the_registry(bus, registry):
    _, client, _ = registry
    topics, video_id = Topics(bus), str(uuid.uuid4())
    event = event_of(SCHEMAS["video_deleted"], video_id=video_id, bytes=5)
    name = f"{bus.prefix}video.deleted"
    serialize = AvroSerializer(client, json.dumps(SCHEMAS["video_deleted"]))
    value = serialize(event, SerializationContext(name, MessageField.VALUE))
    assert value[0] == 0
    topics.send("video.deleted", value, video_id)
    topics.event("video.deleted", video_id, bytes=6)  # and single-object encoding beside it
    assert sorted(record["event"]["bytes"] for record in topics.tail("--offset", "beginning")) == [5, 6]
    assert client.get_subjects() == [f"{name}-value"]  # a reader registers nothing


def start(topics, *arguments):
    process = subprocess.Popen([topics.bus.programs / "reelbus-consumer", "tail", *arguments],
                               env={**harness.os.environ, **topics.bus.common}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    assert "follows 21 partitions" in process.stderr.readline()
    return process


def test_it_follows_until_it_has_enough_or_is_told_to_end(topics):
    following, counting = start(topics), start(topics, "--count", "2", "--json")
    ids = [topics.event("video.stored", str(uuid.uuid4()))["video_id"] for _ in range(2)]
    lines = [following.stdout.readline() for _ in range(2)]
    assert sorted(line.split()[2] for line in lines) == sorted(ids)
    out, _ = counting.communicate(timeout=harness.WAIT_S)
    assert counting.returncode == 0 and sorted(json.loads(line)["key"] for line in out.splitlines()) == sorted(ids)
    following.send_signal(signal.SIGINT)
    assert following.wait(harness.WAIT_S) == 0 and "Sanitizer" not in following.stderr.read()


def test_it_ends_when_nobody_reads_on_and_when_its_time_is_up(topics):
    following = start(topics)
    following.stdout.close()
    topics.event("video.stored", str(uuid.uuid4()))
    assert following.wait(harness.WAIT_S) == 0 and following.stderr.read() == ""
    end = int(time.time()) + 2
    assert topics.run("--until", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))).returncode == 0 and time.time() >= end
    with open("/dev/full", "w") as full:
        done = subprocess.run([topics.bus.programs / "reelbus-consumer", "tail", "--offset", "beginning", "--until", "now"],
                              env={**harness.os.environ, **topics.bus.common}, stdout=full, stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert done.returncode == 1 and "standard output cannot be written" in done.stderr


def test_it_needs_no_database_and_changes_nothing(topics):
    video_id = str(uuid.uuid4())
    topics.event("video.deleted", video_id)
    assert [record["key"] for record in topics.tail("--offset", "beginning", DATABASE_URL="")] == [video_id]
    groups = confluent_kafka.admin.AdminClient(topics.settings).list_consumer_groups().result().valid
    assert [group.group_id for group in groups if "tail" in group.group_id] == []
