"""The servers that are measured, on a stack of their own: each with a port, a topic and a process."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import urllib.request

import fastavro
import psycopg

import signed

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy/local"))
import stack as local

TOPIC = "video.webhook.received"
SCHEMA = fastavro.parse_schema(json.loads((ROOT / "schemas/video_webhook_received.avsc").read_text()))
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def fingerprint():
    form = fastavro.schema.to_parsing_canonical_form(SCHEMA)
    return fastavro.schema.fingerprint(form, "CRC-64-AVRO")


def cpu_s(process):
    """What a process has used of the processors, with all its threads."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def children_cpu_s(process):
    """What the processes that it has started have used, without itself: Postgres has one for each connection."""
    total = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it may end just now
            fields = path.read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12]) if int(fields[1]) == process.pid else 0
    return total / TICKS_PER_S


class Server:
    """One that is measured. `letter` names it in tables, `load` says what it is sent."""

    load = "plain"
    path = "/api/webhook/video-complete"
    avro = True  # the value is an Avro event, not the body as it came

    def __init__(self, stack, letter, title):
        self.stack = stack
        self.letter = letter
        self.title = title
        self.port = None  # chosen when it starts: nobody else takes it in between
        self.prefix = f"{letter}."
        self.topic = self.prefix + TOPIC
        self.brokers = f"127.0.0.1:{stack.ports['kafka']}"
        self.process = None

    def start(self):
        self.stack.setup_topics(self.prefix)
        self.port = local.free_port()
        self.process = self.stack.start(self.title, lambda: self.stack.spawn(self.letter, self.command(), self.environment()),
                                        self.is_ready, 30)  # fmt: skip

    def environment(self):
        return {}

    def is_ready(self):
        return local.port_is_open(self.port)

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024

    def profile(self):
        return contextlib.nullcontext()

    def stop(self):
        """End it. Gives how many requests it says it has answered 200."""
        self.process.stop()
        return int(re.search(r"^delivered (\d+)$", self.process.tail(1), re.MULTILINE)[1])


class Floor(Server):
    avro = False
    extra = ()

    def command(self):
        return [ROOT / "build/bench/floor", self.port, self.brokers, self.topic, *self.extra]


class KeyedFloor(Floor):
    extra = ("keyed",)


class Node(Server):
    def command(self):
        return ["node", ROOT / "tests/bench/node/server.js", self.port, self.brokers, self.topic]

    def environment(self):
        return {
            "NODE_PATH": str(ROOT / ".run/node/node_modules"),
            "NODE_ENV": "production",
            "KAFKAJS_NO_PARTITIONER_WARNING": "1",
            "VIDEO_WEBHOOK_SECRET": local.WEBHOOK_SECRET,
            "AVRO_FINGERPRINT": fingerprint(),
        }


class Reelbus(Server):
    def __init__(self, stack, letter, title, binaries):
        super().__init__(stack, letter, title)
        self.binaries = binaries

    def command(self):
        return [self.binaries / "reelbus-producer"]

    def environment(self):
        return {
            **self.stack.common_options(),
            "REELBUS_LISTEN": f"127.0.0.1:{self.port}",
            "REELBUS_TOPIC_PREFIX": self.prefix,
            "REELBUS_PROVIDERS": "",
            "REELBUS_CHECK_VIDEOS": "false",
            "REELBUS_MAX_CONNECTIONS_PER_ADDRESS": "0",  # wrk has but one address
            "VIDEO_WEBHOOK_SECRET": local.WEBHOOK_SECRET,
        }

    @contextlib.contextmanager
    def profile(self):
        """perf watches it. Where the kernel counts no cycles, as in many virtual machines, the clock has to do."""
        data = self.stack.folder / f"perf-{self.letter}.data"
        perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "-g", "-p", str(self.process.pid), "-o", data],
                                stdout=subprocess.DEVNULL)  # fmt: skip
        try:
            yield
        finally:
            perf.send_signal(signal.SIGINT)
            perf.wait()
            self.stack.say(f"({self.letter}) profile: perf report --no-children -i {data}")

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return answer.read().decode()

    def is_ready(self):
        try:
            return bool(self.get("/readyz"))
        except OSError:
            return False

    def stop(self):
        lines = re.findall(r'^reelbus_webhooks_total\{[^}]*outcome="accepted"[^}]*\} (\d+)$', self.get("/metrics"), re.MULTILINE)
        self.process.stop()
        return sum(int(line) for line in lines)


class Signed(Reelbus):
    """A provider with Standard Webhooks, and videos that the application has."""

    load = "signed"
    path = "/webhooks/bench"
    VIDEOS = 20_000

    def start(self):
        with self.stack.database() as database:
            rows = database.execute("INSERT INTO video_history (user_id, prompt) SELECT gen_random_uuid(), '' "
                                    "FROM generate_series(1, %s) RETURNING id::text", [self.VIDEOS])  # fmt: skip
            self.videos = [row[0] for row in rows]
            database.execute("ANALYZE video_history")
        super().start()

    def environment(self):
        provider = {"name": "bench", "webhook": {"scheme": "standard", "body": "plain", "secret": signed.SECRET}}
        path = self.stack.folder / "bench.json"  # providers.json has the sample provider
        path.write_text(json.dumps({"providers": [provider]}))
        return {**super().environment(), "REELBUS_PROVIDERS": str(path), "REELBUS_CHECK_VIDEOS": "true"}


class Stack(local.Stack):
    """Kafka and Postgres alone, with the tables that reelbus wants."""

    def __init__(self, say):
        super().__init__(ROOT / ".run/bench", local.free_ports(), attached=True, say=say)

    def kafka_command(self, main, *arguments):
        """As in production: the local stack compiles lightly, so that it is up soon."""
        return [word for word in super().kafka_command(main, *arguments) if word != "-XX:TieredStopAtLevel=1"]

    def open(self):
        self.wipe()
        self.start_postgres()
        self.create_database()
        self.start_kafka()

    def close(self):
        """Stop all. What came to lie on Kafka is not needed any more; logs are."""
        self.stop_all()
        for folder in ("kafka", "postgres"):
            shutil.rmtree(self.folder / folder, ignore_errors=True)
        shutil.rmtree(self.other_postgres_folder(), ignore_errors=True)

    def setup_topics(self, prefix):
        os.environ["REELBUS_TOPIC_PREFIX"] = prefix
        try:
            self.setup()
        finally:
            del os.environ["REELBUS_TOPIC_PREFIX"]

    def database(self):
        return psycopg.connect(self.database_url(), autocommit=True)
