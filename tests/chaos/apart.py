"""A part of the harness in a process of its own: told what to do, and telling what came of it, in lines of JSON. What takes much of a
core (the senders, the auditor) would hold up the wires, which all programs talk through."""

import json
import pathlib
import subprocess
import sys
import threading


class Gone(Exception):
    """It has ended."""


class Apart:
    def __init__(self, script, log, **told):
        command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-B", str(pathlib.Path(__file__).with_name(script)), json.dumps(told)]
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        self.script, self.log, self.lock = script, log, threading.Lock()

    def ask(self, what, **more):
        """Gives the answer, however long it takes."""
        with self.lock:
            try:
                self.process.stdin.write(json.dumps({"what": what, **more}) + "\n")
                self.process.stdin.flush()
                line = self.process.stdout.readline()
            except OSError:
                line = ""
        if not line:
            raise Gone(f"{self.script} has ended with {self.process.wait(10)}; see {self.log}")
        return json.loads(line)

    def end(self):
        self.process.kill()
        self.process.wait()


def serve(answer):
    """The other side: `answer` is called with each question, and gives what can be said in JSON."""
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)


def told():
    return json.loads(sys.argv[1])
