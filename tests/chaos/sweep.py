"""Death, stop or an error at each failpoint, the first, a middle and the last time that a program comes by: one of them in each life of a
program, while all the others go on.

How often a program comes by, a life without any trouble tells. A life that comes by less often than that one ends by itself, and what
was to fail in it is tried again earlier; so is what needs something else to go wrong first (BEFORE), or Kafka to be away (the spool).
"""

import collections
import dataclasses
import pathlib
import random
import re
import time

COUNT_S = 12  # a life in which is counted
LIFE_S = 8  # after which a life ends in which nothing has failed
AFTER_S = 1  # and one that has survived its failure
LOOK_S = 0.3
TRIES = 12
ROLES = {"consumer": "consumer", "producer": "receiver"}
BEFORE = {"txn_abort": "txn_flush:1:EIO", "txn_look": "txn_committed:1:EIO"}
WHICH = ("first", "middle", "last")


@dataclasses.dataclass
class Cell:
    point: str
    which: str
    action: str
    nth: int = 0
    tries: int = 0


@dataclasses.dataclass
class Life:
    cell: Cell | None
    log: pathlib.Path
    at: int  # where its part of the log begins
    began: float
    over_at: float  # when it is to end; it has failed as it should
    counting: bool = False
    ended: bool = False


class Sweep:
    def __init__(self, args, failpoints, cluster):
        self.rng, self.logs = random.Random(f"{args.seed} sweep"), cluster.folder / "logs"
        self.cells = collections.defaultdict(list)  # of a kind of role
        for program, points in failpoints.items():
            for point, takes in points:
                if point.startswith(tuple(args.points or [""])) and not point.startswith(self.not_here(args.store)):
                    kind = "poller" if point.startswith("poll_") else ROLES[program]
                    self.cells[kind] += [Cell(point, which, action) for which in WHICH for action in ("kill", "stop", *["EIO"] * (takes == "errno"))]
        for cells in self.cells.values():
            self.rng.shuffle(cells)
        self.total = sum(map(len, self.cells.values()))
        self.reached = collections.defaultdict(dict)  # kind -> point -> how often in a life
        self.counted = collections.Counter()
        self.lives, self.done, self.given_up = {}, [], []
        self.look_at = 0

    def not_here(self, store):
        """What this store, and a run without quotas, never comes by."""
        return tuple({"file", "s3", "supabase"} - {store}) + ("removal_",)

    def left(self):
        return sum(map(len, self.cells.values())) + sum(life.cell is not None and not life.over_at for life in self.lives.values())

    # -- lives ---------------------------------------------------------------------------------------------------------

    def begin_life(self, name):
        """Gives the environment of a program that begins. One that died of something else has its cell again."""
        kind, now = name.rstrip("0123456789"), time.monotonic()
        log = self.logs / f"{name}.log"
        before = self.lives.pop(name, None)
        if before:
            self.end_life(kind, before)
        life = Life(None, log, log.stat().st_size if log.exists() else 0, now, 0)
        self.lives[name] = life
        if not self.counted[kind]:
            life.counting = True
            return {"REELBUS_FAIL": "count"}
        life.cell = self.take(kind)
        return {"REELBUS_FAIL": self.rule(life.cell)} if life.cell else {}

    def take(self, kind):
        if not self.cells[kind]:
            return None
        cell = self.cells[kind].pop()
        often = self.reached[kind].get(cell.point, 1)
        if not cell.nth:
            second = min(2, often)
            cell.nth = {"first": 1, "middle": self.rng.randint(second, max(often - 1, second)), "last": often}[cell.which]
        return cell

    def rule(self, cell):
        first = [BEFORE[cell.point]] if cell.point in BEFORE else []
        return ",".join([*first, f"{cell.point}:{cell.nth}:{cell.action}"])

    def look(self, supervisor):
        """Ends the lives that have nothing left to do."""
        now = time.monotonic()
        if now < self.look_at:
            return
        self.look_at = now + LOOK_S
        for name, life in self.lives.items():
            role = supervisor.roles[name]
            if role.process is None or life.ended or role.stopped:
                continue
            if life.cell and not life.over_at and self.has_failed(life):
                life.over_at = now + AFTER_S
            end = life.over_at or life.began + (COUNT_S if life.counting else LIFE_S)
            if now >= end and (life.cell or life.counting):
                life.ended = True
                supervisor.kill(role, number=15)

    def has_failed(self, life):
        return f"failpoint {life.cell.point}:{life.cell.nth}:{life.cell.action}" in self.text(life)

    def text(self, life):
        with open(life.log, errors="replace") as file:
            file.seek(life.at)
            return file.read()

    def end_life(self, kind, life):
        if life.cell is None:
            if life.counting:
                self.take_counts(kind, life)
        elif life.over_at or self.has_failed(life):
            self.done.append(life.cell)
        else:
            self.try_again(kind, life.cell)

    def take_counts(self, kind, life):
        counts = re.findall(r"^failpoint (\w+) reached=(\d+)$", self.text(life), re.MULTILINE)
        self.counted[kind] += bool(counts)
        for point, number in counts:
            self.reached[kind][point] = max(int(number), self.reached[kind].get(point, 0))

    def try_again(self, kind, cell):
        cell.tries += 1
        cell.nth = max(1, cell.nth * 2 // 3)
        if cell.tries < TRIES:
            self.cells[kind].insert(0, cell)
        else:
            self.given_up.append(cell)

    # -- what came of it ---------------------------------------------------------------------------------------------------

    def finish(self):
        for name, life in self.lives.items():
            self.end_life(name.rstrip("0123456789"), life)
        self.lives.clear()

    def told(self):
        return f"{len(self.done)} of {self.total}, and {len(self.given_up)} that no life came by"

    def problems(self):
        """Which were never reached."""
        return [f"{cell.point}:{cell.which}:{cell.action}" for cell in self.given_up]
