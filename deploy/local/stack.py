"""The local stack: a real Kafka, a private Postgres, the sample provider, and reelbus itself, all below one folder.

`run`, `up`, `down` and `status` beside this file are its commands; the tests start stacks of their own with it. Needs
nothing but Python.
"""

import collections
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEMORY = pathlib.Path("/dev/shm")
MEMORY_NEEDED = 4 << 30  # a Kafka of the tests takes a hundredth of it
KAFKA_JARS = ROOT / ".run/kafka-jars"
POSTGRES_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")

# name, default port, what it is
PORTS = {
    "producer": (8080, "webhooks, status API and page"),
    "metrics": (9465, "the consumer's metrics"),
    "kafka": (19092, "Kafka"),
    "controller": (19093, "Kafka's controller"),
    "postgres": (15432, "Postgres"),
    "provider": (18090, "the sample provider"),
}

WEBHOOK_SECRET = "local-webhook-secret"
PROVIDER_KEY = "sample-key"


class StackError(Exception):
    """Something that the person at the terminal has to know; the text says what to do."""


def port_variable(name):
    return f"REELBUS_PORT_{name.upper()}"


def ports_from_environment():
    ports = {}
    for name, (default, _) in PORTS.items():
        text = os.environ.get(port_variable(name), str(default))
        if not text.isdigit() or not 1 <= int(text) <= 65535:
            raise StackError(f"{port_variable(name)} is {text!r}, expected a port from 1 to 65535")
        ports[name] = int(text)
    return ports


recent_locks = collections.deque(maxlen=200)
stack_locks = []


def lock_port():
    """A port for a test, and the open file that reserves it: a port that the system gives to no connection by itself, that nobody
    uses, and that no other process has reserved in this way."""
    lowest_of_system = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    folder = pathlib.Path(tempfile.gettempdir()) / f"reelbus-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for _ in range(1000):
        port = random.randrange(10000, max(lowest_of_system, 20000))
        lock = open(folder / str(port), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            socket.create_server(("127.0.0.1", port)).close()
            return port, lock
        except OSError:
            lock.close()
    raise StackError(f"1000 ports were tried, and each was in use or locked in {folder}")


def free_port():
    """A port for a program that soon starts and ends; it is reserved until 200 others have been asked for."""
    port, lock = lock_port()
    recent_locks.append(lock)
    return port


def free_ports():
    """The ports of a stack, reserved for as long as this process lives."""
    ports = {}
    for name in PORTS:
        ports[name], lock = lock_port()
        stack_locks.append(lock)
    return ports


def port_is_open(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def process_start(pid):
    """When a process began, in ticks: with its id, a name that is not used again."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError):
        return None


def process_is_zombie(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (OSError, IndexError):
        return False


@dataclasses.dataclass
class Process:
    name: str
    pid: int
    start: int
    log: str
    status: int | None = None  # how it ended, when it was our child

    def alive(self):
        if self.status is not None:
            return False
        try:  # our own child: take its exit status, or it stays as a zombie
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == self.pid:
                self.status = os.waitstatus_to_exitcode(status)
            return pid != self.pid
        except ChildProcessError:
            return process_start(self.pid) == self.start and not process_is_zombie(self.pid)

    def send(self, number):
        if self.alive():
            os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, wait_s=25):
        """End it, by force when it does not want to. Gives whether it went by itself."""
        self.send(number)
        deadline = time.monotonic() + wait_s
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        gentle = not self.alive()
        self.send(signal.SIGKILL)
        while self.alive():
            time.sleep(0.02)
        return gentle

    def tail(self, lines=15):
        try:
            return "\n".join(pathlib.Path(self.log).read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"


class Stack:
    """Everything below `folder`. `attached`: the processes end with this one, whatever ends it. `durable`: the data
    survive a loss of power, not only of their process."""

    def __init__(self, folder, ports, attached=False, say=None, durable=True):
        self.folder = pathlib.Path(folder)
        self.ports = ports
        self.attached = attached
        self.durable = durable
        self.kafka_data = self.place_kafka()
        self.say = say or (lambda text: None)
        self.processes = {}

    # -- processes --------------------------------------------------------------------------------------------------

    def spawn(self, name, command, env=None, wrapper=()):
        dying = ["setpriv", "--pdeathsig", "TERM"] if self.attached else []  # and no code of ours between fork and exec: that is slow
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as output:
            child = subprocess.Popen(
                [str(word) for word in (*dying, *wrapper, *command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                start_new_session=True,  # Ctrl-C is for us: the order of stopping matters
            )
        child.returncode = 0  # waited for by Process.alive
        process = Process(name, child.pid, process_start(child.pid) or 0, str(log))
        self.processes[name] = process
        return process

    def wait_for(self, process, what, ready, wait_s=120):
        deadline = time.monotonic() + wait_s
        while not ready():
            if not process.alive():
                raise StackError(f"{what} did not start. The end of {process.log}:\n{process.tail()}")
            if time.monotonic() > deadline:
                raise StackError(f"{what} is not ready after {wait_s} s. The end of {process.log}:\n{process.tail()}")
            time.sleep(0.05)

    def start(self, what, begin, ready, wait_s=120):
        begun = time.monotonic()
        process = begin()
        self.wait_for(process, what, ready, wait_s)
        self.say(f"{what} is up ({time.monotonic() - begun:.1f} s)")
        return process

    def check_ports(self, names=PORTS):
        for name in names:
            if port_is_open(self.ports[name]):
                raise StackError(
                    f"port {self.ports[name]} ({PORTS[name][1]}) is in use. Choose another one with "
                    f"{port_variable(name)}=PORT, or stop whoever listens there."
                )

    # -- Kafka ------------------------------------------------------------------------------------------------------

    def place_kafka(self):
        """Where Kafka keeps its data. Making and removing thousands of small files is much of what it does in tests: in
        memory, where there is some, that is quick."""
        if self.durable or not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_NEEDED:
            return self.folder / "kafka/data"
        return MEMORY / f"reelbus-kafka-{os.getuid()}-{self.folder_name()}"

    def kafka_command(self, main, *arguments):
        return [
            "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-Xms128m", "-Djava.awt.headless=true",
            "-cp", f"{KAFKA_JARS}/*:{ROOT / 'deploy/local'}", main, *arguments,
        ]  # fmt: skip

    def write_kafka_config(self):
        folder = self.folder / "kafka"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "server.properties"
        config.write_text(f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{self.ports['controller']}
listeners=PLAINTEXT://127.0.0.1:{self.ports['kafka']},CONTROLLER://127.0.0.1:{self.ports['controller']}
advertised.listeners=PLAINTEXT://127.0.0.1:{self.ports['kafka']}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={self.kafka_data}
auto.create.topics.enable=false
num.partitions=6
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=10
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=10
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=500
log.retention.hours=168
log.cleaner.dedupe.buffer.size=16777216
""")
        return config

    def begin_kafka(self):
        config = self.write_kafka_config()
        if not (self.kafka_data / "meta.properties").exists():
            self.kafka_data.mkdir(mode=0o700, parents=True, exist_ok=self.durable)  # in memory nobody else has made it
            subprocess.run(
                self.kafka_command("kafka.tools.StorageTool", "format", "-t", "cmVlbGJ1cy1sb2NhbC0wMQ", "-c", str(config)),
                check=True, capture_output=True,
            )  # fmt: skip
        return self.spawn("kafka", self.kafka_command("kafka.Kafka", str(config)))

    def start_kafka(self):
        if not KAFKA_JARS.is_dir():
            raise StackError("Kafka is not installed; run deploy/install-deps run")
        return self.start("Kafka", self.begin_kafka, lambda: port_is_open(self.ports["kafka"]), 180)

    # -- Postgres ---------------------------------------------------------------------------------------------------

    def place_postgres(self):
        """Where Postgres keeps its data, and how it is started. It refuses to run as root: then it runs as the user of its
        package, and where that one may not look into our folder (as into root's home), the data lies in /var/tmp."""
        folder = self.folder / "postgres"
        if os.geteuid() != 0:
            return folder, []
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        folder.mkdir(parents=True, exist_ok=True)
        if subprocess.run([*as_postgres, "test", "-x", folder], capture_output=True).returncode != 0:
            folder = self.other_postgres_folder()
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.is_symlink() or folder.owner() not in ("root", "postgres"):
                raise StackError(f"{folder} belongs to {folder.owner()}; remove it, or run this from a folder that all may read")
            self.say(f"Postgres may not look into {self.folder}; its data is in {folder}")
        subprocess.run(["chown", "-R", "postgres:postgres", folder], check=True)
        return folder, [*as_postgres, *(["--pdeathsig", "INT"] if self.attached else [])]

    def other_postgres_folder(self):
        return pathlib.Path(f"/var/tmp/reelbus-postgres-{self.folder_name()}")

    def folder_name(self):
        """A short name for our folder, for what lies elsewhere."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]

    def wipe(self):
        """Remove all data. Nothing may be running."""
        for folder in (self.folder, self.other_postgres_folder(), self.kafka_data):
            shutil.rmtree(folder, ignore_errors=True)

    def begin_postgres(self):
        folder, wrapper = self.place_postgres()
        data = folder / "data"
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(data, ignore_errors=True)
            made = subprocess.run(
                [*wrapper, POSTGRES_BIN / "initdb", "-D", data, "-U", "app", "-A", "trust", "-E", "UTF8", "--no-sync",
                 "--locale=C.UTF-8"], capture_output=True, text=True, cwd="/",
            )  # fmt: skip
            if made.returncode != 0:
                raise StackError(f"initdb failed:\n{made.stderr}")
        (data / "postmaster.pid").unlink(missing_ok=True)  # left by a kill -9; the port was checked
        return self.spawn(
            "postgres",
            [POSTGRES_BIN / "postgres", "-D", data, "-p", self.ports["postgres"], "-k", data,
             "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=100", "-c", "shared_buffers=64MB",
             "-c", f"fsync={'on' if self.durable else 'off'}"],
            wrapper=wrapper,
        )  # fmt: skip

    def database_url(self, name="app"):
        return f"postgresql://app@127.0.0.1:{self.ports['postgres']}/{name}"

    def psql(self, sql, database="app"):
        done = subprocess.run(
            [POSTGRES_BIN / "psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", self.database_url(database)],
            input=sql, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise StackError(f"Postgres refuses: {done.stderr.strip()}")
        return done.stdout.strip()

    def postgres_is_ready(self):
        return subprocess.run(
            [POSTGRES_BIN / "pg_isready", "-q", "-d", self.database_url("postgres")]
        ).returncode == 0

    def start_postgres(self):
        return self.start("Postgres", self.begin_postgres, self.postgres_is_ready)

    def create_database(self, name="app"):
        """A database with the application's table in it, as the sample application has it."""
        if self.psql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'", "postgres") != "1":
            self.psql(f'CREATE DATABASE "{name}"', "postgres")
        self.psql((ROOT / "deploy/sample/app.sql").read_text(), name)

    # -- the sample provider and reelbus ------------------------------------------------------------------------------

    def http_is_up(self, name, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def start_provider(self, *arguments):
        command = [sys.executable, ROOT / "deploy/sample/provider", "--listen", f"127.0.0.1:{self.ports['provider']}",
                   "--key", PROVIDER_KEY, *arguments]  # fmt: skip
        return self.start("the sample provider", lambda: self.spawn("provider", command),
                          lambda: self.http_is_up("provider", "/healthz"))

    def common_options(self, database="app"):
        return {
            "REELBUS_KAFKA_BROKERS": f"127.0.0.1:{self.ports['kafka']}",
            "REELBUS_DATABASE_URL": self.database_url(database),
            "REELBUS_PROVIDERS": str(self.write_providers()),
            "PROVIDER_KEY": PROVIDER_KEY,
        }

    def write_providers(self):
        """The sample provider, as both programs are told of it."""
        api = {"kind": "openai", "base_url": f"http://127.0.0.1:{self.ports['provider']}/v1", "key_env": "PROVIDER_KEY"}
        path = self.folder / "providers.json"
        path.write_text(json.dumps({"providers": [{"name": "sample", "api": api}]}, indent=2) + "\n")
        return path

    def producer_options(self):
        return {
            **self.common_options(),
            "REELBUS_LISTEN": f"127.0.0.1:{self.ports['producer']}",
            "REELBUS_MEDIA_DIR": str(self.folder / "store"),
            "VIDEO_WEBHOOK_SECRET": WEBHOOK_SECRET,
        }

    def consumer_options(self):
        return {
            **self.common_options(),
            "REELBUS_FILE_ROOT": str(self.folder / "store"),
            "REELBUS_FILE_PUBLIC_URL": f"http://127.0.0.1:{self.ports['producer']}/media/",
            "REELBUS_SOURCE_PORTS": "any",
            "REELBUS_SOURCE_ALLOW_PRIVATE": "true",
            "REELBUS_METRICS_LISTEN": f"127.0.0.1:{self.ports['metrics']}",
            "REELBUS_GROUP_INSTANCE_ID": "local-1",
        }

    def setup(self, binaries=ROOT / "build"):
        done = subprocess.run([binaries / "reelbus-consumer", "setup"], env={**os.environ, **self.consumer_options()},
                              capture_output=True, text=True)  # fmt: skip
        if done.returncode != 0:
            raise StackError(f"reelbus-consumer setup failed: {done.stderr.strip()}")

    def start_producer(self, binaries=ROOT / "build"):
        return self.start("reelbus-producer",
                          lambda: self.spawn("producer", [binaries / "reelbus-producer"], self.producer_options()),
                          lambda: self.http_is_up("producer", "/readyz"), 30)  # fmt: skip

    def start_consumer(self, binaries=ROOT / "build"):
        return self.start("reelbus-consumer",
                          lambda: self.spawn("consumer", [binaries / "reelbus-consumer"], self.consumer_options()),
                          lambda: self.http_is_up("metrics", "/readyz"), 30)  # fmt: skip

    def start_jobs(self, every_s=5):
        command = [sys.executable, ROOT / "deploy/sample/jobs", "--every", str(every_s),
                   "--database", self.database_url(), "--provider", f"http://127.0.0.1:{self.ports['provider']}",
                   "--webhook", f"http://127.0.0.1:{self.ports['producer']}/api/webhook/video-complete"]  # fmt: skip
        return self.spawn("jobs", command, {"PROVIDER_KEY": PROVIDER_KEY, "VIDEO_WEBHOOK_SECRET": WEBHOOK_SECRET})

    def start_all(self):
        self.check_ports()
        self.start_postgres()
        self.create_database()
        self.start_kafka()
        self.setup()
        self.say("tables, topics and schemas are there")
        self.start_provider()
        self.start_producer()
        self.start_consumer()
        self.start_jobs()
        self.say("a video is asked for every 5 s")

    def stop_all(self):
        """In the order of the way, so that nothing fails because of what it needs. Postgres stops fast on SIGINT."""
        for name in ("jobs", "producer", "provider", "consumer", "kafka", "postgres"):
            process = self.processes.get(name)
            if process is not None and process.alive():
                process.stop(signal.SIGINT if name == "postgres" else signal.SIGTERM)
                self.say(f"{name} stopped")

    # -- for those who come later -----------------------------------------------------------------------------------

    def state_file(self):
        return self.folder / "processes.json"

    def save(self):
        state = {"ports": self.ports, "processes": [dataclasses.asdict(process) for process in self.processes.values()]}
        self.state_file().write_text(json.dumps(state, indent=2) + "\n")

    def load(self):
        try:
            state = json.loads(self.state_file().read_text())
        except FileNotFoundError:
            return self
        self.ports = state["ports"]
        self.processes = {row["name"]: Process(**row) for row in state["processes"]}
        return self

    def running(self):
        return [process for process in self.processes.values() if process.alive()]


def local_folder():
    return pathlib.Path(os.environ.get("REELBUS_RUN_DIR") or ROOT / ".run").resolve()


def refuse_second(stack):
    running = stack.load().running()
    if running:
        names = ", ".join(process.name for process in running)
        raise StackError(f"already running: {names}. Stop them with deploy/local/down")


def main(command):
    """Run a command of this folder; errors are said in one line, and the exit status is 1."""
    try:
        sys.exit(command())
    except StackError as problem:
        sys.exit(f"reelbus: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
