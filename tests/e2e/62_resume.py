"""Downloads that are cut and go on, and sources that take too long."""

import http.server
import threading

import pytest
import requests
from harness import TINY_MP4, mp4_box, wait_for
from sources import WEBM, serving

STRONG = {"etag": '"one"'}


def requests_of(bus, provider_video):
    return bus.provider("GET", f"/v1/videos/{provider_video}/requests").json()["data"]


def ranges_of(bus, provider_video):
    """Where the requests began that asked for a range."""
    return [int(request["Range"][6:-1]) for request in requests_of(bus, provider_video) if "Range" in request]


def test_a_cut_download_goes_on_where_it_was(running):
    size = 3_000_000
    video_id, provider_video = running.store_video(**STRONG, bytes=size, cuts=[0.2, 0.5, 0.8])
    event = running.wait_for_event("video.stored", video_id)
    ranges = ranges_of(running, provider_video)
    asked = requests_of(running, provider_video)
    running.assert_stored(video_id, provider_video)
    assert event["tries"] == 1 and len(asked) == 4
    assert len(ranges) == 3 and 0 < ranges[0] <= 0.2 * size + 100 < ranges[1] <= 0.5 * size + 100 < ranges[2]
    assert {request["If-Range"] for request in asked[1:]} == {'"one"'}
    assert running.consumer.metric("reelbus_resumes_total") == 3


@pytest.mark.parametrize("behaviour", [
    {**STRONG, "stalls": [0.4]},
    {**STRONG, "bytes": 3_000_000, "cuts": [0.7], "reset": True},
    {**STRONG, "chunked": True, "cuts": [0.3, 0.6]},
    {**STRONG, "cuts": [0.3], "range": "busy", "range_times": 2},
    {**STRONG, "cuts": [0.3], "range": "limits", "range_times": 2},
    {"modified_s": 3600, "cuts": [0.5]},
])  # fmt: skip
def test_it_goes_on_whatever_cut_it_when_the_source_is_sure_of_the_file(bus, behaviour):
    bus.start_producer()
    bus.start_consumer(REELBUS_LOW_SPEED_MS="2s" if "stalls" in behaviour else "60s", REELBUS_LOW_SPEED_BYTES="20KiB")
    video_id, provider_video = bus.store_video(**behaviour)
    bus.wait_for_event("video.stored", video_id)
    assert ranges_of(bus, provider_video)
    event, _ = bus.assert_stored(video_id, provider_video)
    assert event["tries"] == 1


@pytest.mark.parametrize("behaviour", [
    {},
    {"etag": 'W/"one"', "modified_s": 3600},
    {"modified_s": 0},
    {**STRONG, "range": "none"},
])  # fmt: skip
def test_it_starts_over_when_nothing_says_that_the_file_is_the_same(running, behaviour):
    video_id, provider_video = running.store_video(**behaviour, cuts=[0.5])
    running.wait_for_event("video.stored", video_id)
    assert ranges_of(running, provider_video) == []
    event, _ = running.assert_stored(video_id, provider_video)
    assert event["tries"] == 2


@pytest.mark.parametrize("behaviour", [
    {**STRONG, "range": "whole"},
    {**STRONG, "range": "first"},
    {**STRONG, "range": "other_total"},
    {**STRONG, "range": "other_etag"},
    {**STRONG, "range": "bad"},
    {"etag": '"{asked}"'},
])  # fmt: skip
def test_a_part_of_something_else_is_refused_and_it_starts_over(running, behaviour):
    video_id, provider_video = running.store_video(**behaviour, cuts=[0.5])
    running.wait_for_event("video.stored", video_id)
    assert len(ranges_of(running, provider_video)) == 1
    event, _ = running.assert_stored(video_id, provider_video)
    assert event["tries"] == 2


def test_a_source_that_cuts_again_and_again_is_not_asked_for_ever(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_RESUME_MAX="3", REELBUS_RETRY_FOR_MS="0")
    video_id, provider_video = bus.store_video(**STRONG, cut_at=0.5, expires_s=-1)
    event = bus.wait_for_event("video.store_failed", video_id)
    assert event["tries"] == 1 and len(requests_of(bus, provider_video)) <= 4
    assert bus.objects() == []


