"""The auditor beside a run of chaos: it looks all the while, and at the end until there is nothing left to say.

As a program it is the auditor's own process: see apart.py.
"""

import threading
import time

import apart
import audit
import audit_store

PASSING = ("lost", "lag", "torn", "open_transaction", "auditor")  # may only be late

MISSING, MISSING_S = ("lost", "torn"), 30


class Auditing:
    """store: what audit_store's classes are made of; say: called with each new violation."""

    def __init__(self, log, say, note, every_s, **told):
        self.apart = apart.Apart("auditing.py", log, **told)
        self.say, self.note, self.every_s = say, note, every_s
        self.violations, self.left, self.figures = {}, [], {}  # seen on the way, with the time; at the end
        self.rounds = self.missed = 0
        self.missing_since = {}
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.look_on, daemon=True)
        self.thread.start()

    def round(self, final, wait_s):
        """Gives violations, or None when somebody was away."""
        try:
            answer = self.apart.ask("round", final=final, wait_s=wait_s)
        except apart.Gone as gone:
            answer = {"found": [("auditor", "", str(gone))], "away": None, "figures": {}, "objects_s": 0}
        self.figures, self.objects_s = answer["figures"], answer["objects_s"]
        if answer["away"]:
            self.note(f"not audited: {answer['away']}")
        return None if answer["away"] else [audit.Violation(*violation) for violation in answer["found"]]

    def look_on(self):
        """While faults run. It has more to look at each time: half of the time at most."""
        pause_s = self.every_s
        while not self.ending.wait(pause_s):
            began = time.monotonic()
            found = self.round(final=False, wait_s=20)
            pause_s = max(self.every_s, time.monotonic() - began)
            if found is None:
                self.missed += 1
                continue
            self.rounds += 1
            self.take(found)

    def take(self, found):
        """A broker that has just become a leader may for a moment show less than was acknowledged; and a receiver may be dead while
        webhooks are in its spool. So what is missing must be missing for a while."""
        now, before = time.monotonic(), self.missing_since
        self.missing_since = {violation[:2]: before.get(violation[:2], now) for violation in found if violation.kind in MISSING}
        for violation in found:
            if violation not in self.violations and now - self.missing_since.get(violation[:2], 0) >= MISSING_S:
                self.violations[violation] = time.strftime("%H:%M:%S")
                self.say(f"{violation.kind}: {violation.video} {violation.detail}")

    def finish(self, healed, wait_s):
        """Look until nothing is left to be said, or the time is over. Gives the seconds that it took since all was healed."""
        self.ending.set()
        self.thread.join()
        while True:
            found = self.round(final=True, wait_s=30)
            steady_s = time.monotonic() - healed - self.objects_s
            self.left = [audit.Violation("auditor", "", "somebody is away at the end")] if found is None else found
            if steady_s > wait_s or not any(violation.kind in PASSING for violation in self.left):
                self.apart.end()
                return steady_s
            time.sleep(0.5)

    def problems(self):
        return [*self.violations, *(violation for violation in self.left if violation not in self.violations)]


class Process:
    """Answers questions. A round that fell is a defect of the auditor, and must not look like a good one."""

    def __init__(self, brokers, prefix, group, database, store, ledger, grace_s):
        self.auditor = audit.Auditor(brokers, prefix, group, database, audit_store.of(**store), ledger, grace_s)

    def answer(self, what, final, wait_s):
        found, away = [], None
        try:
            found = self.auditor.round(final, wait_s)
        except audit.Away as problem:
            away = str(problem)
        except Exception as problem:
            found = [("auditor", "", repr(problem))]
        return {"found": found, "away": away, "figures": self.auditor.figures(), "objects_s": time.monotonic() - self.auditor.looked_at}


if __name__ == "__main__":
    apart.serve(Process(**apart.told()).answer)
