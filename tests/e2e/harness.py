"""What the tests do to reelbus, and how they look at what came of it: through clients that share no code with it."""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import time
import uuid

import confluent_kafka
import fastavro
import prometheus_client.parser
import psycopg
import psycopg.rows
import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy/local"))
import stack as local

socketserver.BaseServer.serve_forever.__defaults__ = (0.02,)  # shutdown() waits for its next look: half a second else
socketserver.TCPServer.request_queue_size = 1024  # of all that tests serve: 5 are soon full, and a connection then takes a second

SECRET = "canary-webhook-secret"
SCHEMAS = {path.stem: fastavro.parse_schema(json.loads(path.read_text())) for path in (ROOT / "schemas").glob("*.avsc")}
WAIT_S = 120  # costs nothing where it is not needed; machines are shared
PROMPT = {"fetch.wait.max.ms": 1, "reconnect.backoff.ms": 1}  # for who looks at Kafka: the end of a topic is told half a second late else

# Which schema belongs to which topic.
TOPICS = {
    "video.webhook.received": "video_webhook_received",
    "video.poll.result": "video_poll_result",
    "video.stored": "video_stored",
    "video.store_failed": "video_store_failed",
    "video.deleted": "video_deleted",
    "video.store.retry": "video_store_retry",
}


def mp4_box(kind, *parts):
    body = b"".join(parts)
    return (8 + len(body)).to_bytes(4, "big") + kind + body


# The least that is an MP4 with a video in it, but for its mdat; and a whole one.
MP4_HEAD = mp4_box(b"ftyp", b"isom\0\0\0\0") + mp4_box(b"moov", mp4_box(b"trak", mp4_box(b"mdia", mp4_box(b"hdlr", b"\0" * 8, b"vide"))))
TINY_MP4 = MP4_HEAD + mp4_box(b"mdat", b"abc")


def alike(values):
    """Parameters that take one and the same way through the C code: under sanitizers the first of them is enough."""
    rest = [value if isinstance(value, tuple) else (value,) for value in values[1:]]
    return [values[0], *(pytest.param(*value, marks=pytest.mark.release_only) for value in rest)]


def binaries(build):
    return ROOT / "build" if build == "release" else ROOT / "build" / build


def wait_for(condition, what, wait_s=WAIT_S):
    """Wait until a condition is truthy and give its value. The only way in which tests wait."""
    begun = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - begun
        if waited > wait_s:
            raise AssertionError(f"not within {wait_s} s: {what}")
        time.sleep(min(0.02 + waited / 50, 0.1))  # who waits long needs not look often: the cores are for those who work


def fingerprint(schema):
    """CRC-64-AVRO by fastavro, as the bytes of a single-object prefix."""
    form = fastavro.schema.to_parsing_canonical_form(schema)
    return bytes.fromhex(fastavro.schema.fingerprint(form, "CRC-64-AVRO"))