def test_each_wait_for_a_source_has_an_end(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_FIRST_BYTE_TIMEOUT_MS="3s", REELBUS_TRANSFER_TIMEOUT_MS="10s", REELBUS_TRANSFERS_MAX="1",
                       REELBUS_RETRY_MAX_MS="20s", REELBUS_RETRY_FIRST_MS="20s")  # fmt: skip
    slow_head, _ = bus.store_video(slow_head_s=120, expires_s=10)
    wait_for(lambda: "sent no byte of the video" in bus.consumer.log, "the first was too slow")  # it holds the only slot
    slow_body, _ = bus.store_video(bytes_per_s=20_000, expires_s=20)
    video_id, provider_video = bus.store_video()
    bus.assert_stored(video_id, provider_video)
    for slow in (slow_head, slow_body):
        event = bus.wait_for_event("video.store_failed", slow)
        assert event["code"] in ("expired", "source_slow"), event["message"]
    assert "the transfer took over 10000 ms" in bus.consumer.log


@pytest.mark.parametrize("no_length", [False, True])
def test_only_so_many_bytes_are_on_their_way(bus, no_length):
    bus.start_producer()
    bus.start_consumer(REELBUS_IN_FLIGHT_MAX_BYTES="2500000")
    videos = dict(bus.store_video(bytes=1_000_000, bytes_per_s=1_000_000, no_length=no_length) for _ in range(6))
    seen = []

    def look():
        seen.append(bus.consumer.metric("reelbus_in_flight_bytes"))
        return len(bus.events("video.stored")) == len(videos)

    wait_for(look, "all are stored")
    for video_id, provider_video in videos.items():
        bus.assert_stored(video_id, provider_video)
    assert 0 < max(seen) <= 2_500_000
    assert bus.consumer.metric("reelbus_in_flight_bytes") == 0


def test_a_stalled_source_keeps_its_room_in_flight_for_so_long_and_no_longer(bus):
    """That others wait for it is not the store's fault: no circuit opens."""
    bus.start_producer()
    bus.start_consumer(REELBUS_IN_FLIGHT_MAX_BYTES="100000", REELBUS_TRANSFER_TIMEOUT_MS="3s", REELBUS_RETRY_FIRST_MS="1s")
    stalled = [bus.store_video(bytes=1_000_000, stall_at=0.1, expires_s=15)]
    wait_for(lambda: bus.consumer.metric("reelbus_in_flight_bytes") > 0, "it is on its way")
    videos = dict(bus.store_video() for _ in range(6))
    assert bus.wait_for_event("video.store_failed", stalled[0][0])["code"] in ("expired", "source_slow")
    for video_id, provider_video in videos.items():
        bus.assert_stored(video_id, provider_video)
    assert "ev=circuit_opened" not in bus.consumer.log


class Gates:
    """A source whose answers begin when a test opens their gate, and end when it is over; asked once more, it has nothing."""

    def __init__(self, answers):
        self.answers, self.over = answers, threading.Event()
        self.gates, self.asked = {name: threading.Event() for name in answers}, []
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                name = self.path.strip("/")
                source.asked.append(name)
                first, then, length = source.answers[name]
                if source.asked.count(name) > 1:
                    self.send_response(200 if then else 404)
                    self.send_header("Content-Length", str(len(then)))
                    self.end_headers()
                    self.wfile.write(then)
                    return
                source.gates[name].wait()
                self.send_response(200)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(first)
                self.wfile.flush()
                source.over.wait()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def send(self, bus, name):
        video_id = bus.send(f"http://127.0.0.1:{self.server.server_port}/{name}")
        wait_for(lambda: name in self.asked, "it is asked for")
        return video_id

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.over.set()
        for gate in self.gates.values():
            gate.set()
        self.server.shutdown()
        self.server.server_close()


HALF = TINY_MP4[:40]


