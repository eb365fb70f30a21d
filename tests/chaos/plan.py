"""How often each kind of fault is wanted, and when. Each kind has a lane of its own: its moments, and what is drawn about each fault, come
from the seed alone, whatever becomes of the other lanes. A fault that cannot begin now (its process is away, the brokers have not
caught up) begins a little later; one that came to nothing is not counted, and begins again. So all goals are reached."""

import random
import time

# Goals of a whole run. What is not had here (a disk of its own, with S3) is left out, and named.
GOALS = {
    "kill consumer": 500,
    "kill receiver": 300,
    "kill poller": 200,
    "kill broker": 60,
    "kill source": 30,
    "kill s3": 15,
    "restart postgres": 20,  # at once, as after a death
    "restart broker": 6,  # as it should be
    "stop consumer": 40,
    "stop receiver": 20,
    "stop poller": 20,
    "stop source": 15,
    "stop s3": 15,
    "stop broker": 10,
    "stop coordinator": 50,  # each with an EndTxn on its way
    "toggle consumers": 8,  # for seconds, each 0 to 500 ms
    "rebalance": 500,  # those that others lead to count
    "connections reset": 60,
    "black hole": 40,
    "no Kafka": 10,
    "slow": 40,
    "cut in the middle": 60,
    "no connections": 20,
    "store refuses": 40,
    "store loses answers": 60,
    "disk full": 30,
    "clock jumps": 30,
}  # fmt: skip
AGAIN_S = 0.25  # after which a fault that could not begin is tried again
LEAST_S = 0.5  # between two faults of one kind


class Lane:
    def __init__(self, seed, name, goal, fault):
        """fault: begins one with a generator of random numbers; gives its healing, or None when it cannot begin now."""
        self.name, self.goal, self.fault, self.seed = name, goal, fault, f"{seed} {name}"
        self.begun = 0
        moments = random.Random(f"{seed} {name} moments")
        self.moments = [(number + moments.random()) / goal for number in range(goal)]
        self.again_at = 0

    def is_due(self, part, count):
        """part: how much of the time has passed; 1 and more: all that is still wanted is due."""
        return count < self.goal and part >= self.moments[count] and time.monotonic() >= self.again_at

    def begin(self):
        healing = self.fault(random.Random(f"{self.seed} {self.begun}"))
        self.begun += healing is not None
        self.again_at = time.monotonic() + (AGAIN_S if healing is None else LEAST_S)
        return healing


class Clock:
    """The time of a run without its quiet periods, in which nothing new goes wrong: 0 at the beginning, 1 when all should be reached."""

    def __init__(self, seed, seconds, quiet_s):
        rng = random.Random(f"{seed} quiet")
        self.seconds, self.quiet, at = seconds, [], 0
        while quiet_s > 0 and (at := at + rng.uniform(0.5, 3.5) * quiet_s) < seconds:
            self.quiet.append((at, at + rng.uniform(0.5, 1.5) * quiet_s))
            at = self.quiet[-1][1]
        self.active = max(seconds - sum(min(end, seconds) - begin for begin, end in self.quiet), 1)

    def part(self, now_s):
        return (now_s - sum(min(end, now_s) - begin for begin, end in self.quiet if begin < now_s)) / self.active

    def is_quiet(self, now_s):
        return any(begin <= now_s < end for begin, end in self.quiet)
