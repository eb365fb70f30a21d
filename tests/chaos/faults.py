"""What goes wrong. A fault begins, and gives the seconds after which it is healed and how; nothing here waits."""

import collections
import math
import time

import plan
from fault_processes import Processes
from fault_services import Services


class Faults:
    """run: the chaos that runs, with its supervisor, cluster and relay. share: of all goals; goals: others than the usual ones."""

    def __init__(self, run, seed, share=1.0, goals=None, only=None):
        self.run, self.counts = run, collections.Counter()
        table = {**Processes(run, self.count).table(), **Services(run).table()}
        goals = {name: math.ceil(number * share) for name, number in plan.GOALS.items()} | (goals or {})
        wanted = {name: goal for name, goal in goals.items() if goal > 0 and (only is None or name.startswith(tuple(only)))}
        self.lanes = [plan.Lane(seed, name, goal, table[name]) for name, goal in wanted.items() if table[name]]
        self.left_out = [name for name in wanted if not table[name]]

    def count(self, name):
        self.counts[name] += 1

    def reached(self, name):
        """Kills are counted where they are done, by whichever fault; so are rebalances."""
        kind = name.removeprefix("kill ")
        if name == "rebalance":
            return self.run.rebalances.count()
        return self.run.supervisor.killed[kind] if kind != name else self.counts[name]

    def look(self, part):
        """Begin what is due; gives the names and healings of what has begun."""
        for lane in self.lanes:
            if lane.is_due(part, self.reached(lane.name)):
                healing = lane.begin()
                if healing is not None:
                    if healing.counts:
                        self.count(lane.name)
                    yield lane.name, healing

    def missing(self):
        """What is still to be reached: name, reached so far, goal."""
        reached = [(lane.name, self.reached(lane.name), lane.goal) for lane in self.lanes]
        return [(name, number, goal) for name, number, goal in reached if number < goal]


class Rebalances:
    """Generations of the group that came to be, as the brokers tell them."""

    TOLD = b"Stabilized group chaos generation "

    def __init__(self, folder):
        self.folder, self.at, self.generations, self.last = folder, collections.Counter(), set(), 0
        self.looked_at = 0

    def count(self):
        now = time.monotonic()
        if now - self.looked_at > 1:
            self.looked_at = now
            for path in self.folder.glob("kafka*.log"):
                self.read(path, now)
        return len(self.generations)

    def read(self, path, now):
        with open(path, "rb") as file:
            file.seek(self.at[path])
            text = file.read()
        text = text[: text.rfind(b"\n") + 1]
        self.at[path] += len(text)
        for piece in text.split(self.TOLD)[1:]:
            number = int(piece.split(None, 1)[0])
            if number not in self.generations:
                self.generations.add(number)
                self.last = now
