"""One run of chaos: everything that runs, the faults, the senders, and the auditor that looks all the while."""

import heapq
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import threading
import time

import audit
import audit_store
import harness
import s3
import source
from cluster import KEY, Cluster, port
from faults import SOCKET_TIMEOUT_S, Faults
from ledger import Ledger
from relay import Relay
from roles import Role, Supervisor, is_up
from workload import SECRET, Workload

PASSING = ("lost", "lag", "torn", "open_transaction", "auditor")  # may only be late
END_TXN = 26  # of Kafka's protocol
BUCKET = "videos"
FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


class Chaos:
    def __init__(self, args, say):
        self.args, self.say = args, say
        self.folder = harness.ROOT / f".run/chaos/{args.name or args.seed}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.programs = harness.binaries(args.build)
        self.relay = Relay()
        self.cluster = Cluster(self.folder, args.brokers, self.relay)
        self.actions, self.order = [], itertools.count()
        self.disk = self.clock = self.s3_proxy = None
        self.violations, self.audits, self.audits_missed = {}, 0, 0
        self.coordinator_stops, self.points_set = 0, set()
        self.failpoints = self.read_failpoints()
        self.fail_rng = random.Random(f"{args.seed} failpoints")

    # -- to be done later, by this thread ----------------------------------------------------------------------------------

    def later(self, after_s, what):
        heapq.heappush(self.actions, (time.monotonic() + after_s, next(self.order), what))

    def work(self):
        """One turn: what is due, and who has died."""
        while self.actions and self.actions[0][0] <= time.monotonic():
            heapq.heappop(self.actions)[2]()
        self.supervisor.look()
        time.sleep(0.02)

    # -- beginning ---------------------------------------------------------------------------------------------------------

    def begin(self):
        cluster = self.cluster
        cluster.start_postgres()
        cluster.create_program_database()
        brokers = {node: cluster.begin_broker(node) for node in cluster.brokers}
        for node, process in brokers.items():
            cluster.wait_for_broker(node, process)
        started = cluster.begin_source()
        cluster.wait_for(started, "the source", is_up(cluster.ports["provider"]))
        self.prepare_store()
        self.prepare_clock()
        self.setup()
        self.ledger = Ledger(self.folder / "ledger")
        self.receiver_ports = [port() for _ in range(self.args.receivers)]
        roles = [Role(f"kafka{node}", "broker", lambda node=node: cluster.spawn_again(f"kafka{node}"), process) for node, process in brokers.items()]
        roles += [Role("postgres", "postgres", cluster.begin_postgres, cluster.processes["postgres"]),
                  Role("source", "source", lambda: cluster.spawn_again("source"), started)]  # fmt: skip
        if self.s3_proxy:
            roles.append(Role("s3", "s3", lambda: cluster.spawn_again("s3proxy"), cluster.s3.process))
        roles += [Role(f"receiver{number}", "receiver", self.starter("producer", f"receiver{number}", self.receiver_options(listen)))
                  for number, listen in enumerate(self.receiver_ports)]  # fmt: skip
        roles += [Role(f"poller{number}", "poller", self.starter("producer", f"poller{number}", self.poller_options())) for number in range(self.args.pollers)]
        roles += [Role(f"consumer{number}", "consumer", self.starter("consumer", f"consumer{number}", self.consumer_options(number)))
                  for number in range(self.args.consumers)]  # fmt: skip
        self.supervisor = Supervisor(roles, self.say)

    def prepare_store(self):
        if self.args.store == "s3":
            self.cluster.start_s3(BUCKET)
            self.s3_proxy = self.cluster.s3_proxy
            self.store = audit_store.S3Store(self.cluster.s3.client, BUCKET)
            return
        root = self.folder / "store"
        root.mkdir()
        if os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", root], capture_output=True).returncode == 0:
            self.disk = root
        self.store = audit_store.FileStore(root)

    def prepare_clock(self):
        if FAKETIME.exists() and self.args.build in ("release", "fail"):
            self.clock = self.folder / "clock"
            self.clock.write_text("+0\n")

    def setup(self):
        done = subprocess.run([self.programs / "reelbus-consumer", "setup", "--topic-partitions", str(self.args.partitions)],
                              env={**os.environ, **self.consumer_options(0)}, capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stderr

    # -- options -----------------------------------------------------------------------------------------------------------

    def common_options(self):
        api = {"kind": "openai", "base_url": f"{self.cluster.source_url()}/v1", "key": KEY}
        providers = self.folder / "providers.json"
        providers.write_text(json.dumps({"providers": [{"name": "sample", "api": api}]}))
        clock = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.clock), "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
                 "FAKETIME_DONT_RESET": "1"} if self.clock else {}  # fmt: skip
        return {
            "REELBUS_KAFKA_BROKERS": self.cluster.addresses("wire"),
            "REELBUS_KAFKA": f"socket.timeout.ms={SOCKET_TIMEOUT_S * 1000};reconnect.backoff.max.ms=1000",
            "DATABASE_URL": self.cluster.program_url(),
            "REELBUS_PROVIDERS": str(providers),
            **clock,
        }

    def receiver_options(self, listen):
        return {**self.common_options(), "REELBUS_LISTEN": f"127.0.0.1:{listen}", "VIDEO_WEBHOOK_SECRET": SECRET, "REELBUS_POLL": "off"}

    def poller_options(self):
        return {**self.common_options(), "REELBUS_LISTEN": f"127.0.0.1:{port()}", "REELBUS_POLL": "only", "REELBUS_POLL_INTERVAL_MS": "1s",
                "REELBUS_POLL_GRACE_MS": "0ms", "REELBUS_POLL_ANNOUNCE_MS": "20s"}  # fmt: skip

    def consumer_options(self, number):
        common = self.common_options()
        session = "session.timeout.ms=6000;heartbeat.interval.ms=1000"
        store = {"REELBUS_FILE_ROOT": self.folder / "store", "REELBUS_FILE_PUBLIC_URL": "http://media.example.com/"} if self.args.store == "file" \
            else s3.options(self.cluster.wired["s3"], BUCKET)  # fmt: skip
        return {
            **common, **{name: str(value) for name, value in store.items()},
            "REELBUS_KAFKA": f"{common['REELBUS_KAFKA']};{session}",
            "REELBUS_METRICS_LISTEN": f"127.0.0.1:{port()}",
            "REELBUS_GROUP": "chaos",
            "REELBUS_TRANSACTIONAL_ID": f"chaos-{number}",
            "REELBUS_GROUP_INSTANCE_ID": "static" if number == 0 else "",  # the others are dynamic members
            "REELBUS_SOURCE_PORTS": "any",
            "REELBUS_SOURCE_ALLOW_PRIVATE": "true",
            "REELBUS_RETRY_FIRST_MS": "100ms",
            "REELBUS_RETRY_MAX_MS": "3s",
            "REELBUS_RETRY_IN_PLACE_MS": "500ms",
            "REELBUS_RENEW_FOR_MS": "5s",
            "REELBUS_STORE_PROBE_FIRST_MS": "100ms",
            "REELBUS_STORE_PROBE_MAX_MS": "2s",
            "REELBUS_FIRST_BYTE_TIMEOUT_MS": "10s",
            "REELBUS_LOW_SPEED_MS": "10s",
            "REELBUS_S3_TIMEOUT_MS": "10s",
        }  # fmt: skip

    def starter(self, program, name, options):
        return lambda: self.cluster.spawn(name, [self.programs / f"reelbus-{program}"], {**options, **self.failpoint(program)})

    # -- failpoints --------------------------------------------------------------------------------------------------------

    def read_failpoints(self):
        """Their names and what they take, from programs that were built with them."""
        if self.args.build != "fail":
            return {}
        points = {}
        for program in ("producer", "consumer"):
            told = subprocess.run([self.programs / f"reelbus-{program}", "--failpoints"], capture_output=True, text=True).stdout
            points[program] = re.findall(r"^([a-z0-9_]+) +(errno|plain) ", told, re.MULTILINE)
        return points

    def failpoint(self, program):
        """Half of the programs die or stop at a place of their work."""
        if not self.failpoints.get(program) or self.ending or self.fail_rng.random() < 0.5:
            return {}
        point, takes = self.fail_rng.choice(self.failpoints[program])
        what = self.fail_rng.choice(["kill", "kill", "stop", *(["EIO", "EIO"] if takes == "errno" else [])])
        self.faults.count(f"failpoint {what}")
        self.points_set.add((point, what))
        return {"REELBUS_FAIL": f"{point}:{self.fail_rng.choice([1, 2, 5, 20])}:{what}"}

    # -- the coordinator of transactions -----------------------------------------------------------------------------------

    def trap_end_txn(self, seconds):
        caught = threading.Lock()

        def trap(node):
            def on_request(kind):
                if kind == END_TXN and caught.acquire(blocking=False):
                    role = self.supervisor.roles[f"kafka{node}"]
                    self.supervisor.pause(role)
                    self.coordinator_stops += 1
                    self.later(seconds, lambda: self.supervisor.go_on(role))

            return on_request

        for node in self.cluster.brokers:
            self.relay.wires[f"kafka{node}"].trap = trap(node)

    def untrap(self):
        for node in self.cluster.brokers:
            self.relay.wires[f"kafka{node}"].trap = None

    # -- the run -----------------------------------------------------------------------------------------------------------

    def run(self, show):
        args = self.args
        self.ending = False
        self.faults = Faults(args.seed, self, args.only)
        self.begin()
        provider = source.Provider(type("Told", (), {"key": KEY, "bytes": 16000, "public_url": self.cluster.source_url(), "listen": ""}))
        self.workload = Workload(args.seed, self.ledger, provider, self.cluster.database_url(), self.receiver_ports, args.rate, args.videos, args.same)
        self.auditor = self.new_auditor()
        self.began = time.monotonic()
        self.workload.start()
        self.auditing = threading.Thread(target=self.audit_on, daemon=True)
        self.auditing.start()
        self.later(args.calm_s, self.next_fault)
        while not self.is_over():
            self.work()
            show(self)
        self.ending = True
        self.settle(show)
        return self.judge()

    def is_over(self):
        minutes = (time.monotonic() - self.began) / 60
        if self.args.stop_at_first and self.violations:
            return True
        if minutes < self.args.minutes:
            return False
        enough = self.faults.counts["kill consumer"] + self.faults.counts["kill receiver"] + self.faults.counts["kill poller"] >= self.args.kills
        return enough or minutes > 3 * self.args.minutes + 5

    def next_fault(self):
        """Now and then it is quiet for a while."""
        if self.ending:
            return
        name, healing = self.faults.draw()
        if healing is not None:
            self.note(name)
            if healing.heal:
                self.later(healing.after_s, healing.heal)
        gap_s = self.faults.rng.uniform(0, 2 * self.args.every_s)
        if self.faults.rng.random() < 0.04:
            gap_s += self.args.quiet_s
        self.later(gap_s if healing is not None else 0.05, self.next_fault)

    def note(self, what):
        with open(self.folder / "faults.log", "a") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {what}\n")

    def settle(self, show):
        """No more faults: all that is to be healed is, and all must come to rest."""
        while self.actions:
            heapq.heappop(self.actions)[2]()
        for wire in self.relay.wires.values():
            wire.heal()
        for role in self.supervisor.roles.values():
            if role.process is not None and role.process.alive():
                self.supervisor.go_on(role)
        last = time.monotonic() + self.args.settle_s
        while self.args.videos is not None and not self.workload.done() and time.monotonic() < last:
            self.work()
            show(self)
        self.healed = time.monotonic()
        self.workload.stop.set()
        final = threading.Thread(target=self.audit_at_the_end, daemon=True)
        final.start()
        while final.is_alive():
            self.work()
            show(self)
        self.workload.end()

    # -- the auditor -------------------------------------------------------------------------------------------------------

    def new_auditor(self):
        return audit.Auditor(self.cluster.addresses("inside"), "", "chaos", self.cluster.database_url(), self.store, self.folder / "ledger",
                             self.args.grace_s)  # fmt: skip

    def audit_on(self):
        """While faults run. Who is away now is looked at next time."""
        while not self.ending:
            time.sleep(self.args.audit_s)
            if self.ending:
                return
            try:
                found = self.auditor.round(final=False, wait_s=20)
                self.audits += 1
            except audit.Away as away:
                self.audits_missed += 1
                self.note(f"not audited: {away}")
                continue
            except Exception as problem:  # a round that fell is a defect of the auditor, and must not look like a good one
                found = [audit.Violation("auditor", "", repr(problem))]
            for violation in found:
                if violation not in self.violations:
                    self.violations[violation] = time.strftime("%H:%M:%S")
                    self.say(f"{violation.kind}: {violation.video} {violation.detail}")

    def audit_at_the_end(self):
        """Until nothing is left to be said, or the time is over."""
        for thread in (self.auditing, *self.workload.threads):
            thread.join(120)
        while True:
            try:
                self.left = self.auditor.round(final=True, wait_s=30)
            except Exception as problem:
                self.left = [audit.Violation("auditor", "", repr(problem))]
            self.steady_s = time.monotonic() - self.healed
            if not any(violation.kind in PASSING for violation in self.left) or self.steady_s > self.args.settle_s:
                return
            time.sleep(0.5)

    def judge(self):
        """All violations, those of the end and those that were seen on the way."""
        self.auditor.close()
        stubborn = self.supervisor.end()
        if self.disk:
            subprocess.run(["umount", "-l", self.disk], check=False)
        problems = [*self.violations, *(violation for violation in self.left if violation not in self.violations)]
        problems += [audit.Violation("death", name, f"status {status}: {tail}") for name, status, tail in self.supervisor.deaths]
        problems += [audit.Violation("death", "", f"did not end well: {who}") for who in stubborn]
        if self.steady_s > self.args.steady_s:
            problems.append(audit.Violation("unsteady", "", f"steady {self.steady_s:.0f} s after the last fault, at most {self.args.steady_s} are allowed"))
        return problems

    def rebalances(self):
        """Generations of the group that came to be."""
        logs = [path.read_text(errors="replace") for path in (self.folder / "logs").glob("kafka*.log")]
        return len({number for log in logs for number in re.findall(r"Stabilized group chaos generation (\d+)", log)})

    def summary(self):
        counts = self.faults.counts
        return {
            "kill -9 of consumers": counts["kill consumer"] + counts["consumer toggled"],
            "kill -9 of receivers": counts["kill receiver"],
            "kill -9 of pollers": counts["kill poller"],
            "rebalances": self.rebalances(),
            "broker kills": counts["kill broker"],
            "coordinators stopped with an EndTxn out": self.coordinator_stops,
            "failpoints set": sum(number for name, number in counts.items() if name.startswith("failpoint")),
            "failpoints and actions": len(self.points_set),
            "webhooks": self.workload.webhooks,
            "answers": dict(sorted(self.ledger.answers.items())),
            "videos": self.workload.videos,
            "of them told of in all ways, 1 to 5 times": self.workload.same,
            "polled": self.workload.polled,
            "all faults": dict(sorted(counts.items())),
            "audits while faults ran": f"{self.audits}, and {self.audits_missed} that could not be finished",
            "steady after the last fault": f"{self.steady_s:.1f} s",
            **self.auditor.figures(),
        }
