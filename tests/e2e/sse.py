"""A reader of Server-Sent Events, written against the standard and with nothing of ours."""

import json
import threading

import requests
from harness import wait_for


class Events:
    def __init__(self, url, ids, last_event_id=None, **params):
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self.events, self.comments, self.retry, self.ended = [], [], None, False
        self.last_event_id = last_event_id
        params["videoId"] = ids if isinstance(ids, str) else ",".join(ids)
        self.answer = requests.get(url, params=params, headers=headers, stream=True, timeout=120)
        if self.answer.status_code == 200:
            threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        name, data, event_id = "message", [], self.last_event_id
        try:
            for line in self.answer.iter_lines(chunk_size=1):
                field, _, value = line.decode().partition(":")
                value = value.removeprefix(" ")
                if line == b"":
                    self.last_event_id = event_id
                    if data:
                        self.events.append((name, json.loads("\n".join(data))))
                    name, data = "message", []
                elif field == "":
                    self.comments.append(value)
                elif field == "event":
                    name = value
                elif field == "data":
                    data.append(value)
                elif field == "id":
                    event_id = value
                elif field == "retry":
                    self.retry = int(value)
        except (requests.RequestException, AttributeError, ValueError, OSError):
            pass  # cut off, or closed by us
        self.ended = True

    def of(self, name, video_id=None):
        return [data for kind, data in list(self.events) if kind == name and video_id in (None, data.get("videoId"))]

    def states(self, video_id=None):
        return [(view["status"], view["storage"]) for view in self.of("status", video_id)]

    def wait(self, name, matches=lambda data: True):
        """The first event of that name that matches."""
        return wait_for(lambda: [data for data in self.of(name) if matches(data)], f"an event '{name}'")[0]

    def wait_for_state(self, storage, video_id=None):
        return self.wait("status", lambda view: view["storage"] == storage and video_id in (None, view["videoId"]))

    def close(self):
        self.answer.close()