def encode(name, **event):
    """Single-object encoding, by fastavro."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, SCHEMAS[name], event)
    return b"\xc3\x01" + fingerprint(SCHEMAS[name]) + stream.getvalue()


class Stack(local.Stack):
    """With a second door to Kafka: those who come in there are sent to the port `wire`, where tests may listen and lead on to
    `wired` whom they like. And groups and transactions whose owners are silent are given up soon when these ask for it."""

    MORE = "inter.broker.listener.name=PLAINTEXT\ngroup.min.session.timeout.ms=500\ntransaction.abort.timed.out.transaction.cleanup.interval.ms=500\n"

    def write_kafka_config(self):
        config = super().write_kafka_config()
        settings = dict(line.split("=", 1) for line in config.read_text().splitlines())
        settings["listeners"] += f",WIRED://127.0.0.1:{self.ports['wired']}"
        settings["advertised.listeners"] += f",WIRED://127.0.0.1:{self.ports['wire']}"
        settings["listener.security.protocol.map"] += ",WIRED:PLAINTEXT"
        config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()) + self.MORE)
        return config


def ports_and_wire():
    ports = local.free_ports()
    for name in ("wire", "wired"):
        ports[name], lock = local.lock_port()
        local.stack_locks.append(lock)
    return ports


@contextlib.contextmanager
def test_stack():
    """Kafka, Postgres and the sample provider, on ports of their own, for as long as the tests run."""
    folder = ROOT / ".run/tests" / os.environ.get("PYTEST_XDIST_WORKER", "one")
    stack = Stack(folder, ports_and_wire(), attached=True, durable=False)
    stack.wipe()
    try:
        stack.start_postgres()
        stack.create_database("template_app")
        stack.start_kafka()
        stack.start_provider("--bytes", str(1 << 20))
        yield stack
    finally:
        stack.stop_all()
        for folder in (stack.other_postgres_folder(), stack.kafka_data):
            shutil.rmtree(folder, ignore_errors=True)


class Program:
    """One of our programs, running."""

    def __init__(self, bus, name, command, env, port):
        self.bus = bus
        self.port = port
        self.process = bus.stack.spawn(name, command, env)

    @property
    def log(self):
        """What it has said so far. The lines of one turn of its loop are written when the turn ends; it has ended when the
        next request is answered."""
        if self.process.alive():
            with contextlib.suppress(requests.RequestException):
                requests.get(self.url("/healthz"), timeout=20)
        return pathlib.Path(self.process.log).read_text(errors="replace")

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path, **arguments):
        return requests.get(self.url(path), timeout=60, **arguments)

    def metrics(self):
        """All that /metrics shows, as Prometheus' own client reads it: name -> family."""
        return {family.name: family for family in prometheus_client.parser.text_string_to_metric_families(self.get("/metrics").text)}

    def metric(self, name, **labels):
        """The value of one series, by the name it has on its line; None when there is none."""
        for family in self.metrics().values():
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None

    def is_ready(self):
        assert self.process.alive(), f"ended with {self.process.status}: {self.process.tail(30)}"
        try:
            return self.get("/readyz").status_code == 200
        except requests.RequestException:
            return False

    def kill(self):
        self.process.send(signal.SIGKILL)
        wait_for(lambda: not self.process.alive(), "killed")

    def stop(self):
        """End it as an operator does. It must end by itself, with status 0, and without a complaint of a sanitizer."""
        if self.process.alive():
            assert self.process.stop(signal.SIGTERM, WAIT_S), f"did not stop: {self.process.tail()}"
            assert self.process.status == 0, f"ended with {self.process.status}: {self.process.tail(40)}"
        log = self.log
        assert "Sanitizer" not in log and "runtime error" not in log, self.process.tail(60)
        assert "ev=bug" not in log, self.process.tail(20)
        assert SECRET not in log and "canary" not in log


