"""Wires that are cut, held and slowed; and what Postgres, the store, a disk and a clock do to those who use them."""

import contextlib

import s3
from fault_processes import Healing


class Services:
    def __init__(self, run):
        self.run = run

    def table(self):
        """None: it cannot be had here."""
        s3_only = self.run.args.store == "s3"
        return {
            "connections reset": self.reset,
            "black hole": self.hold,
            "no Kafka": self.hold_kafka,
            "slow": self.slow,
            "cut in the middle": self.cut,
            "no connections": self.limit_connections,
            "store refuses": self.store_refuses if s3_only else None,
            "store loses answers": self.store_loses if s3_only else None,
            "disk full": self.fill_disk if self.run.can_fill_disk() else None,
            "clock jumps": self.jump if self.run.wall_clock else None,
        }

    # -- wires -------------------------------------------------------------------------------------------------------------

    def wire(self, rng):
        return self.run.relay.wires[rng.choice(sorted(self.run.relay.wires))]

    def reset(self, rng):
        self.wire(rng).reset()
        return Healing(0, None)

    def hold(self, rng):
        wire = self.wire(rng)
        wire.hold()
        return Healing(rng.uniform(1, 12), wire.heal)

    def hold_kafka(self, rng):
        wires = [wire for name, wire in self.run.relay.wires.items() if name.startswith("kafka")]
        for wire in wires:
            wire.hold()
        return Healing(rng.uniform(5, 10), lambda: [wire.heal() for wire in wires])

    def slow(self, rng):
        wire = self.wire(rng)
        wire.bytes_per_s = rng.choice([5_000, 50_000])
        return Healing(rng.uniform(2, 8), wire.heal)

    def cut(self, rng):
        wire = self.wire(rng)
        wire.cut_after = rng.randint(1, 100_000)
        return Healing(5, wire.heal)

    # -- Postgres and the store --------------------------------------------------------------------------------------------

    def limit_connections(self, rng):
        def sql(text):
            with contextlib.suppress(Exception):
                self.run.cluster.psql(text, "postgres")

        sql("ALTER ROLE program CONNECTION LIMIT 1; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'program'")
        return Healing(rng.uniform(1, 6), lambda: sql("ALTER ROLE program CONNECTION LIMIT -1"))

    def store_refuses(self, rng):
        status, times = rng.choice([500, 503, 507]), rng.randint(1, 20)
        self.run.s3_proxy.rule(s3.Answer(status, s3.error_body("InternalError" if status == 500 else "SlowDown")), times=times)
        return Healing(rng.uniform(2, 8), self.run.s3_proxy.rules.clear)

    def store_loses(self, rng):
        what = rng.choice([s3.Lose(), s3.Cut(rng.randint(0, 20_000))])
        self.run.s3_proxy.rule(what, method="PUT", times=rng.randint(1, 10))
        return Healing(rng.uniform(2, 8), self.run.s3_proxy.rules.clear)

    def fill_disk(self, rng):
        """It ends where it is full now, but for some kilobytes."""
        room = rng.choice([0, 20, 100]) << 10
        used = self.run.disk_used()
        self.run.size_disk((used + room) >> 10)
        return Healing(rng.uniform(1, 6), self.run.size_disk)

    def jump(self, rng):
        """The wall clock of our programs; that of timers goes on evenly."""
        self.run.wall_clock.jump(rng.choice([-3600, -60, 60, 3600]))
        return Healing(rng.uniform(2, 10), self.run.wall_clock.jump)
