"""Processes that die, stop, come and go."""

import collections
import time

MORE_S = 2  # than a broker may be silent: after these the others know that it was away
REBALANCE_S = 15  # a group may take so long to come to rest

Healing = collections.namedtuple("Healing", "after_s heal counts", defaults=(True,))


class Processes:
    """count: called with the name of what happens within a fault."""

    def __init__(self, run, count):
        self.run, self.count = run, count
        self.next_broker = 0
        self.came_and_went_at = 0

    def table(self):
        return {
            "kill consumer": self.kill("consumer"),
            "kill receiver": self.kill("receiver"),
            "kill poller": self.kill("poller"),
            "kill source": self.kill("source"),
            "kill s3": self.run.args.store == "s3" and self.kill("s3"),
            "kill broker": self.end_broker(9),
            "restart broker": self.end_broker(15),
            "restart postgres": self.restart_postgres,
            "stop consumer": self.pause("consumer", 1, 15),
            "stop receiver": self.pause("receiver", 1, 8),
            "stop poller": self.pause("poller", 1, 8),
            "stop source": self.pause("source", 1, 8),
            "stop s3": self.run.args.store == "s3" and self.pause("s3", 1, 8),
            "stop broker": self.pause("broker", 1, 12),
            "stop coordinator": self.stop_coordinator,
            "toggle consumers": self.toggle,
            "rebalance": self.come_and_go,
        }

    def one(self, rng, *kinds):
        """One that runs now, or None."""
        role = rng.choice(self.run.supervisor.of(*kinds))
        return role if role.process is not None and not role.stopped else None

    def kill(self, kind):
        def begin(rng):
            rest_s = rng.choice([0, 0, 0.2, 2])
            role = self.one(rng, kind)
            if role is None:
                return None
            self.run.supervisor.kill(role, rest_s=rest_s)
            return Healing(0, None)

        return begin

    def brokers_are_well(self):
        """All of them run, and have caught up with each other."""
        brokers, now, noticed_s = self.run.supervisor.of("broker"), time.monotonic(), self.run.args.broker_session_s + MORE_S
        return self.run.in_sync.for_s() > 0 and all(
            role.process is not None and not role.stopped and now - role.disturbed_at > noticed_s for role in brokers)  # fmt: skip

    def end_broker(self, number):
        """In turn, and only when the others have caught up: two of three must be in sync."""

        def begin(rng):
            if not self.brokers_are_well():
                return None
            brokers = self.run.supervisor.of("broker")
            self.next_broker += 1
            self.run.supervisor.kill(brokers[self.next_broker % len(brokers)], number, rest_s=rng.uniform(0, 3))
            return Healing(0, None)

        return begin

    def restart_postgres(self, rng):
        """An immediate one: nobody is told, and the log is replayed."""
        role = self.one(rng, "postgres")
        if role is None:
            return None
        self.run.supervisor.kill(role, number=3, rest_s=rng.uniform(0, 3))
        return Healing(0, None)

    def pause(self, kind, least_s, most_s):
        def begin(rng):
            role, seconds = self.one(rng, kind), rng.uniform(least_s, most_s)
            if role is None or (kind == "broker" and not self.brokers_are_well()):
                return None
            self.run.supervisor.pause(role)
            return Healing(seconds, lambda: self.run.supervisor.go_on(role))

        return begin

    def stop_coordinator(self, rng):
        """Whoever gets the next EndTxn is stopped before it can read it, for longer than our programs wait for an answer. Counted when
        that has come to pass."""
        if not self.brokers_are_well():
            return None
        seconds = self.run.args.socket_timeout_s + rng.uniform(1, 5)
        self.run.trap_end_txn(seconds)
        return Healing(10, self.run.untrap, counts=False)

    def toggle(self, rng):
        """Consumers come and go, every 0 to 500 ms, gently or not."""
        end = time.monotonic() + rng.uniform(3, 8)

        def again():
            role = self.one(rng, "consumer")
            if role is not None:
                self.run.supervisor.kill(role, number=15 if rng.random() < 0.7 else 9)
                self.count("consumer toggled")
            if time.monotonic() < end and not self.run.ending:
                self.run.later(rng.uniform(0, 0.5), again)

        again()
        return Healing(8, None)

    def come_and_go(self, rng):
        """One consumer ends as it should and comes again, once the group has come to rest. Not the first: nobody misses a static member."""
        role, now = rng.choice(self.run.supervisor.of("consumer")[1:]), time.monotonic()
        waits = self.run.rebalances.last < self.came_and_went_at > now - REBALANCE_S
        if role.process is None or role.stopped or waits or now - self.run.rebalances.last < 1.5:
            return None
        self.came_and_went_at = now
        self.run.supervisor.kill(role, number=15)
        return Healing(0, None, counts=False)
