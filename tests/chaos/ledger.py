"""The ledger: what senders have sent and were answered, one JSON line for each fact, written before anybody acts on it.

    {"what": "video", "video": id, "url": ..., "sha256": ..., "bytes": ..., "expected": false}
                                       there is such a video; hash and size when it must be stored; expected: it is asked for
    {"what": "send", "video": id, "send": n}                     a webhook goes out
    {"what": "answer", "video": id, "send": n, "status": 200}    and was answered; 0: the connection broke
"""

import collections
import json
import os
import threading


class Ledger:
    """Writes. Several threads may; a line is there as a whole or not at all."""

    def __init__(self, path):
        self.path = path
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.lock = threading.Lock()
        self.sends = 0
        self.answers = collections.Counter()

    def write(self, **fact):
        os.write(self.file, (json.dumps(fact) + "\n").encode())

    def video(self, video_id, url=None, sha256=None, size=None, expected=False):
        self.write(what="video", video=video_id, url=url, sha256=sha256, bytes=size, expected=expected)

    def send(self, video_id):
        with self.lock:
            self.sends += 1
            number = self.sends
        self.write(what="send", video=video_id, send=number)
        return number

    def answer(self, video_id, number, status):
        self.write(what="answer", video=video_id, send=number, status=status)
        with self.lock:
            self.answers[status] += 1


class Told:
    """What the ledger says about one video."""

    def __init__(self):
        self.sha256 = self.bytes = None
        self.expected = False
        self.sends = {}  # number -> status; None while there is no answer

    def accepted(self):
        return any(status is not None and 200 <= status < 300 for status in self.sends.values())

    def possible(self):
        """May Kafka have it? A refusal (4xx) says no; 503, a broken connection and silence say nothing."""
        return any(not status or not 400 <= status < 500 for status in self.sends.values())


class LedgerReader:
    """Reads on from where it was."""

    def __init__(self, path):
        self.path, self.at = path, 0
        self.told = collections.defaultdict(Told)

    def read(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.at)
                text = file.read()
        except FileNotFoundError:
            return self.told
        text = text[: text.rfind(b"\n") + 1]
        self.at += len(text)
        for line in text.splitlines():
            self.take(json.loads(line))
        return self.told

    def take(self, fact):
        told = self.told[fact["video"]]
        if fact["what"] == "video":
            told.sha256, told.bytes, told.expected = fact["sha256"], fact["bytes"], fact["expected"]
        elif fact["what"] == "send":
            told.sends.setdefault(fact["send"], None)
        else:
            told.sends[fact["send"]] = fact["status"]
