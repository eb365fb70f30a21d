"""What frontends are told, and when: status, long polling, Server-Sent Events, history and lists."""

import json
import threading

import pytest
import requests
from harness import wait_for


class Events:
    """A reader of Server-Sent Events, written against the standard and nothing of ours."""

    def __init__(self, program, ids, last_event_id=None, url=None, **params):
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self.events, self.comments, self.retry, self.ended = [], [], None, False
        self.last_event_id = last_event_id
        self.answer = requests.get(
            url or program.url("/api/video/events"),
            params={"videoId": ",".join([ids] if isinstance(ids, str) else ids), **params},
            headers=headers, stream=True, timeout=60,
        )  # fmt: skip
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
        except (requests.RequestException, AttributeError, ValueError):
            pass  # cut off, or closed by us
        self.ended = True

    def of(self, name, video_id=None):
        return [data for kind, data in list(self.events) if kind == name and video_id in (None, data["videoId"])]

    def states(self, video_id=None):
        return [(view["status"], view["storage"]) for view in self.of("status", video_id)]

    def wait(self, name, matches=lambda data: True, what=None):
        found = lambda: next((data for data in self.of(name) if matches(data)), None)  # noqa: E731
        return wait_for(found, what or f"an event {name}; there are {self.events}")

    def wait_for_state(self, storage):
        return self.wait("status", lambda view: view["storage"] == storage)

    def close(self):
        self.answer.close()


@pytest.fixture
def reader():
    """Opens streams, and closes them in the end."""
    opened = []

    def open_stream(*arguments, **options):
        opened.append(Events(*arguments, **options))
        return opened[-1]

    yield open_stream
    for events in opened:
        events.close()


def get(program, ids, headers=None, **params):
    return program.get("/api/video/status", headers=headers,
                       params={"videoId": ",".join([ids] if isinstance(ids, str) else ids), **params})  # fmt: skip


UNKNOWN = "00000000-0000-4000-8000-000000000000"


def test_a_stream_shows_every_state_in_order_and_a_percent_that_grows(running, reader):
    video_id = running.insert_video()
    events = reader(running.producer, video_id)
    assert events.answer.headers["Content-Type"] == "text/event-stream"
    assert events.answer.headers["Cache-Control"] == "no-store" and events.answer.headers["X-Accel-Buffering"] == "no"
    assert events.wait_for_state("none")["message"] == "Waiting for video..."
    assert events.retry > 0
    provider_video = running.ask_for_video(video_id, bytes_per_s=300_000, bytes=1_500_000)
    assert events.wait_for_state("processing")["message"] == "Processing video storage..."
    stored = events.wait_for_state("stored")
    event, _ = running.assert_stored(video_id, provider_video)
    assert (stored["message"], stored["videoUrl"], stored["originalUrl"]) == ("Stored", event["video_url"], event["source_url"])
    assert stored["bytes"] == stored["bytesTotal"] == event["bytes"] and stored["storedPercent"] is None
    assert events.states() == [("waiting", "none"), ("completed", "processing"), ("completed", "stored")]
    percents = [progress["storedPercent"] for progress in events.of("progress")]
    assert len(percents) >= 2 and percents == sorted(percents) and 0 <= percents[0] < percents[-1] <= 100
    assert all(progress["bytesTotal"] == event["bytes"] > progress["bytes"] for progress in events.of("progress"))
    kinds = [kind for kind, _ in events.events]
    assert kinds[0] == kinds[1] == kinds[-1] == "status"  # all numbers come while it is processed
