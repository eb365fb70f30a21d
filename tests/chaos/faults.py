"""What goes wrong, drawn from a seed. A fault begins, and gives the seconds after which it is healed and how; nothing here waits."""

import collections
import contextlib
import random
import time

import s3

SOCKET_TIMEOUT_S = 8  # of librdkafka in our programs

Healing = collections.namedtuple("Healing", "after_s heal")


class Faults:
    """run: the chaos that runs, with its supervisor, cluster and relay."""

    def __init__(self, seed, run, only=None):
        self.rng, self.run, self.counts = random.Random(seed), run, collections.Counter()
        self.next_broker = 0
        self.table = [(weight, name, fault) for weight, name, fault in (
            (10, "kill consumer", self.kill("consumer")),
            (6, "kill receiver", self.kill("receiver")),
            (4, "kill poller", self.kill("poller")),
            (1, "kill source", self.kill("source")),
            (1, "kill s3", self.kill("s3")),
            (3, "kill broker", self.kill_broker),
            (1, "restart postgres", self.restart_postgres),
            (3, "stop consumer", self.pause("consumer", 1, 15)),
            (1, "stop receiver", self.pause("receiver", 1, 8)),
            (1, "stop poller", self.pause("poller", 1, 8)),
            (2, "stop broker", self.pause("broker", 1, 12)),
            (5, "stop coordinator", self.stop_coordinator),
            (2, "toggle consumers", self.toggle),
            (2, "connections reset", self.reset),
            (2, "black hole", self.hold),
            (2, "slow", self.slow),
            (2, "cut in the middle", self.cut),
            (1, "no connections", self.limit_connections),
            (2, "store refuses", self.store_refuses),
            (2, "store loses answers", self.store_loses),
            (1, "disk full", self.fill_disk),
            (1, "clock jumps", self.jump),
        ) if only is None or name.split()[0] in only]  # fmt: skip

    def draw(self):
        """Begin one; gives what it is called and its healing, or None when it cannot be had here."""
        _, name, fault = self.rng.choices(self.table, [weight for weight, _, _ in self.table])[0]
        healing = fault()
        if healing is None:
            return name, None
        self.count(name)
        return name, healing

    def count(self, name):
        self.counts[name] += 1

    def one(self, *kinds):
        roles = self.run.supervisor.of(*kinds)
        return self.rng.choice(roles) if roles else None

    # -- processes ---------------------------------------------------------------------------------------------------------

    def kill(self, kind):
        def begin():
            rest_s = self.rng.choice([0, 0, 0.2, 2])
            role = self.one(kind)
            if role is None or role.process is None:
                return None
            self.run.supervisor.kill(role, rest_s=rest_s)
            return Healing(0, None)

        return begin

    def all_brokers_are_up(self):
        """And have had the time to catch up with each other, when there are several."""
        brokers = self.run.supervisor.of("broker")
        since = time.monotonic() - (20 if len(brokers) > 1 else 6)
        return all(role.process is not None and not role.stopped and role.start_at < since for role in brokers)

    def kill_broker(self):
        """In turn, and only when the others have caught up: two of three must be in sync."""
        if not self.all_brokers_are_up():
            return None
        brokers = self.run.supervisor.of("broker")
        self.next_broker += 1
        self.run.supervisor.kill(brokers[self.next_broker % len(brokers)], rest_s=self.rng.uniform(0, 3))
        return Healing(0, None)

    def restart_postgres(self):
        """An immediate one: nobody is told, and the log is replayed."""
        role = self.one("postgres")
        if role.process is None:
            return None
        self.run.supervisor.kill(role, number=3, rest_s=self.rng.uniform(0, 3))
        return Healing(0, None)

    def pause(self, kind, least_s, most_s):
        def begin():
            role, seconds = self.one(kind), self.rng.uniform(least_s, most_s)
            if role is None or role.process is None or role.stopped or (kind == "broker" and not self.all_brokers_are_up()):
                return None
            self.run.supervisor.pause(role)
            return Healing(seconds, lambda: self.run.supervisor.go_on(role))

        return begin

    def stop_coordinator(self):
        """Whoever gets the next EndTxn is stopped before it can read it, for longer than our programs wait for an answer."""
        if not self.all_brokers_are_up():
            return None
        seconds = SOCKET_TIMEOUT_S + self.rng.uniform(1, 6)
        self.run.trap_end_txn(seconds)
        return Healing(10, self.run.untrap)

    def toggle(self):
        """Consumers come and go, every 0 to 500 ms, gently or not."""
        end = time.monotonic() + self.rng.uniform(3, 8)

        def again():
            role = self.one("consumer")
            if role.process is not None and not role.stopped:
                gentle = self.rng.random() < 0.7
                self.run.supervisor.kill(role, number=15 if gentle else 9)
                self.count("consumer toggled")
            if time.monotonic() < end:
                self.run.later(self.rng.uniform(0, 0.5), again)

        again()
        return Healing(8, None)

    # -- wires -------------------------------------------------------------------------------------------------------------

    def wire(self):
        return self.run.relay.wires[self.rng.choice(sorted(self.run.relay.wires))]

    def reset(self):
        self.wire().reset()
        return Healing(0, None)

    def hold(self):
        wire = self.wire()
        wire.hold()
        return Healing(self.rng.uniform(1, 12), wire.heal)

    def slow(self):
        wire = self.wire()
        wire.bytes_per_s = self.rng.choice([5_000, 50_000])
        return Healing(self.rng.uniform(2, 8), wire.heal)

    def cut(self):
        wire = self.wire()
        wire.cut_after = self.rng.randint(1, 100_000)
        return Healing(5, wire.heal)

    # -- Postgres and the store --------------------------------------------------------------------------------------------

    def limit_connections(self):
        def sql(text):
            with contextlib.suppress(Exception):
                self.run.cluster.psql(text, "postgres")

        sql("ALTER ROLE program CONNECTION LIMIT 1; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'program'")
        return Healing(self.rng.uniform(1, 6), lambda: sql("ALTER ROLE program CONNECTION LIMIT -1"))

    def store_refuses(self):
        status, times = self.rng.choice([500, 503, 507]), self.rng.randint(1, 20)
        if self.run.s3_proxy is None:
            return None
        self.run.s3_proxy.rule(s3.Answer(status, s3.error_body("InternalError" if status == 500 else "SlowDown")), times=times)
        return Healing(self.rng.uniform(2, 8), self.run.s3_proxy.rules.clear)

    def store_loses(self):
        what = self.rng.choice([s3.Lose(), s3.Cut(self.rng.randint(0, 20_000))])
        if self.run.s3_proxy is None:
            return None
        self.run.s3_proxy.rule(what, method="PUT", times=self.rng.randint(1, 10))
        return Healing(self.rng.uniform(2, 8), self.run.s3_proxy.rules.clear)

    def fill_disk(self):
        if self.run.disk is None:
            return None
        path = self.run.disk / "filler"
        with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))
        return Healing(self.rng.uniform(1, 6), lambda: path.unlink(missing_ok=True))

    def jump(self):
        """The wall clock of our programs; that of timers goes on evenly."""
        if self.run.clock is None:
            return None
        seconds = self.rng.choice([-3600, -60, 60, 3600])
        self.run.clock.write_text(f"{seconds:+d}\n")
        return Healing(self.rng.uniform(2, 10), lambda: self.run.clock.write_text("+0\n"))
