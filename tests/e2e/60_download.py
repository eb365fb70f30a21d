"""Sources that misbehave."""

import http.server

import pytest
from harness import TINY_MP4, alike, wait_for
from sources import serving

GIVE_UP_SOON = {"REELBUS_RETRY_FOR_MS": "0"}


@pytest.fixture
def short(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_VIDEO_MAX_BYTES="3MB")
    return bus


@pytest.mark.parametrize(
    "behaviour, code, failure_class",
    [
        *alike([({"cut_at": 0.6}, "expired", "source"), ({"length_offset": 1000}, "expired", "source")]),
        *alike([({"cut_at": 0.6, "no_length": True}, "expired", "source"), ({"cut_at": 0.99999, "no_length": True}, "expired", "source")]),
        ({"length_offset": -1000}, "expired", "source"),
        ({"page": True}, "expired", "source"),
        ({"status": 403}, "expired", "source"),
        ({"status": 429, "retry_after": 1}, "expired", "source"),
        ({"status": 500}, "expired", "source"),
        ({"status": 404}, "source_gone", "source"),
        ({"redirects": 99}, "source_redirects", "source"),
        ({"bytes": 4_000_000}, "too_large", "content"),
        ({"bytes": 4_000_000, "no_length": True}, "too_large", "content"),
    ],
)
def test_what_does_not_come_whole_is_not_stored(short, behaviour, code, failure_class):
    video_id, _ = short.store_video(expires_s=4 if code == "expired" else 600, **behaviour)
    event, row = short.assert_not_stored(video_id, code, failure_class)
    assert event["tries"] == row["tries"] >= 1 and event["first_try_at"] <= event["last_try_at"] <= event["failed_at"]
    assert (event["tries"] > 1) == (code == "expired"), event["message"]
    short.wait_until_finished()


@pytest.mark.parametrize("behaviour", [{"status": 503, "status_times": 2}, {"redirects": 4}, {"no_length": True}, {"status": 403, "status_times": 1}])
def test_what_comes_right_in_the_end_is_stored(short, behaviour):
    video_id, provider_video = short.store_video(**behaviour)
    wait_for(lambda: short.events("video.stored", video_id), "it is stored")
    event, _ = short.assert_stored(video_id, provider_video)
    assert event["tries"] == 1 + behaviour.get("status_times", 0)


def test_a_source_that_stalls_is_given_up_and_holds_nobody_up(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_LOW_SPEED_MS="1s", REELBUS_LOW_SPEED_BYTES="20KiB")
    stalled, _ = bus.store_video(stall_at=0.3, expires_s=4)
    videos = dict(bus.store_video() for _ in range(5))
    for video_id, provider_video in videos.items():
        bus.assert_stored(video_id, provider_video)
    event = bus.wait_for_event("video.store_failed", stalled)
    assert event["code"] == "expired"


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers that no sane server gives. The path says which one."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        head, body = ODD[self.path.strip("/")]
        self.connection.sendall(head.replace(b"\n", b"\r\n") + b"\r\n" + body)
        self.close_connection = True


MP4 = TINY_MP4
LENGTH = b"Content-Length: %d\n" % len(MP4)
ODD = {
    "gzip": (b"HTTP/1.1 200 OK\nContent-Encoding: gzip\n" + LENGTH, MP4),
    "transfer-gzip": (b"HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n", b"%x\r\n" % len(MP4) + MP4 + b"\r\n0\r\n\r\n"),
    "json": (b"HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 2\n", b"{}"),
    "gif": (b"HTTP/1.1 200 OK\nContent-Type: video/mp4\nContent-Length: 20\n", b"GIF89a\x40\1" + b"x" * 12),
    "empty": (b"HTTP/1.1 200 OK\nContent-Type: video/mp4\nContent-Length: 0\n", b""),
    "partial": (b"HTTP/1.1 206 Partial Content\nContent-Range: bytes 0-%d/%d\n" % (len(MP4) - 1, len(MP4)) + LENGTH, MP4),
    "no-content": (b"HTTP/1.1 204 No Content\n", b""),
    "file": (b"HTTP/1.1 302 Found\nLocation: file:///etc/passwd\nContent-Length: 0\n", b""),
    "metadata": (b"HTTP/1.1 302 Found\nLocation: http://169.254.169.254/latest/\nContent-Length: 0\n", b""),
    "user": (b"HTTP/1.1 302 Found\nLocation: http://user:password@127.0.0.1/\nContent-Length: 0\n", b""),
    "nowhere": (b"HTTP/1.1 302 Found\nContent-Length: 0\n", b""),
    "garbage": (b"SSH-2.0-OpenSSH_9.2\n", b""),
    "good": (b"HTTP/1.1 200 OK\n" + LENGTH, MP4),
}


@pytest.fixture
def odd():
    with serving(Odd) as url:
        yield url


def test_odd_answers_are_refused_and_say_why(bus, odd):
    bus.start_producer()
    bus.start_consumer(**GIVE_UP_SOON)
    expected = {
        "gzip": ("source_encoded", "content"),
        "transfer-gzip": ("source_encoded", "content"),
        "json": ("source_page", "source"),
        "gif": ("not_a_video", "content"),
        "empty": ("source_cut", "source"),
        "partial": ("source_answer", "source"),
        "no-content": ("source_answer", "source"),
        "file": ("url_invalid", "policy"),
        "metadata": ("url_refused", "policy"),
        "user": ("url_invalid", "policy"),
        "nowhere": ("source_redirects", "source"),
    }
    videos = {name: bus.send(f"{odd}/{name}") for name in expected}
    garbage, good = bus.send(f"{odd}/garbage"), bus.send(f"{odd}/good")
    for name, (code, failure_class) in expected.items():
        event = bus.wait_for_event("video.store_failed", videos[name])
        assert (event["code"], event["class"]) == (code, failure_class), (name, event["message"])
    assert bus.wait_for_event("video.store_failed", garbage)["class"] == "source"
    bus.wait_for_event("video.stored", good)
    assert bus.objects() == [f"videos/{bus.user}/{good}.mp4"]


def test_private_addresses_are_refused_unless_the_option_allows_them(bus, odd):
    bus.start_producer()
    bus.start_consumer(REELBUS_SOURCE_ALLOW_PRIVATE="false", **GIVE_UP_SOON)
    port = odd.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1"):
        event = bus.wait_for_event("video.store_failed", bus.send(f"http://{host}:{port}/good"))
        assert (event["code"], event["class"]) == ("url_refused", "policy"), (host, event["message"])
    assert bus.objects() == []


def test_a_source_that_refuses_connections_is_tried_again(bus, odd):
    bus.start_producer()
    bus.start_consumer(**GIVE_UP_SOON)
    event = bus.wait_for_event("video.store_failed", bus.send("http://127.0.0.1:1/v.mp4"))
    assert event["code"] == "source_away"
    event = bus.wait_for_event("video.store_failed", bus.send("http://no-such-host.invalid/v.mp4"))
    assert event["code"] == "source_away"
