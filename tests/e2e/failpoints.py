"""Lives of a program that end, stop or meet errors at failpoints; the next life goes on with what the one before has left."""

import contextlib
import pathlib
import re
import signal
import threading

import psycopg
from harness import ROOT, WAIT_S, wait_for

TABLE = re.findall(r'^    X\((\w+), (CONSUMER|PRODUCER|BOTH), (PLAIN|ERRNO), "(.+)"\)', (ROOT / "common/failpoint.h").read_text(), re.MULTILINE)
ERRNO = {name for name, _, takes, _ in TABLE if takes == "ERRNO"}
FIRST = {"txn_abort": "txn_flush", "txn_look": "txn_committed"}  # what has to fail for a point to be reached
CLOSING = ("partitions_lost", "program_closing")  # reached when the program is asked to end
AT_ONCE = 3


def points_of(program, *words):
    """Names of failpoints of a program that begin with one of these words."""
    return [name for name, of, _, _ in TABLE if of in (program, "BOTH") and name.startswith(words)]


def turns(count):
    """The first, the middle and the last of so many times."""
    return sorted({1, (count + 1) // 2, max(count, 1)})


def error_at(point):
    return "ENOSPC" if point == "file_write" else "EIO"


def said_by(program):
    """What it has written so far. It may be stopped."""
    return pathlib.Path(program.process.log).read_text(errors="replace")


def is_stopped(program):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{program.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    return False


@contextlib.contextmanager
def woken(program):
    """Whenever it stops it is told to go on."""
    over = threading.Event()

    def wake():
        while not over.wait(0.01):
            if is_stopped(program):
                program.process.send(signal.SIGCONT)

    waker = threading.Thread(target=wake)
    waker.start()
    try:
        yield
    finally:
        over.set()
        waker.join()


class Lives:
    """What they have to do is fed to them: `feed` gives one thing more, `left` says how much of it is not done."""

    def __init__(self, bus, points):
        self.bus, self.points = bus, points
        self.database = psycopg.connect(bus.database_url, autocommit=True)
        self.counts = {}

    # -- what a scenario says ---------------------------------------------------------------------------------------------

    def begin(self, fail):
        raise NotImplementedError

    def feed(self):
        raise NotImplementedError

    def left(self):
        raise NotImplementedError

    # -- lives ------------------------------------------------------------------------------------------------------------

    def start(self, fail):
        for _ in range(AT_ONCE - self.left()):
            self.feed()
        return self.begin(fail)

    def last(self):
        """The life that does the rest."""
        program = self.begin("")
        wait_for(program.is_ready, "it is ready")
        return program

    def wait_until_done(self, program):
        wait_for(lambda: self.left() == 0, f"all is done: {program.process.tail()}")

    def first(self, point):
        """What else has to fail: as often as the point is to be reached."""
        return [f"{FIRST[point]}:{nth}:EIO" for nth in range(1, AT_ONCE + 1)] if point in FIRST else []

    def count(self):
        """A life in which nothing happens: how often each point is reached in it."""
        program = self.begin("count")
        for _ in range(AT_ONCE):
            self.feed()
            self.wait_until_done(program)
        wait_for(lambda: program.get("/healthz").ok, "it has begun")
        program.stop()
        self.counts = {name: int(count) for name, count in re.findall(r"^failpoint (\w+) reached=(\d+)$", program.log, re.MULTILINE)}
        self.counts |= dict.fromkeys((*FIRST, "kafka_statistics"), AT_ONCE)
        assert [point for point in self.points if not self.counts.get(point)] == []

    def keep_busy(self, program, point, over, what, wait_s=WAIT_S):
        """Until that is so, there is always something to do."""
        asked_to_end = False

        def look():
            nonlocal asked_to_end
            if over():
                return True
            if not asked_to_end and program.process.alive() and self.left() == 0:
                asked_to_end = point in CLOSING
                program.process.send(signal.SIGTERM) if asked_to_end else self.feed()
            return False

        wait_for(look, f"{what}: {said_by(program)[-3000:]}", wait_s)

    def die(self, point, nth):
        program = self.start(",".join([*self.first(point), f"{point}:{nth}:kill"]))
        self.keep_busy(program, point, lambda: not program.process.alive(), f"it dies at {point}, time {nth}")
        assert program.process.status == -signal.SIGKILL, program.process.tail()
        assert f"failpoint {point}:{nth}:kill" in said_by(program)

    def die_at_each(self, points=None):
        for point in points or self.points:
            for nth in turns(self.counts[point]):
                self.die(point, nth)

    def live_through(self, rules):
        """One life in which all of these happen, and that ends well."""
        rules = [*rules, *(rule for point in self.points for rule in self.first(point))]
        late = [rule for rule in rules if rule.startswith(CLOSING)]
        program = self.start(",".join(rules))
        with woken(program):
            self.keep_busy(program, None, lambda: all(f"failpoint {rule}" in said_by(program) for rule in rules if rule not in late),
                           "all of it happens", 5 * WAIT_S)  # fmt: skip
            program.stop()
        assert [rule for rule in late if f"failpoint {rule}" not in said_by(program)] == []

    def stop_at_each(self):
        self.live_through([f"{point}:{nth}:stop" for point in self.points for nth in turns(self.counts[point])])

    def err_at_each(self):
        self.live_through([f"{point}:{nth}:{error_at(point)}" for point in self.points if point in ERRNO for nth in turns(self.counts[point])])

    def all(self):
        """Every point, each first, middle and last time, with everything that may happen there."""
        self.count()
        self.stop_at_each()
        if ERRNO & set(self.points):
            self.err_at_each()
        self.die_at_each()

    def ask(self, sql, *values):
        return self.database.execute(sql, values).fetchone()[0]

    def close(self):
        self.database.close()
