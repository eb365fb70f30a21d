"""One run of chaos: everything that runs, the faults, the senders, and the auditor that looks all the while."""

import heapq
import itertools
import os
import shutil
import subprocess
import threading
import time

import apart
import audit
import harness
import plan
import s3
from auditing import Auditing
from cluster import KEY, Cluster, InSync, port
from faults import Faults, Rebalances
from programs import BUCKET, Programs, WallClock
from relay import Relay
from roles import OURS, Role, Supervisor, is_up

END_TXN = 26  # of Kafka's protocol
DISK_KB = 4 << 20


class Chaos:
    def __init__(self, args, say):
        self.args, self.say = args, say
        self.folder = harness.ROOT / f".run/chaos/{args.name or args.seed}"
        self.free_disk()  # of a run that has failed
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.relay = Relay()
        self.cluster = Cluster(self.folder, args.brokers, args.broker_session_s, self.relay)
        self.actions, self.order = [], itertools.count()
        self.s3_proxy = self.supervisor = self.in_sync = None
        self.state = {"videos": 0, "same": 0, "webhooks": 0, "answered": 0, "polled": 0, "waiting": 0, "answers": {}, "done": False}
        self.ending = False

    # -- to be done later, by this thread ----------------------------------------------------------------------------------

    def later(self, after_s, what):
        heapq.heappush(self.actions, (time.monotonic() + after_s, next(self.order), what))

    def work(self):
        """One turn: what is due, and who has died."""
        while self.actions and self.actions[0][0] <= time.monotonic():
            heapq.heappop(self.actions)[2]()
        self.supervisor.look()
        if self.programs.sweep:
            self.programs.sweep.look(self.supervisor)
        if time.monotonic() > self.asked_at + 0.5:
            self.asked_at = time.monotonic()
            self.state = self.workload.ask("state" if self.faults.missing() else "hurry")
            if self.s3_proxy:
                self.s3_proxy.seen.clear()
        time.sleep(0.02)

    # -- beginning ---------------------------------------------------------------------------------------------------------

    def begin(self):
        cluster = self.cluster
        cluster.start_postgres()
        cluster.create_program_database()
        brokers = {node: cluster.begin_broker(node) for node in cluster.brokers}
        began = time.monotonic()
        for node, process in brokers.items():
            cluster.wait_for_broker(node, process)
        self.brokers_took_s = time.monotonic() - began
        started = cluster.begin_source()
        cluster.wait_for(started, "the source", is_up(cluster.ports["provider"]))
        self.prepare_store()
        self.wall_clock = WallClock(self.folder) if self.args.build in ("release", "fail") else None  # sanitizers want to be the first
        self.programs = Programs(self.args, self.folder, cluster, self.wall_clock)
        self.programs.setup()
        self.in_sync = InSync(cluster.addresses("inside"), len(brokers))
        self.rebalances = Rebalances(self.folder / "logs")
        self.receiver_ports = [port() for _ in range(self.args.receivers)]
        self.supervisor = Supervisor([*self.services(brokers, started), *self.our_roles()], self.say)
        if self.programs.sweep:
            self.supervisor.wake_after_s = lambda: self.programs.sweep.rng.choice((1, 7))  # within a session of the group, or longer

    def services(self, brokers, started):
        cluster = self.cluster
        for node, process in brokers.items():
            yield Role(f"kafka{node}", "broker", lambda node=node: cluster.spawn_again(f"kafka{node}"), process)
        yield Role("postgres", "postgres", cluster.begin_postgres, cluster.processes["postgres"])
        yield Role("source", "source", lambda: cluster.spawn_again("source"), started)
        if self.s3_proxy:
            yield Role("s3", "s3", lambda: cluster.spawn_again("s3proxy"), cluster.s3.process)

    def our_roles(self):
        programs = self.programs
        for number, listen in enumerate(self.receiver_ports):
            yield Role(f"receiver{number}", "receiver", programs.starter("producer", f"receiver{number}", programs.receiver_options(number, listen)))
        for number in range(self.args.pollers):
            yield Role(f"poller{number}", "poller", programs.starter("producer", f"poller{number}", programs.poller_options()))
        for number in range(self.args.consumers):
            yield Role(f"consumer{number}", "consumer", programs.starter("consumer", f"consumer{number}", programs.consumer_options(number)))

    def begin_work(self):
        """The senders and the auditor."""
        args, cluster, logs = self.args, self.cluster, self.folder / "logs"
        provider = {"key": KEY, "public_url": cluster.source_url()}
        self.workload = apart.Apart("workload.py", logs / "senders.log", seed=args.seed, ledger=str(self.folder / "ledger"), provider=provider,
                                    database=cluster.database_url(), receivers=self.receiver_ports, rate=args.rate, videos=args.videos,
                                    same=args.same, webhooks=args.webhooks, waiting=args.waiting, seconds=max(54 * args.minutes, 1),
                                    senders=args.senders)  # fmt: skip
        store = {"root": str(self.folder / "store")} if args.store == "file" else \
            {"s3": f"http://127.0.0.1:{cluster.s3.port}", "bucket": BUCKET, "access_key": s3.ACCESS_KEY, "secret_key": s3.SECRET_KEY}  # fmt: skip
        self.auditing = Auditing(logs / "auditor.log", self.say, self.note, args.audit_s, brokers=cluster.addresses("inside"), prefix="",
                                 group="chaos", database=cluster.database_url(), store=store, ledger=str(self.folder / "ledger"),
                                 grace_s=args.grace_s)  # fmt: skip
        self.began = self.asked_at = time.monotonic()

    # -- the store, and a disk -----------------------------------------------------------------------------------------

    def prepare_store(self):
        if self.args.store == "s3":
            self.cluster.start_s3(BUCKET)
            self.s3_proxy = self.cluster.s3_proxy
            return
        (self.folder / "store").mkdir()
        if self.can_fill_disk():
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", self.folder / "store"], check=True)

    def can_fill_disk(self):
        wanted = self.args.share > 0 or self.args.goals.get("disk full", 0) > 0
        return wanted and self.args.store == "file" and os.geteuid() == 0

    def free_disk(self):
        subprocess.run(["umount", "-q", "-l", self.folder / "store"], capture_output=True)

    def disk_used(self):
        return shutil.disk_usage(self.folder / "store").used

    def size_disk(self, kilobytes=DISK_KB):
        subprocess.run(["mount", "-o", f"remount,size={max(kilobytes, 4)}k", self.folder / "store"], capture_output=True)

    # -- the coordinator of transactions -----------------------------------------------------------------------------------

    def trap_end_txn(self, seconds):
        caught = threading.Lock()

        def trap(node):
            def on_request(kind):
                role = self.supervisor.roles[f"kafka{node}"]
                if kind == END_TXN and role.process is not None and not role.stopped and caught.acquire(blocking=False):
                    self.supervisor.pause(role)
                    self.later(seconds, lambda process=role.process, until=time.monotonic() + seconds: self.wake(role, process, until))

            return on_request

        for node in self.cluster.brokers:
            self.relay.wires[f"kafka{node}"].trap = trap(node)

    def wake(self, role, process, until):
        """A coordinator that slept all the time counts."""
        if role.process is process and role.stopped:
            self.faults.counts["stop coordinator"] += time.monotonic() >= until
            self.supervisor.go_on(role)

    def untrap(self):
        for node in self.cluster.brokers:
            self.relay.wires[f"kafka{node}"].trap = None

    # -- the run -----------------------------------------------------------------------------------------------------------

    def run(self, show):
        args = self.args
        self.begin()
        self.faults = Faults(self, args.seed, args.share, args.goals, args.only)
        if self.faults.left_out:
            self.say(f"left out, because it cannot be had here: {', '.join(self.faults.left_out)}")
        self.begin_work()
        self.clock = plan.Clock(args.seed, args.minutes * 60, args.quiet_s)
        while not self.is_over():
            self.work()
            now_s = self.elapsed_s()
            if now_s > args.calm_s and not self.clock.is_quiet(now_s):
                self.begin_faults(self.clock.part(now_s))
            show(self)
        self.ending = True
        self.fault_s = self.elapsed_s()
        self.settle(show)
        return self.judge()

    def elapsed_s(self):
        return time.monotonic() - self.began

    def left_s(self):
        """About how long it still takes: the planned time, or what webhooks or failpoints need at the pace so far."""
        sweep, elapsed_s = self.programs.sweep, self.elapsed_s()
        planned_s = 0 if sweep else max(self.args.minutes * 60 - elapsed_s, 0)
        part = 1 - sweep.left() / sweep.total if sweep else self.state["answered"] / self.args.webhooks if self.args.webhooks else 1
        needed_s = elapsed_s * (1 - part) / part if part > 0.02 else 0
        return min(max(planned_s, needed_s), max(self.args.most_minutes * 60 - elapsed_s, 0))

    def is_over(self):
        if self.args.stop_at_first and self.auditing.violations:
            return True
        if self.programs.sweep and self.programs.sweep.left() == 0:
            return True
        return self.elapsed_s() > self.args.most_minutes * 60 or (not self.programs.sweep and self.elapsed_s() >= self.args.minutes * 60 and not self.missing())

    def missing(self):
        """Goals that are not reached yet: what, how many, of how many."""
        if self.programs.sweep:
            return [(cell, 0, 1) for cell in self.programs.sweep.problems()]
        missing = self.faults.missing()
        for name, wanted, reached in (("videos", self.args.videos, "videos"), ("webhooks answered 2xx", self.args.webhooks, "answered"),
                                      ("videos told of in all ways", self.args.same, "same")):  # fmt: skip
            if wanted is not None and self.state[reached] < wanted:
                missing.append((name, self.state[reached], wanted))
        return missing

    def begin_faults(self, part):
        for name, healing in self.faults.look(part):
            self.note(name)
            if healing.heal:
                self.later(healing.after_s, healing.heal)

    def note(self, what):
        with open(self.folder / "faults.log", "a") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {what}\n")

    def settle(self, show):
        """No more faults: all that is to be healed is, and all must come to rest."""
        self.programs.armed = False
        if self.programs.sweep:
            self.programs.sweep.finish()
        self.goals_missed = self.missing()
        while self.actions:
            heapq.heappop(self.actions)[2]()
        self.untrap()
        for wire in self.relay.wires.values():
            wire.heal()
        for role in self.supervisor.roles.values():
            if role.process is not None and role.process.alive():
                self.supervisor.go_on(role)
        self.note("healed")
        healed = time.monotonic()
        self.steady_s = None
        final = threading.Thread(target=self.finish, args=(healed,), daemon=True)
        final.start()
        while final.is_alive():
            self.supervisor.look()
            time.sleep(0.02)
            show(self)

    def finish(self, healed):
        self.state = self.workload.ask("end")
        self.workload.end()
        self.steady_s = self.auditing.finish(healed, self.args.settle_s)

    def judge(self):
        """All violations, those of the end and those that were seen on the way."""
        self.in_sync.stop.set()
        stubborn = self.supervisor.end()
        problems = self.auditing.problems()
        problems += [audit.Violation("death", name, f"status {status}: {tail}") for name, status, tail in self.supervisor.deaths]
        problems += [audit.Violation("death", "", f"did not end well: {who}") for who in stubborn]
        problems += [audit.Violation("log", path.stem, f"{word} in {path}") for path, word in self.bad_words()]
        problems += [audit.Violation("goal", "", f"{name}: {reached} of {goal}") for name, reached, goal in self.goals_missed]
        if self.steady_s > self.args.steady_s:
            problems.append(audit.Violation("unsteady", "", f"steady {self.steady_s:.0f} s after the last fault, at most {self.args.steady_s} are allowed"))
        if not problems:
            self.free_disk()
        return problems

    def bad_words(self):
        """What no log of ours may hold: secrets, and the words of those who have found a mistake."""
        for kind in OURS:
            for path in (self.folder / "logs").glob(f"{kind}*.log"):
                text = path.read_bytes()
                yield from ((path, word) for word in ("canary", KEY, "ev=bug", "Sanitizer", "runtime error") if word.encode() in text)

    def abandon(self):
        """Something in the harness went wrong: nothing stays behind but logs and data."""
        if self.in_sync:
            self.in_sync.stop.set()
        if self.supervisor:
            self.supervisor.end(5)

    def summary(self):
        counts, killed, state = self.faults.counts, self.supervisor.killed, self.state
        return {
            "seed": self.args.seed,
            "the brokers had started after": f"{self.brokers_took_s:.1f} s",
            "minutes with faults": f"{self.fault_s / 60:.1f}",
            "kill -9 of consumers": killed["consumer"],
            "kill -9 of receivers": killed["receiver"],
            "kill -9 of pollers": killed["poller"],
            "rebalances": self.rebalances.count(),
            "static members fenced": self.supervisor.fenced,
            "broker kills": killed["broker"],
            "coordinators stopped with an EndTxn out": counts["stop coordinator"],
            "sweep": self.programs.sweep.told() if self.programs.sweep else "none",
            "failpoints set": len(self.programs.points_set),
            "failpoints and actions": len(set(self.programs.points_set)),
            "webhooks": state["webhooks"],
            "answered 2xx": state["answered"],
            "answers": state["answers"],
            "videos": state["videos"],
            "of them told of in all ways, 1 to 5 times": state["same"],
            "polled": state["polled"],
            "all faults": dict(sorted({**counts, **{f"kill {kind}": number for kind, number in killed.items()}}.items())),
            "audits while faults ran": f"{self.auditing.rounds}, and {self.auditing.missed} that could not be finished",
            "steady after the last fault": f"{self.steady_s:.1f} s",
            **self.auditing.figures,
        }