def test_who_waits_too_long_for_room_in_flight_is_not_given_up(bus):
    """Two of three stall, and have what room there is, one after the other."""
    bus.start_producer()
    bus.start_consumer(REELBUS_IN_FLIGHT_MAX_BYTES="1MB", REELBUS_TRANSFER_TIMEOUT_MS="10s", REELBUS_RETRY_FOR_MS="0",
                       REELBUS_RETRY_FIRST_MS="200ms")  # fmt: skip
    stalls = (HALF, b"", 900_000)
    with Gates({"one": stalls, "two": stalls, "three": (HALF, TINY_MP4, 900_000)}) as source:
        videos = {name: source.send(bus, name) for name in source.gates}
        for name in videos:
            source.gates[name].set()
            wait_for(lambda: bus.consumer.metric("reelbus_in_flight_bytes") == 900_000, "the first one is on its way")
        event = bus.wait_for_event("video.stored", videos["three"])
        assert event["tries"] == source.asked.count("three") == 2
        for name in ("one", "two"):
            assert bus.wait_for_event("video.store_failed", videos[name])["code"] == "source_slow"
        log = bus.consumer.log
        assert "code=in_flight_full" in log and "ev=circuit_opened" not in log
        assert bus.events("video.store_failed", videos["three"]) == []
        bus.wait_until_finished()


def test_what_turns_out_to_be_no_video_when_its_turn_comes_is_let_go_at_once(bus):
    """Its first bytes have waited inside of libcurl: that we refuse them then ends the request, which would stall for ever."""
    bus.start_producer()
    bus.start_consumer(REELBUS_IN_FLIGHT_MAX_BYTES="1MB", REELBUS_LOW_SPEED_MS="5s")
    with Gates({"one": (HALF, b"", 900_000), "two": (b"GIF89a" + bytes(500), b"", 900_000)}) as source:
        one, two = source.send(bus, "one"), source.send(bus, "two")
        source.gates["one"].set()
        wait_for(lambda: bus.consumer.metric("reelbus_in_flight_bytes") == 900_000, "the first one is on its way")
        source.gates["two"].set()
        event = bus.wait_for_event("video.store_failed", two)
        assert (event["code"], event["tries"]) == ("not_a_video", 1)
        assert bus.wait_for_event("video.store_failed", one)["code"] == "source_gone"


class Key(http.server.BaseHTTPRequestHandler):
    """Remembers who has shown a key."""

    keys = []

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.keys.append(self.headers.get("Authorization"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(TINY_MP4)))
        self.end_headers()
        self.wfile.write(TINY_MP4)


def test_the_key_of_a_provider_is_shown_to_nobody_else(bus):
    base = f"http://127.0.0.1:{bus.stack.ports['provider']}/v1"
    with serving(Key) as elsewhere:
        bus.start_producer()
        bus.start_consumer(OPENAI_BASE_URL=base, OPENAI_API_KEY="sample-key")
        provider_video = bus.ask_for_video(bus.insert_video(), call_back=False, redirect_to=f"{elsewhere}/v.mp4")
        bus.wait_for_event("video.stored", bus.send(f"{base}/videos/{provider_video}/content"))
    assert [request.get("Authorization") for request in requests_of(bus, provider_video)] == ["Bearer sample-key"]
    assert Key.keys == [None]


class Files(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        body = {"/whole": WEBM, "/cut": WEBM[:-3], "/open": TINY_MP4[:-11] + mp4_box(b"mdat", b"x").replace(b"\0\0\0\x09", b"\0\0\0\0")}[self.path]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def files():
    with serving(Files) as url:
        yield url


def test_webm_is_stored_when_it_is_asked_for(bus, files):
    bus.start_producer()
    bus.start_consumer(REELBUS_FORMATS="mp4,webm", REELBUS_RETRY_FOR_MS="0")
    cut = bus.send(f"{files}/cut")
    assert bus.wait_for_event("video.store_failed", cut)["code"] == "source_cut"
    whole = bus.send(f"{files}/whole")
    event = bus.wait_for_event("video.stored", whole)
    assert event["object_key"] == f"{bus.user}/{whole}.webm" and event["content_type"] == "video/webm"
    assert (bus.store / "videos" / event["object_key"]).read_bytes() == WEBM
    served = requests.get(event["video_url"])
    assert served.content == WEBM and served.headers["Content-Type"] == "video/webm"
    assert len(bus.objects()) == 1


def test_webm_is_refused_when_it_is_not_and_so_is_what_has_no_end(bus, files):
    bus.start_producer()
    bus.start_consumer(REELBUS_RETRY_FOR_MS="0")
    assert bus.wait_for_event("video.store_failed", bus.send(f"{files}/whole"))["code"] == "not_a_video"
    assert bus.wait_for_event("video.store_failed", bus.send(f"{files}/open"))["code"] == "source_cut"
    assert bus.objects() == []
