"""What runs, and who starts it again when it has died: the part of systemd."""

import collections
import dataclasses
import pathlib
import signal
import time

from harness import local


OURS = ("receiver", "poller", "consumer")
ENDED_WELL = (0, -signal.SIGKILL, -signal.SIGTERM)  # the last one before it has begun to listen to signals

FATAL = 3  # the status with which a program ends whose identity is taken


@dataclasses.dataclass
class Role:
    name: str
    kind: str  # consumer, receiver, poller, broker, postgres, source, s3
    start: object  # begins the process and gives it
    process: object = None
    wanted: bool = True
    stopped: bool = False
    start_at: float = 0  # not before
    go_on_at: float = 0  # one that has stopped itself
    disturbed_at: float = 0  # begun, woken or told to end


class Supervisor:
    """Called often, by one thread."""

    def __init__(self, roles, say):
        self.roles, self.say = {role.name: role for role in roles}, say
        self.wake_after_s = lambda: 7  # one that has stopped itself: longer than a session of the group
        self.fenced = 0  # static members that met themselves: a broker was away while they joined
        self.deaths = []  # of ours that did not end well: name, status, end of the log
        self.killed = collections.Counter()  # kind: with kill -9, while it lived

    def of(self, *kinds):
        return [role for role in self.roles.values() if role.kind in kinds]

    def look(self):
        now = time.monotonic()
        for role in self.roles.values():
            if role.process is not None and not role.process.alive():
                if role.kind in OURS and role.process.status not in ENDED_WELL:
                    self.note_death(role)
                role.process, role.stopped, role.go_on_at = None, False, 0
            if role.process is not None and not role.stopped and role.kind in OURS and has_stopped(role.process.pid):
                role.stopped, role.go_on_at = True, now + self.wake_after_s()  # a failpoint
            if role.stopped and 0 < role.go_on_at <= now:
                self.go_on(role)
            if role.process is None and role.wanted and now >= role.start_at:
                role.process, role.disturbed_at = role.start(), now

    def note_death(self, role):
        """Kafka fences a static member whose session has ended, as if another one had its name. That is told, and the end of it."""
        if role.process.status == FATAL and "ev=fatal code=group_fenced" in role.process.tail(10):
            self.fenced += 1
            return
        self.deaths.append((role.name, role.process.status, role.process.tail(5)))
        self.say(f"{role.name} ended by itself with {role.process.status}")

    def kill(self, role, number=signal.SIGKILL, rest_s=0):
        role.start_at = time.monotonic() + rest_s
        if role.process is not None and role.process.alive():
            self.killed[role.kind] += number == signal.SIGKILL
            role.disturbed_at = time.monotonic()
            role.process.send(number)
            if role.stopped and number != signal.SIGKILL:
                role.process.send(signal.SIGCONT)

    def pause(self, role):
        if role.process is not None:
            role.stopped = True
            role.process.send(signal.SIGSTOP)

    def go_on(self, role):
        if role.process is not None:
            role.stopped, role.go_on_at, role.disturbed_at = False, 0, time.monotonic()
            role.process.send(signal.SIGCONT)

    def end(self, wait_s=60):
        """Those that face the world first. Gives the names of ours that did not end by themselves with status 0."""
        stubborn = []
        for kind in (*OURS, "source", "broker", "s3", "postgres"):
            for role in self.of(kind):
                role.wanted = False
                if role.process is None or not role.process.alive():
                    continue
                role.process.send(signal.SIGCONT)
                number = {"broker": signal.SIGKILL, "postgres": signal.SIGINT}.get(kind, signal.SIGTERM)
                gentle = role.process.stop(number, wait_s)
                if kind in OURS and (not gentle or role.process.status != 0):
                    stubborn.append(f"{role.name}: {role.process.status}")
        return stubborn


def has_stopped(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False


def is_up(port):
    return lambda: local.port_is_open(port)
