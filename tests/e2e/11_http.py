"""Hostile and slow clients: none gets anything, none keeps others from being served."""

import contextlib
import selectors
import socket
import threading
import time
import uuid

import pytest
import requests
from harness import SECRET, raw_http, wait_for

PATH = "/api/webhook/video-complete"
URL = "https://media.example.com/v.mp4"
SLOW = 2000


def webhook(video_id):
    """Head lines and body of a good webhook, without what says how long it is."""
    body = f'{{"videoId":"{video_id}","videoUrl":"{URL}","status":"completed"}}'.encode()
    return f"Content-Type: application/json\r\nx-webhook-secret: {SECRET}\r\n".encode(), body


def hostile_requests(video_id):
    """Each would be a good webhook to a server that is less strict, or to one that reads it otherwise."""
    head, body = webhook(video_id)
    line, host = f"POST {PATH} HTTP/1.1\r\n".encode(), b"Host: x\r\n"
    length = f"Content-Length: {len(body)}\r\n".encode()
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    chunked = b"Transfer-Encoding: chunked\r\n"
    good = line + host + head + length + b"\r\n" + body
    return {
        "a length and a coding": line + host + head + length + chunked + b"\r\n" + chunks,
        "a coding and a length": line + host + head + chunked + b"Content-Length: 4\r\n\r\n" + chunks,
        "two lengths": line + host + head + length + b"Content-Length: 0\r\n\r\n" + body,
        "the same length twice": line + host + head + length + length + b"\r\n" + body,
        "a list of lengths": line + host + head + length.replace(b"\r\n", b", 0\r\n") + b"\r\n" + body,
        "a length with a sign": line + host + head + length.replace(b": ", b": +") + b"\r\n" + body,
        "a coding that is no coding": line + host + head + b"Transfer-Encoding: xchunked\r\n\r\n" + chunks,
        "a coding twice": line + host + head + chunked + b"Transfer-Encoding: identity\r\n\r\n" + chunks,
        "a coding of HTTP/1.0": line.replace(b"1.1", b"1.0") + host + head + chunked + b"\r\n" + chunks,
        "a folded coding": line + host + head + length + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + chunks,
        "a folded line": line + host + head + length + b"X-A: b\r\n\tc\r\n\r\n" + body,
        "a folded first line": line + b" X-A: b\r\n" + host + head + length + b"\r\n" + body,
        "a space before a colon": line + host + head + length + b"Transfer-Encoding : chunked\r\n\r\n" + chunks,
        "a bare line feed": line + host + head + length.replace(b"\r", b"") + b"\r\n" + body,
        "a bare line feed at the end": line + host + head + length + b"\n" + body,
        "line feeds only": good.replace(b"\r", b""),
        "a bare carriage return": line + host + head + length + b"X-A: b\rX-B: c\r\n\r\n" + body,
        "NUL in a value": line + host + head + length + b"X-A: b\0c\r\n\r\n" + body,
        "NUL in a name": line + host + head + length + b"X\0A: bc\r\n\r\n" + body,
        "NUL in the target": good.replace(PATH.encode(), PATH.encode() + b"\0x"),
        "NUL behind the version": good.replace(b"HTTP/1.1", b"HTTP/1.1\0x"),
        "NUL in an escaped target": good.replace(PATH.encode(), PATH.encode() + b"%00"),
        "an absolute target": good.replace(b"POST /", b"POST http://x/"),
        "no host": line + head + length + b"\r\n" + body,
        "two hosts": line + host + b"Host: y\r\n" + head + length + b"\r\n" + body,
        "a host with a space": line + b"Host: x y\r\n" + head + length + b"\r\n" + body,
        "HTTP/2.0": good.replace(b"HTTP/1.1", b"HTTP/2.0"),
        "two spaces": good.replace(b"POST /", b"POST  /"),
        "a tab": good.replace(b"POST /", b"POST\t/"),
        "a control in a value": line + host + head + length + b"X-A: \x01\r\n\r\n" + body,
        "65 lines": line + host + head + length + b"X: y\r\n" * 61 + b"\r\n" + body,
        "a head of 17 KiB": line + host + head + length + b"X: " + b"y" * 17000 + b"\r\n\r\n" + body,
        "a chunk with a line feed": line + host + head + chunked + b"\r\n" + chunks.replace(b"\r", b""),
        "a chunk with a sign": line + host + head + chunked + b"\r\n+" + chunks,
        "a chunk that is longer than it says": line + host + head + chunked + b"\r\n" + chunks.replace(b"}", b"}}"),
        "a chunk of 2^64 bytes": line + host + head + chunked + b"\r\n1" + b"0" * 16 + b"\r\n" + body,
        "a long extension": line + host + head + chunked + b"\r\n" + chunks.replace(b"\r\n", b";" + b"x" * 300 + b"\r\n", 1),
        "a trailer": line + host + head + chunked + b"\r\n" + chunks[:-2] + b"X-A: b\r\n\r\n",
        "an expectation": line + host + head + length + b"Expect: 200-ok\r\n\r\n" + body,
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        "nothing but line ends": b"\r\n" * 1000,
        "noise": bytes(range(256)) * 80,
    }  # fmt: skip


