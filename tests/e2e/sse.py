"""A reader of Server-Sent Events, written against the standard and with nothing of ours."""

import http.client
import json
import socket
import threading
import urllib.parse

from harness import wait_for


class Events:
    def __init__(self, url, ids, last_event_id=None, **params):
        parts = urllib.parse.urlsplit(url)
        params["videoId"] = ids if isinstance(ids, str) else ",".join(ids)
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self.events, self.comments, self.retry, self.ended = [], [], None, False
        self.last_event_id = last_event_id
        self.connection = http.client.HTTPConnection(parts.netloc, timeout=120)
        self.connection.request("GET", f"{parts.path}?{urllib.parse.urlencode(params)}", headers=headers)
        self.socket = self.connection.sock
        self.answer = self.connection.getresponse()
        self.thread = threading.Thread(target=self.read, daemon=True)
        if self.answer.status == 200:
            self.thread.start()

    def read(self):
        name, data, event_id = "message", [], self.last_event_id
        try:
            while line := self.answer.readline():
                field, _, value = line.decode().rstrip("\n").partition(":")
                value = value.removeprefix(" ")
                if line == b"\n":
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
        except (http.client.HTTPException, OSError):
            pass  # cut off
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
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster
        if self.thread.is_alive():
            self.thread.join()
        self.connection.close()
