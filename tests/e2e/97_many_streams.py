"""Many who look and nothing happens: what it costs. REELBUS_TEST_STREAMS=10000 opens as many, with -s shows the figures."""

import os
import pathlib
import re
import resource
import selectors
import socket

import pytest
from harness import wait_for

COUNT = int(os.environ.get("REELBUS_TEST_STREAMS", "2000"))
BYTES_EACH = 3_000  # measured: 720; more than this is a leak of the design
ADDRESSES = 50  # that the clients come from


@pytest.fixture
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < COUNT + 1000:
        pytest.skip(f"the system allows {hard} open files")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Streams in one thread; of each only the number of its events is kept."""

    def __init__(self, port, videos):
        self.selector = selectors.DefaultSelector()
        self.events = [0] * len(videos)
        self.closed = 0
        self.connections = [self.connect(port, number, video_id) for number, video_id in enumerate(videos)]

    def connect(self, port, number, video_id):
        connection = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(f"127.0.1.{1 + number % ADDRESSES}", 0))
        connection.sendall(f"GET /api/video/events?videoId={video_id} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        connection.setblocking(False)
        self.selector.register(connection, selectors.EVENT_READ, number)
        return connection

    def read(self):
        for key, _ in self.selector.select(0.1):
            piece = key.fileobj.recv(65536)
            self.events[key.data] += piece.count(b"event: status\n")
            if not piece:
                self.selector.unregister(key.fileobj)
                self.closed += 1

    def all_have(self, count):
        self.read()
        assert self.closed == 0
        return min(self.events) >= count

    def close(self):
        for connection in self.connections:
            connection.close()
        self.selector.close()


def resident_bytes(program):
    status = pathlib.Path(f"/proc/{program.process.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


def test_idle_streams_cost_little_and_all_of_them_are_told(bus, descriptors, request):
    producer = bus.start_producer(REELBUS_MAX_CONNECTIONS=COUNT + 500, REELBUS_DB_TIMEOUT_MS="1m")
    bus.query("INSERT INTO video_history (user_id, prompt) SELECT %s::uuid, 'p' FROM generate_series(1, %s)", bus.user, COUNT)
    videos = [row["id"] for row in bus.query("SELECT id::text FROM video_history")]
    few = Crowd(producer.port, videos[:50])
    wait_for(lambda: few.all_have(1), "the first few have their state")
    few.close()
    wait_for(lambda: "reelbus_event_streams 0" in producer.get("/metrics").text, "they are gone")
    before = resident_bytes(producer)
    crowd = Crowd(producer.port, videos)
    wait_for(lambda: crowd.all_have(1), "all have their state", 180)
    idle = resident_bytes(producer)
    bus.query("INSERT INTO reelbus.video (video_id, state) SELECT id, 'processing' FROM video_history")
    bus.query("SELECT pg_notify('reelbus_video', video_id::text) FROM reelbus.video")
    wait_for(lambda: crowd.all_have(2), "all hear of a change", 180)
    told = resident_bytes(producer)
    print(f"\n{COUNT} streams: {before / 1e6:.1f} MB without, {idle / 1e6:.1f} MB idle, {told / 1e6:.1f} MB after a change of"
          f" each; {(idle - before) / COUNT:.0f} bytes each")  # fmt: skip
    crowd.close()
    wait_for(lambda: "reelbus_event_streams 0" in producer.get("/metrics").text, "all are gone", 120)
    if request.config.getoption("--build") == "release":
        assert max(idle, told) - before < COUNT * BYTES_EACH