def test_hostile_requests_are_refused_and_honest_ones_served(bus):
    bus.start_producer()
    honest = bus.insert_video()
    for what, request in hostile_requests(bus.insert_video()).items():
        try:
            answer = raw_http(bus.producer.port, request)
        except ConnectionError:
            answer = b""
        assert answer.split(b" ")[1:2] in ([], [b"400"], [b"413"], [b"417"], [b"431"], [b"501"], [b"505"]), (what, answer)
        assert b" 200 " not in answer, (what, answer)
        assert bus.webhook({"videoId": honest, "videoUrl": URL, "status": "completed"}).status_code == 200, what
    assert {event["video_id"] for event in bus.events("video.webhook.received")} == {honest}


def test_the_same_request_without_hostility_is_taken(bus):
    bus.start_producer()
    videos = [bus.insert_video() for _ in range(3)]
    for video_id, http, close in zip(videos, (b"1.1", b"1.0", b"1.1"), (b"", b"", b"Connection: close\r\n")):
        head, body = webhook(video_id)
        start = b"POST %s HTTP/%s\r\nHost: x\r\n%s" % (PATH.encode(), http, close)
        answer = raw_http(bus.producer.port, start + head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b'{"success":true}')
    assert {event["video_id"] for event in bus.events("video.webhook.received")} == set(videos)


class SlowClients:
    """Many connections that send one byte now and then, each from one of several addresses, until they are closed."""

    def __init__(self, port, count, addresses, requests):
        self.selector = selectors.DefaultSelector()
        self.open = {}
        self.answers = []
        self.leaving = False
        for number in range(count):
            connection = socket.socket()
            connection.bind((addresses[number % len(addresses)], 0))
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
            self.open[connection] = iter(requests[number % len(requests)])
            self.selector.register(connection, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def close(self, connection):
        self.selector.unregister(connection)
        del self.open[connection]
        connection.close()

    def leave(self):
        """Close those that are still open."""
        self.leaving = True
        self.thread.join()

    def run(self):
        next_byte = time.monotonic()
        while self.open and not self.leaving:
            for key, _ in self.selector.select(0.05):
                try:
                    answer = key.fileobj.recv(4096)
                except OSError:
                    answer = b""
                if answer:
                    self.answers.append(answer)
                else:
                    self.close(key.fileobj)
            if time.monotonic() < next_byte:
                continue
            next_byte = time.monotonic() + 0.5
            for connection, request in list(self.open.items()):
                try:
                    connection.send(bytes([next(request)]))
                except BlockingIOError:
                    pass
                except OSError:
                    self.close(connection)
        for connection in list(self.open):
            self.close(connection)


def slow_requests():
    """One is slow in its head, the other in its body."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
    return [head + b"X-Slow: " + b"s" * 10000, head + b"Content-Length: 5000\r\n\r\n" + b" " * 5000]


def serve_honest_ones_meanwhile(bus, slow):
    """Honest senders, while there are slow ones. Gives their videos."""
    videos = []
    deadline = time.monotonic() + 300
    while slow.open or not videos:
        assert time.monotonic() < deadline, f"{len(slow.open)} slow ones are still there"
        video_id = bus.insert_video()
        answer = bus.webhook({"videoId": video_id, "videoUrl": URL, "status": "completed"})
        assert answer.status_code == 200, answer.text
        videos.append(video_id)
    return videos


@pytest.mark.parametrize("room", ["enough", "for_half"])
def test_2000_slow_connections_do_not_disturb_honest_ones(bus, room):
    """And each is closed when its time is up, or before that when there is no room for all."""
    bus.start_producer(REELBUS_HEAD_TIMEOUT_MS="3s", REELBUS_REQUEST_TIMEOUT_MS="4s",
                       REELBUS_MAX_CONNECTIONS=16384 if room == "enough" else SLOW // 2)  # fmt: skip
    slow = SlowClients(bus.producer.port, SLOW, [f"127.0.0.{number}" for number in range(2, 12)], slow_requests())
    videos = serve_honest_ones_meanwhile(bus, slow)
    assert all(b" 200 " not in answer for answer in slow.answers)
    assert sorted(event["video_id"] for event in bus.events("video.webhook.received")) == sorted(videos)


def get_from(bus, address):
    """The status line's number, as one who comes from this address sees it; None when the connection was closed."""
    with socket.socket() as connection:
        connection.settimeout(60)
        connection.bind((address, 0))
        connection.connect(("127.0.0.1", bus.producer.port))
        try:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = connection.recv(4096)
        except ConnectionError:
            return None
    return int(answer.split()[1]) if answer else None


def test_one_address_has_no_more_than_its_share_of_connections(bus):
    """The limit is reached by clients that keep theirs open; whoever comes from elsewhere is served all the while."""
    limit = 8
    bus.start_producer(REELBUS_TRUSTED_PROXIES="none", REELBUS_MAX_CONNECTIONS_PER_ADDRESS=limit,
                       REELBUS_HEAD_TIMEOUT_MS="10m", REELBUS_REQUEST_TIMEOUT_MS="10m")  # fmt: skip
    slow = SlowClients(bus.producer.port, limit + 5, ["127.0.0.2"], slow_requests())
    try:
        wait_for(lambda: len(slow.open) == limit, "those beyond the limit are closed")
        for _ in range(5):
            assert get_from(bus, "127.0.0.2") is None
            assert get_from(bus, "127.0.0.3") == 200
        assert len(slow.open) == limit and slow.answers == []
        slow.leave()
        wait_for(lambda: get_from(bus, "127.0.0.2") == 200, "there is room again")
    finally:
        slow.leave()


def test_connections_of_a_trusted_proxy_are_not_limited(bus):
    bus.start_producer(REELBUS_TRUSTED_PROXIES="127.0.0.1,127.0.0.2", REELBUS_MAX_CONNECTIONS_PER_ADDRESS=2,
                       REELBUS_HEAD_TIMEOUT_MS="10m", REELBUS_REQUEST_TIMEOUT_MS="10m")  # fmt: skip
    slow = SlowClients(bus.producer.port, 20, ["127.0.0.2"], slow_requests())
    try:
        assert get_from(bus, "127.0.0.2") == 200
        wait_for(lambda: int(metric(bus, "reelbus_http_connections")) >= 20, "all of them are there")
        assert len(slow.open) == 20
    finally:
        slow.leave()


def test_a_connection_that_stays_silent_is_closed(bus):
    bus.start_producer(REELBUS_HEAD_TIMEOUT_MS="500ms", REELBUS_IDLE_TIMEOUT_MS="500ms")
    with socket.create_connection(("127.0.0.1", bus.producer.port), timeout=60) as silent:
        assert silent.recv(1) == b""

    def ask():
        """All that comes until the connection is closed; nothing when this machine was too busy to ask in time."""
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", bus.producer.port), timeout=60) as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while piece := idle.recv(4096):
                answer += piece
            return answer if answer.startswith(b"HTTP/1.1 200 ") else None

    assert b"Connection: close" not in wait_for(ask, "an answer, and then the end")


def test_a_client_that_takes_no_answer_is_closed(bus):
    """A large file, and a client that asks for it and reads nothing."""
    bus.start_producer(REELBUS_IDLE_TIMEOUT_MS="500ms")
    size = 64 << 20
    (bus.store / "large").write_bytes(bytes(size))
    with socket.create_connection(("127.0.0.1", bus.producer.port), timeout=60) as client:
        client.sendall(b"GET /media/large HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: int(metric(bus, "reelbus_http_timeouts_total")) >= 1, "the connection is closed")
        came = 0
        with contextlib.suppress(ConnectionError):
            while piece := client.recv(1 << 20):
                came += len(piece)
        assert came < size


def metric(bus, name):
    lines = [line for line in bus.producer.get("/metrics").text.splitlines() if line.startswith(name + " ")]
    return lines[0].split()[1]


def test_a_file_comes_whole_and_in_parts(bus):
    bus.start_producer()
    content = uuid.uuid4().bytes * 300_000
    (bus.store / "file").write_bytes(content)
    assert bus.producer.get("/media/file").content == content
    part = bus.producer.get("/media/file", headers={"Range": "bytes=1000000-1999999"})
    assert (part.status_code, part.content) == (206, content[1000000:2000000])
    head = requests.head(bus.producer.url("/media/file"))
    assert (head.headers["Content-Length"], head.content) == (str(len(content)), b"")


def test_an_idle_connection_does_not_delay_the_end(bus):
    bus.start_producer(REELBUS_SHUTDOWN_MS="10m", REELBUS_IDLE_TIMEOUT_MS="10m")
    with socket.create_connection(("127.0.0.1", bus.producer.port), timeout=60) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200 ")
        bus.producer.stop()
        assert idle.recv(4096) == b""