class Bus:
    count = 0

    def __init__(self, stack, name, programs):
        Bus.count += 1
        self.stack = stack
        self.number = f"t{Bus.count}"
        self.prefix = f"{self.number}."
        self.programs = programs
        self.folder = stack.folder / "bus" / f"{Bus.count:03d}-{re.sub(r'[^a-z0-9_]+', '-', name)[:60]}"
        self.store = self.folder / "store"
        self.folder.mkdir(parents=True)
        self.started = []
        self.before = lambda port: []  # words before the command of a program that listens on this port
        self.user = str(uuid.uuid4())
        stack.psql(f'CREATE DATABASE "{self.number}" TEMPLATE template_app', "postgres")
        self.database_url = stack.database_url(self.number)
        self.common = {
            "REELBUS_KAFKA_BROKERS": f"127.0.0.1:{stack.ports['kafka']}",
            "REELBUS_KAFKA": "statistics.interval.ms=100",
            "REELBUS_TOPIC_PREFIX": self.prefix,
            "DATABASE_URL": self.database_url,
            "REELBUS_DB_TIMEOUT_MS": "30s",  # and with the others below: nothing is given up because the machine is busy
            "REELBUS_DB_CONNECT_TIMEOUT_MS": "30s",
            "ASAN_OPTIONS": "detect_leaks=1",
            "TSAN_OPTIONS": f"suppressions={ROOT / 'tests/tsan.supp'}",
            "LSAN_OPTIONS": f"suppressions={ROOT / 'tests/lsan.supp'}:print_suppressions=0",
        }
        for _ in range(3):  # a Kafka that was just started again may take its time
            done = self.run_setup()
            if done.returncode == 0 or "Kafka" not in done.stderr:
                break
        assert done.returncode == 0, done.stderr

    # -- programs -------------------------------------------------------------------------------------------------

    def run(self, program, *arguments, env=None):
        """Run a program to its end."""
        return subprocess.run([self.programs / program, *arguments], env={**os.environ, **self.common, **(env or {})},
                              capture_output=True, text=True, timeout=120)  # fmt: skip

    def run_setup(self, **options):
        return self.run("reelbus-consumer", "setup", "--topic-partitions", "3", env=options)

    def setup(self, **options):
        done = self.run_setup(**options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, program, port, options, wait):
        command = [*self.before(port), self.programs / program]
        begun = Program(self, f"bus/{self.folder.name}/{program}-{len(self.started)}", command,
                        {**self.common, **{name: str(value) for name, value in options.items()}}, port)  # fmt: skip
        self.started.append(begun)
        if wait:
            wait_for(begun.is_ready, f"{program} is ready: {begun.process.tail()}")
        return begun

    def start_producer(self, wait=True, port=None, **options):
        port = port or local.free_port()
        defaults = {
            "REELBUS_LISTEN": f"127.0.0.1:{port}",
            "REELBUS_MEDIA_DIR": self.store,
            "REELBUS_PUBLISH_TIMEOUT_MS": "30s",
            "REELBUS_RESOLVE_TIMEOUT_MS": "30s",
            "VIDEO_WEBHOOK_SECRET": SECRET,
        }
        self.producer = self.start("reelbus-producer", port, {**defaults, **options}, wait)
        if wait and not {"DATABASE_URL", "REELBUS_DATABASE_URL"} & set(options):  # without one it is ready, and checks no webhook
            wait_for(lambda: self.producer.metric("reelbus_database_up") == 1, "the producer has its database")
        return self.producer

    def consumer_options(self):
        return {
            "REELBUS_FILE_ROOT": self.store,
            "REELBUS_FILE_PUBLIC_URL": f"http://127.0.0.1:{getattr(self, 'producer', None) and self.producer.port or 1}/media/",
            "REELBUS_SOURCE_PORTS": "any",
            "REELBUS_SOURCE_ALLOW_PRIVATE": "true",
            "REELBUS_GROUP": f"{self.number}-group",
            "REELBUS_GROUP_INSTANCE_ID": "one",
            "REELBUS_RETRY_FIRST_MS": "50ms",
            "REELBUS_RETRY_MAX_MS": "200ms",
            "REELBUS_STORE_PROBE_FIRST_MS": "50ms",
            "REELBUS_STORE_PROBE_MAX_MS": "200ms",
            "REELBUS_COMMIT_INTERVAL_MS": "50ms",
            "REELBUS_PUBLISH_TIMEOUT_MS": "60s",
        }

    def start_consumer(self, wait=True, **options):
        port = local.free_port()
        defaults = {"REELBUS_METRICS_LISTEN": f"127.0.0.1:{port}", **self.consumer_options()}
        if options.get("REELBUS_GROUP_INSTANCE_ID") == "":  # several on one host
            defaults["REELBUS_TRANSACTIONAL_ID"] = f"{self.number}-{len(self.started)}"
        self.consumer = self.start("reelbus-consumer", port, {**defaults, **options}, wait)
        return self.consumer

    def close(self):
        try:
            for program in reversed(self.started):
                if program.process.status != -signal.SIGKILL:
                    program.stop()
        finally:
            for program in self.started:
                program.process.send(signal.SIGKILL)

    # -- the application and its provider ----------------------------------------------------------------------------

    def connect(self):
        return psycopg.connect(self.database_url, autocommit=True, row_factory=psycopg.rows.dict_row)

    def query(self, sql, *values):
        with self.connect() as connection:
            cursor = connection.execute(sql, values)
            return cursor.fetchall() if cursor.description else None

    def insert_video(self, prompt="a test"):
        rows = self.query("INSERT INTO video_history (user_id, prompt) VALUES (%s, %s) RETURNING id::text", self.user, prompt)
        return rows[0]["id"]

    def video_row(self, video_id):
        """The application's row and ours, side by side."""
        rows = self.query("SELECT h.video_url, h.status, v.* FROM video_history h LEFT JOIN reelbus.video v"
                          " ON v.video_id = h.id WHERE h.id = %s", video_id)  # fmt: skip
        return rows[0]

    def provider(self, method, path, **arguments):
        headers = {"Authorization": "Bearer " + local.PROVIDER_KEY}
        return requests.request(method, f"http://127.0.0.1:{self.stack.ports['provider']}{path}", headers=headers,
                                timeout=WAIT_S, **arguments)  # fmt: skip

    def ask_for_video(self, video_id, call_back=True, **behaviour):
        """Ask the provider for a video; it calls our webhook by itself. Gives the provider's id."""
        request = {"prompt": "a test", "metadata": {"videoId": video_id}, "behaviour": {"generate_s": 0, **behaviour}}
        if call_back:
            request["webhook"] = {"url": self.producer.url("/api/webhook/video-complete"), "secret": SECRET}
        answer = self.provider("POST", "/v1/videos", json=request)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    def deliveries(self, provider_video):
        """What became of the webhooks that the provider has sent about a video."""
        return self.provider("GET", f"/v1/videos/{provider_video}/deliveries").json()["data"]

    def source_bytes(self, provider_video):
        answer = self.provider("GET", f"/v1/videos/{provider_video}/content")
        assert answer.status_code == 200
        return answer.content

    def store_video(self, **behaviour):
        """One video, all the way: insert, generate, webhook. Gives its id and the provider's."""
        video_id = self.insert_video()
        return video_id, self.ask_for_video(video_id, **behaviour)

    def webhook(self, body, secret=SECRET, headers=None, path="/api/webhook/video-complete"):
        """Call our webhook as a sender of our own choosing."""
        all_headers = {"Content-Type": "application/json", **({"x-webhook-secret": secret} if secret else {}), **(headers or {})}
        data = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return requests.post(self.producer.url(path), data=data, headers=all_headers, timeout=WAIT_S)

    def send(self, url, video_id=None, expires_at=None, expires_s=None, **more):
        """A webhook of another sender than the provider, about a video at this URL. Gives the video's id."""
        video_id = video_id or self.insert_video()
        expires_at = int(time.time()) + expires_s if expires_s is not None else expires_at
        body = {"videoId": video_id, "videoUrl": url, "status": "completed", "expiresAt": expires_at, **more}
        assert self.webhook(body).status_code == 200
        return video_id

    def forget(self, video_id):
        """As if the consumer had been killed after the object was written, and before the row was."""
        self.query("UPDATE video_history SET status = 'processing', video_url = NULL WHERE id = %s", video_id)
        self.query("DELETE FROM reelbus.video WHERE video_id = %s", video_id)

    # -- what came of it -------------------------------------------------------------------------------------------

    def object_path(self, video_id):
        return self.store / "videos" / self.user / f"{video_id}.mp4"

    def objects(self):
        """All files in the store, finished or not, but for those with which the consumer looks whether it can write."""
        files = (path for path in self.store.rglob("*") if path.is_file() and not path.name.endswith(".check.part"))
        return sorted(str(path.relative_to(self.store)) for path in files)

    def partitions(self, consumer, topic):
        """The partitions of a topic; none while Kafka has just been started, and does not know yet."""
        try:
            return list(consumer.list_topics(topic, 20).topics[topic].partitions)
        except confluent_kafka.KafkaException:
            return []

    def records(self, topic, isolation="read_committed"):
        """All records of a topic that are there now."""
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.common["REELBUS_KAFKA_BROKERS"], "group.id": str(uuid.uuid4()),
            "enable.auto.commit": False, "isolation.level": isolation, "enable.partition.eof": True, **PROMPT,
        })  # fmt: skip
        try:
            partitions = wait_for(lambda: self.partitions(consumer, self.prefix + topic), f"Kafka tells of {topic}")
            consumer.assign([confluent_kafka.TopicPartition(self.prefix + topic, number, 0) for number in partitions])
            records, open_partitions = [], set(partitions)
            while open_partitions:
                record = consumer.poll(WAIT_S)
                assert record is not None, f"Kafka gives nothing for {topic}"
                if record.error() is None:
                    records.append(record)
                elif record.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    open_partitions.discard(record.partition())
                elif not record.error().retriable():
                    raise confluent_kafka.KafkaException(record.error())
            return records
        finally:
            consumer.close()

    def send_webhook_event(self, video_id, url, **fields):
        """The record that a producer would have sent, by somebody who checks nothing. The URL may be any bytes."""
        url = url if isinstance(url, bytes) else url.encode()
        filler = "u" * len(url)
        event = {"event_id": str(uuid.uuid4()), "video_id": video_id, "user_id": self.user, "status": "completed", "video_url": filler,
                 "scheme": "plain", "checked": True, "received_at": int(time.time() * 1000), **fields}  # fmt: skip
        value = encode("video_webhook_received", **event).replace(filler.encode() or b"\0never", url)
        self.produce("video.webhook.received", value, video_id)

    def produce(self, topic, value, key, timestamp=0):
        """timestamp: seconds since 1970, if not now."""
        if not hasattr(self, "kafka_producer"):
            self.kafka_producer = confluent_kafka.Producer({"bootstrap.servers": self.common["REELBUS_KAFKA_BROKERS"]})
        refused = []
        self.kafka_producer.produce(self.prefix + topic, value, key, timestamp=int(timestamp * 1000),
                                    on_delivery=lambda error, _: error and refused.append(error))  # fmt: skip
        assert self.kafka_producer.flush(60) == 0 and not refused, refused

    def send_again(self, record):
        """Another record with the same event, as after a crash of whoever sent it."""
        producer = confluent_kafka.Producer({"bootstrap.servers": self.common["REELBUS_KAFKA_BROKERS"]})
        producer.produce(record.topic(), record.value(), record.key(), headers=record.headers())
        assert producer.flush(60) == 0

    def decode(self, topic, record):
        """Single-object encoding, by fastavro: the fingerprint must be that of our schema."""
        schema = SCHEMAS[TOPICS[topic]]
        value = record.value()
        assert value[:2] == b"\xc3\x01" and value[2:10] == fingerprint(schema)
        stream = io.BytesIO(value[10:])
        event = fastavro.schemaless_reader(stream, schema)
        assert stream.read() == b""
        return event

    def events(self, topic, video_id=None):
        events = [self.decode(topic, record) for record in self.records(topic)]
        return [event for event in events if video_id in (None, event["video_id"])]

    def wait_for_event(self, topic, video_id, wait_s=WAIT_S):
        """The one event about a video; more than one is a failure."""
        events = wait_for(lambda: self.events(topic, video_id), f"{topic} of {video_id}", wait_s)
        assert len(events) == 1, events
        return events[0]

    def assert_stored(self, video_id, provider_video):
        """Row, object and event agree, and the bytes are the source's."""
        event = self.wait_for_event("video.stored", video_id)
        source = self.source_bytes(provider_video)
        digest = hashlib.sha256(source).hexdigest()
        row = self.video_row(video_id)
        assert self.object_path(video_id).read_bytes() == source
        assert (row["state"], row["status"]) == ("stored", "completed")
        assert row["bytes"] == event["bytes"] == len(source)
        assert row["sha256"] == event["sha256"] == digest
        assert row["video_url"] == row["stored_url"] == event["video_url"]
        assert row["source_url"] == event["source_url"]
        assert row["object_key"] == event["object_key"] == f"{self.user}/{video_id}.mp4"
        assert event["bucket"] == "videos" and event["store"] == "file" and event["user_id"] == self.user
        return event, row

    def assert_not_stored(self, video_id, code, failure_class):
        """A failure leaves no object and no row that points at one, and the original URL where it was."""
        event = self.wait_for_event("video.store_failed", video_id)
        row = self.video_row(video_id)
        assert (event["code"], event["class"]) == (code, failure_class), event["message"]
        assert (row["error_code"], row["error_class"], row["state"]) == (code, failure_class, "failed")
        assert row["status"] == "failed" and row["video_url"] == row["source_url"] == event["source_url"]
        assert row["stored_url"] is None and row["object_key"] is None
        assert self.objects() == [] and self.events("video.stored", video_id) == []
        return event, row

    def committed(self):
        """Offset that the group has committed and end of the log, summed over the input topics."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.common["REELBUS_KAFKA_BROKERS"],
                                             "group.id": f"{self.number}-group", **PROMPT})  # fmt: skip
        try:
            total = end = 0
            for topic in ("video.webhook.received", "video.poll.result", "video.store.retry"):
                partitions = [confluent_kafka.TopicPartition(self.prefix + topic, number) for number in range(3)]
                for partition in consumer.committed(partitions, timeout=20):
                    total += max(partition.offset, 0)
                    end += consumer.get_watermark_offsets(partition, timeout=20)[1]
            return total, end
        finally:
            consumer.close()

    def wait_until_finished(self):
        def is_finished():
            try:
                return len(set(self.committed())) == 1
            except confluent_kafka.KafkaException:
                return False  # a Kafka that has just started looks for the coordinator of a group for a while

        wait_for(is_finished, "all records are finished and committed")


def raw_http(port, request, wait_s=WAIT_S):
    """Send bytes, read until the other side closes or has sent a whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer
