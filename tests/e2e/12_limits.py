"""How often one may ask, who that one is behind proxies, and what needs a key."""

import collections
import concurrent.futures
import re
import signal
import socket
import threading
import uuid

import pytest
import requests
from harness import SECRET, local, raw_http, wait_for

KEY = "canary-status-key"
WEBHOOK = {"videoId": "00000000-0000-4000-8000-000000000000", "status": "failed"}


def count_through(bus, tries, secret=SECRET, **headers):
    """How many of so many webhooks are not answered 429, and the last answer."""
    answers = [bus.webhook(WEBHOOK, secret=secret, headers=headers) for _ in range(tries)]
    return sum(answer.status_code != 429 for answer in answers), answers[-1]


def test_one_address_that_asks_too_often_is_told_when_to_come_again(bus):
    bus.start_producer(REELBUS_RATE_LIMIT_ADDRESS="10/h burst 3")
    through, answer = count_through(bus, 5, **{"X-Forwarded-For": "203.0.113.7"})
    assert through == 3 and answer.status_code == 429 and answer.json()["error"]
    # 10 an hour: the next one after six minutes, less the moment that has passed.
    assert 0 < int(answer.headers["Retry-After"]) <= 360
    assert answer.headers["RateLimit-Policy"] == '"address";q=10;w=3600'
    remaining, seconds = re.fullmatch(r'"address";r=(\d+);t=(\d+)', answer.headers["RateLimit"]).groups()
    assert remaining == "0" and seconds == answer.headers["Retry-After"]
    # Others are not meant by it, and the status API is not either.
    assert count_through(bus, 5, **{"X-Forwarded-For": "203.0.113.8"})[0] == 3
    assert bus.producer.get("/api/videos", headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 200
    assert bus.producer.metric("reelbus_rate_limited_total", limit="address") == 4
    assert bus.producer.metric("reelbus_http_requests_total", route="/api/webhook/video-complete", status="4xx") == 10
    assert "ev=rate_limited limit=address client=203.0.113.7" in bus.producer.log


def test_the_limit_comes_before_the_secret(bus):
    bus.start_producer(REELBUS_RATE_LIMIT_ADDRESS="10/h burst 3")
    answers = [bus.webhook(WEBHOOK, secret="wrong").status_code for _ in range(5)]
    assert answers == [401, 401, 401, 429, 429]
    assert bus.webhook(WEBHOOK).status_code == 429


def test_an_ipv6_network_is_one_sender(bus):
    bus.start_producer(REELBUS_RATE_LIMIT_ADDRESS="10/h burst 3")
    for last in range(1, 4):
        assert count_through(bus, 1, **{"X-Forwarded-For": f"2001:db8:1:1::{last}"})[0] == 1
    assert count_through(bus, 1, **{"X-Forwarded-For": "2001:db8:1:1:ffff::1"})[0] == 0
    assert count_through(bus, 1, **{"X-Forwarded-For": "2001:db8:1:2::1"})[0] == 1


def test_all_senders_of_a_route_share_its_limit(bus):
    bus.start_producer(REELBUS_RATE_LIMIT_SCHEME="10/h burst 4", REELBUS_RATE_LIMIT_ADDRESS="10/h burst 2")
    assert count_through(bus, 3, **{"X-Forwarded-For": "203.0.113.1"})[0] == 2  # the third took nothing from the others
    assert count_through(bus, 2, **{"X-Forwarded-For": "203.0.113.2"})[0] == 2
    through, answer = count_through(bus, 1, **{"X-Forwarded-For": "203.0.113.3"})
    assert through == 0 and answer.headers["RateLimit-Policy"] == '"scheme";q=10;w=3600'
    assert bus.producer.metric("reelbus_rate_limited_total", limit="scheme") == 1
    assert bus.producer.metric("reelbus_rate_limited_total", limit="address") == 1


def test_without_limits_nobody_is_refused(bus):
    bus.start_producer()
    assert count_through(bus, 50)[0] == 50


@pytest.mark.parametrize(
    "options, headers, client",
    [
        ({}, {"X-Forwarded-For": "198.51.100.9, 203.0.113.7"}, "203.0.113.7"),
        ({}, {"Forwarded": "for=203.0.113.7"}, "127.0.0.1"),
        ({"REELBUS_TRUSTED_PROXIES": "none"}, {"X-Forwarded-For": "203.0.113.7"}, "127.0.0.1"),
        ({"REELBUS_TRUSTED_PROXIES": "10.0.0.0/8"}, {"X-Forwarded-For": "203.0.113.7"}, "127.0.0.1"),
        ({"REELBUS_TRUSTED_PROXIES": "loopback,private"}, {"X-Forwarded-For": "203.0.113.7, 10.1.1.1"}, "203.0.113.7"),
        ({"REELBUS_CLIENT_HEADER": "forwarded"}, {"Forwarded": 'proto=https;for="[2001:db8::7]:99"'}, "2001:db8::7"),
        ({"REELBUS_CLIENT_HEADER": "Forwarded"}, {"X-Forwarded-For": "203.0.113.7"}, "127.0.0.1"),
    ],
)
def test_the_log_names_the_client_as_far_as_proxies_are_trusted(bus, options, headers, client):
    bus.start_producer(**options)
    assert bus.webhook(WEBHOOK, secret="wrong", headers=headers).status_code == 401
    assert f" client={client} " in bus.producer.log


def test_a_header_on_several_lines_is_one_list(bus):
    """A proxy that adds a line of its own is believed, not the line that the client made up before it."""
    bus.start_producer()
    request = (b"POST /api/webhook/video-complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               b"X-Forwarded-For: 198.51.100.9\r\nX-Forwarded-For: 203.0.113.7\r\nContent-Length: 2\r\n"
               b"Connection: close\r\n\r\n{}")  # fmt: skip
    assert raw_http(bus.producer.port, request).startswith(b"HTTP/1.1 401 ")
    assert " client=203.0.113.7 " in bus.producer.log


@pytest.mark.parametrize(
    "option, value",
    [
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "proxy.example.com"),
        ("CLIENT_HEADER", "X-Real-IP"),
        ("RATE_LIMIT_ADDRESS", "100"),
        ("RATE_LIMIT_SCHEME", "100/day"),
        ("RATE_LIMIT_STATUS", "0/s"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("STATUS_API_KEYS", ",".join(f"key{n}" for n in range(9))),
        ("STATUS_API_KEYS", " , "),
    ],
)
def test_a_wrong_option_stops_the_start_and_is_named(bus, option, value):
    done = bus.run("reelbus-producer", env={f"REELBUS_{option}": value, "VIDEO_WEBHOOK_SECRET": SECRET})
    assert done.returncode == 2 and option.lower() in done.stderr and "key3" not in done.stderr


def test_the_status_api_has_a_limit_of_its_own(bus):
    bus.start_producer(REELBUS_RATE_LIMIT_STATUS="10/h burst 3")
    answers = [bus.producer.get("/api/videos") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["RateLimit-Policy"] == '"status";q=10;w=3600' and int(answers[3].headers["Retry-After"]) > 0
    for path in ("/", "/healthz", "/readyz", "/metrics"):
        assert bus.producer.get(path).status_code == 200
    assert bus.webhook(WEBHOOK).status_code == 404


def test_the_status_api_asks_for_a_key_when_there_is_one(bus):
    bus.start_producer(REELBUS_STATUS_API_KEYS=f"old-{KEY}, {KEY}")
    get = bus.producer.get
    video = f"/api/video/status?videoId={bus.insert_video()}"
    for path in (video, "/api/videos", "/api/video/events?videoId=x", "/api/nothing"):
        answer = get(path)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert answer.json() == {"error": "Unauthorized"}
    for headers in (
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY}"},
        {"Authorization": f"Bearer old-{KEY}"},
        {"X-Api-Key": KEY},
        {"Authorization": "Basic dXNlcjpwYXNz", "X-Api-Key": KEY},
    ):
        assert get(video, headers=headers).status_code == 200 and get("/api/videos", headers=headers).status_code == 200
    for headers in (
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": "Bearer "},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"X-Api-Key": ""},
        {"X-Api-Key": f"old-{KEY}, {KEY}"},
        {"Authorization": "Bearer wrong", "X-Api-Key": KEY},
    ):
        assert get(video, headers=headers).status_code == 401
    assert 'error="invalid_token"' in get(video, headers={"X-Api-Key": "wrong"}).headers["WWW-Authenticate"]
    for path in ("/", "/page/page.js", "/healthz", "/readyz", "/metrics"):
        assert get(path).status_code == 200
    assert bus.webhook(WEBHOOK).status_code == 404
    assert bus.producer.metric("reelbus_status_denied_total") == 13


def hang_up(bus, event):
    before = bus.producer.log.count(event)
    bus.producer.process.send(signal.SIGHUP)
    wait_for(lambda: bus.producer.log.count(event) > before, "the files are read again")


class Asking:
    """A client of the status API with a connection of its own. Its key is changed from outside."""

    def __init__(self, bus, key):
        self.url = bus.producer.url(f"/api/video/status?videoId={bus.insert_video()}")
        self.key = key
        self.answers = collections.Counter()

    def run(self, stop):
        with requests.Session() as session:
            while not stop.is_set():
                self.answers[session.get(self.url, headers={"X-Api-Key": self.key}, timeout=60).status_code] += 1

    def wait_for_more(self):
        before = self.answers.total()
        wait_for(lambda: self.answers.total() > before + 20, "it has asked some more times")


def test_keys_in_a_file_change_and_refuse_nobody_who_has_a_valid_one(bus):
    path = bus.folder / "keys"
    path.write_text(f"{KEY}-old\n")
    bus.start_producer(REELBUS_STATUS_API_KEYS_FILE=path)
    video = f"/api/video/status?videoId={bus.insert_video()}"

    def accepted():
        return [bus.producer.get(video, headers={"X-Api-Key": f"{KEY}-{which}"}).status_code for which in ("old", "new")]

    asking, stop = Asking(bus, f"{KEY}-old"), threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(asking.run, stop)
        try:
            asking.wait_for_more()
            path.write_text(f"{KEY}-old,{KEY}-new")
            assert accepted() == [200, 401]  # nothing happens before it is asked for
            hang_up(bus, "ev=providers_read")
            assert accepted() == [200, 200]
            asking.wait_for_more()
            asking.key = f"{KEY}-new"
            asking.wait_for_more()
            path.write_text(f"{KEY}-new\n")
            hang_up(bus, "ev=providers_read")
            assert accepted() == [401, 200]
            asking.wait_for_more()
        finally:
            stop.set()
        future.result()
    assert set(asking.answers) == {200}


def test_a_mistake_in_the_file_of_keys_keeps_those_that_were_valid(bus):
    path = bus.folder / "keys"
    path.write_text(KEY)
    bus.start_producer(REELBUS_STATUS_API_KEYS_FILE=path)

    def is_as_before():
        get = bus.producer.get
        return get("/api/videos", headers={"X-Api-Key": KEY}).status_code == 200 and get("/api/videos").status_code == 401

    for text in ("", "\n", " , ", ",".join(f"{KEY}{n}" for n in range(9)), KEY * 500):
        path.write_text(text)
        hang_up(bus, "ev=status_keys_kept")
        assert is_as_before(), text
    path.unlink()
    hang_up(bus, "ev=status_keys_kept")
    assert is_as_before()
    path.write_text("another")
    hang_up(bus, "ev=providers_read")
    assert not is_as_before() and bus.producer.get("/api/videos", headers={"X-Api-Key": "another"}).status_code == 200


def test_an_empty_file_of_keys_is_no_open_door(bus):
    path = bus.folder / "keys"
    path.write_text("\n")
    done = bus.run("reelbus-producer", env={"REELBUS_STATUS_API_KEYS_FILE": str(path), "VIDEO_WEBHOOK_SECRET": SECRET})
    assert done.returncode == 2 and "there is no secret in the file" in done.stderr


def preflight(bus, origin, path="/api/video/status"):
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    return requests.options(bus.producer.url(path), headers=headers, timeout=30)


def test_pages_of_allowed_origins_may_read_the_status_api(bus):
    app, other = "https://app.example.com", "https://evil.example"
    bus.start_producer(REELBUS_CORS_ORIGINS=f"{app},http://localhost:3000", REELBUS_STATUS_API_KEYS=KEY)
    answer = preflight(bus, app)
    assert answer.status_code == 204 and answer.headers["Access-Control-Allow-Origin"] == app
    assert "GET" in answer.headers["Access-Control-Allow-Methods"] and "Origin" in answer.headers["Vary"]
    allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert {"authorization", "x-api-key", "last-event-id", "if-none-match"} <= allowed
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    # With a key or without, a page must be able to read what went wrong.
    for headers, status in (({"X-Api-Key": KEY}, 200), ({}, 401)):
        answer = bus.producer.get("/api/videos", headers={"Origin": app, **headers})
        assert answer.status_code == status and answer.headers["Access-Control-Allow-Origin"] == app
        exposed = {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
        assert {"ETag", "Retry-After"} <= exposed and answer.headers["Vary"] == "Origin"
    for answer in (preflight(bus, other), bus.producer.get("/api/videos", headers={"Origin": other, "X-Api-Key": KEY})):
        assert "Access-Control-Allow-Origin" not in answer.headers and answer.headers["Vary"] == "Origin"
    # Nothing but the status API is meant.
    for path in ("/", "/metrics", "/healthz"):
        assert "Access-Control-Allow-Origin" not in bus.producer.get(path, headers={"Origin": app}).headers
    assert preflight(bus, app, "/api/webhook/video-complete").status_code == 405


def test_without_the_option_no_origin_is_allowed_and_with_a_star_all_are(bus):
    bus.start_producer()
    assert preflight(bus, "https://app.example.com").status_code == 405
    answer = bus.producer.get("/api/videos", headers={"Origin": "https://app.example.com"})
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    bus.producer.stop()
    bus.start_producer(REELBUS_CORS_ORIGINS="*")
    answer = bus.producer.get("/api/videos", headers={"Origin": "https://app.example.com"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*" and "Vary" not in answer.headers


def test_requests_are_counted_by_route_whatever_is_asked_for(bus):
    producer = bus.start_producer()
    for _ in range(30):
        assert producer.get(f"/{uuid.uuid4()}").status_code == 404
        producer.get(f"/media/{uuid.uuid4()}")
    family = producer.metrics()["reelbus_http_requests"]
    assert family.type == "counter"
    assert producer.metric("reelbus_http_requests_total", route="", status="4xx") == 30
    assert producer.metric("reelbus_http_requests_total", route="/media/*", status="4xx") == 30
    routes = {sample.labels["route"] for sample in family.samples}
    assert {"/healthz", "/metrics", "/api/webhook/video-complete"} <= routes
    assert not any(re.search("[0-9a-f]{8}-", route) for route in routes)


def test_a_unix_socket_is_trusted(bus):
    path = bus.folder / "socket"
    port = local.free_port()
    bus.start_producer(port=port, REELBUS_LISTEN=f"127.0.0.1:{port},unix:{path}")
    request = (b"POST /api/webhook/video-complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               b"X-Forwarded-For: 203.0.113.7\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")  # fmt: skip
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
    wait_for(lambda: " client=203.0.113.7 " in bus.producer.log, "the log names the client")
