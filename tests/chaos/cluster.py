"""Three brokers, Postgres, an S3 server and the provider on one machine, with wires before them that can be cut."""

import pathlib
import subprocess
import sys
import threading
import time

import confluent_kafka.admin
import harness
import s3
from harness import local

KEY = local.PROVIDER_KEY


def port():
    number, lock = local.lock_port()
    local.stack_locks.append(lock)
    return number


class Cluster(local.Stack):
    """Nothing here forks from a thread with Python code in between: setpriv lets children die with us."""

    def __init__(self, folder, brokers, broker_session_s, relay):
        super().__init__(folder, local.free_ports(), durable=False)
        self.relay, self.brokers, self.commands = relay, range(1, brokers + 1), {}
        self.broker_session_s = broker_session_s
        self.broker_ports = {node: {name: port() for name in ("inside", "client", "controller", "wire")} for node in self.brokers}
        self.wired = {name: port() for name in ("postgres", "source", "s3")}
        relay.wire("postgres", self.wired["postgres"], self.ports["postgres"])
        relay.wire("source", self.wired["source"], self.ports["provider"])
        for node, ports in self.broker_ports.items():
            relay.wire(f"kafka{node}", ports["wire"], ports["client"])

    def spawn(self, name, command, env=None, wrapper=()):
        self.commands[name] = (command, env, wrapper)
        return super().spawn(name, command, env, ("setpriv", "--pdeathsig", "KILL", *wrapper))

    def spawn_again(self, name):
        return self.spawn(name, *self.commands[name])

    def place_postgres(self):
        folder, wrapper = super().place_postgres()
        return folder, [*wrapper, *(["--pdeathsig", "INT"] if wrapper else [])]

    # -- Kafka: ours go through the wires, the auditor and the brokers themselves do not -----------------------------------

    def addresses(self, which):
        return ",".join(f"127.0.0.1:{ports[which]}" for ports in self.broker_ports.values())

    def kafka_command(self, main, *arguments):
        """Brokers also tell of each rebalance."""
        config = self.folder / "log4j2.properties"
        if not config.exists():
            more = "logger.group.name = org.apache.kafka.coordinator.group.GroupMetadataManager\nlogger.group.level = info\n"
            config.write_text((harness.ROOT / "deploy/local/log4j2.properties").read_text() + more)
        java, *rest = super().kafka_command(main, *arguments)
        return [java, f"-Dlog4j2.configurationFile={config}", *rest]

    def broker_config(self, node):
        ports, count = self.broker_ports[node], len(self.brokers)
        settings = dict(line.split("=", 1) for line in self.write_kafka_config().read_text().splitlines())
        folder = self.folder / f"kafka{node}"
        folder.mkdir(parents=True, exist_ok=True)
        settings.update({
            "node.id": node,
            "controller.quorum.voters": ",".join(f"{other}@127.0.0.1:{self.broker_ports[other]['controller']}" for other in self.brokers),
            "listeners": f"PLAINTEXT://127.0.0.1:{ports['inside']},CLIENT://127.0.0.1:{ports['client']},CONTROLLER://127.0.0.1:{ports['controller']}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{ports['inside']},CLIENT://127.0.0.1:{ports['wire']}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": folder / "data",
            "unclean.leader.election.enable": "false",
            "broker.session.timeout.ms": 1000 * self.broker_session_s,
            "group.min.session.timeout.ms": 1000,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
            "offsets.topic.num.partitions": 3,
            "transaction.state.log.num.partitions": 3,
        })  # fmt: skip
        for name in ("default.replication.factor", "offsets.topic.replication.factor", "transaction.state.log.replication.factor",
                     "share.coordinator.state.topic.replication.factor"):  # fmt: skip
            settings[name] = count
        for name in ("min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr"):
            settings[name] = min(count, 2)
        config = folder / "server.properties"
        config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return config

    def begin_broker(self, node):
        config = self.broker_config(node)
        if not (self.folder / f"kafka{node}/data/meta.properties").exists():
            format_it = self.kafka_command("kafka.tools.StorageTool", "format", "-t", "cmVlbGJ1cy1sb2NhbC0wMQ", "-c", str(config))
            subprocess.run(format_it, check=True, capture_output=True)
        return self.spawn(f"kafka{node}", self.kafka_command("kafka.Kafka", str(config)))

    def wait_for_broker(self, node, process):
        self.wait_for(process, f"broker {node}", lambda: local.port_is_open(self.broker_ports[node]["client"]), 300)

    # -- the source and the store ------------------------------------------------------------------------------------------

    def begin_source(self):
        command = [sys.executable, pathlib.Path(__file__).with_name("source.py"), "--listen", f"127.0.0.1:{self.ports['provider']}",
                   "--public-url", self.source_url(), "--key", KEY, "--bytes", "16000"]  # fmt: skip
        return self.spawn("source", command)

    def source_url(self):
        return f"http://127.0.0.1:{self.wired['source']}"

    def start_s3(self, bucket):
        """The server, before it a proxy that answers as it is told, before that a wire."""
        self.s3 = s3.Server(self)
        self.s3.client.create_bucket(Bucket=bucket)
        self.s3_proxy = s3.Proxy(self.s3.port)
        self.relay.wire("s3", self.wired["s3"], self.s3_proxy.port)

    def create_program_database(self):
        """Programs are no superusers here: a limit on their connections holds for them."""
        self.psql("CREATE ROLE program LOGIN", "postgres")
        self.psql("CREATE DATABASE app OWNER program", "postgres")
        self.psql("SET ROLE program;\n" + (harness.ROOT / "deploy/sample/app.sql").read_text(), "app")

    def program_url(self):
        return f"postgresql://program@127.0.0.1:{self.wired['postgres']}/app"


class InSync:
    """Since when each partition has all of its replicas in sync, as the brokers say."""

    def __init__(self, brokers, replicas):
        self.brokers, self.replicas, self.since = brokers, replicas, None
        self.stop = threading.Event()
        threading.Thread(target=self.look_on, daemon=True).start()

    def for_s(self):
        return time.monotonic() - self.since if self.since else 0

    def look_on(self):
        client = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})
        while not self.stop.wait(1):
            asked = time.monotonic()
            if not self.are_in_sync(client):
                self.since = None
            elif self.since is None:
                self.since = asked

    def are_in_sync(self, client):
        try:
            topics = client.list_topics(timeout=5).topics.values()
        except confluent_kafka.KafkaException:
            return False
        return all(len(partition.isrs) >= self.replicas for topic in topics for partition in topic.partitions.values())
