"""What the receiver takes, and what it answers to what it does not take."""

import concurrent.futures
import http.client
import json
import signal
import socket
import uuid

import psycopg
import pytest
import requests
from harness import SECRET, raw_http, wait_for

URL = "https://media.example.com/v.mp4"


@pytest.fixture
def receiver(bus):
    bus.start_producer()
    return bus


def completed(video_id, **more):
    return {"videoId": video_id, "videoUrl": URL, "status": "completed", **more}


def test_a_good_webhook_is_answered_when_kafka_has_it(receiver):
    video_id = receiver.insert_video()
    answer = receiver.webhook(completed(video_id, expiresAt=1795372200), headers={"webhook-id": "wh_1"})
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (event,) = receiver.events("video.webhook.received")
    assert event["video_id"] == video_id and event["video_url"] == URL and event["status"] == "completed"
    assert event["webhook_id"] == "wh_1" and event["expires_at"].timestamp() == 1795372200


def test_the_id_may_be_in_capitals_and_the_type_may_have_parameters(receiver):
    video_id = receiver.insert_video()
    body = completed(video_id.upper())
    answer = receiver.webhook(body, headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.status_code == 200
    (record,) = receiver.records("video.webhook.received")
    assert record.key().decode() == video_id


def test_a_failure_is_taken_with_its_reason(receiver):
    video_id = receiver.insert_video()
    error = {"code": "moderation", "message": "Not this one. \u00e9"}
    assert receiver.webhook({"videoId": video_id, "status": "failed", "error": error}).status_code == 200
    (event,) = receiver.events("video.webhook.received")
    assert (event["error_code"], event["error_message"]) == (error["code"], error["message"])


@pytest.mark.parametrize(
    "change, word",
    [
        ({"videoId": None}, "videoId"),
        ({"videoId": "1"}, "videoId"),
        ({"videoId": "' OR 1=1 --"}, "videoId"),
        ({"status": "done"}, "status"),
        ({"status": None}, "status"),
        ({"videoUrl": None}, "videoUrl"),
        ({"videoUrl": "ftp://example.com/v.mp4"}, "videoUrl"),
        ({"videoUrl": "not a url"}, "videoUrl"),
        ({"expiresAt": "tomorrow"}, "expiresAt"),
    ],
)
def test_a_wrong_member_is_named(receiver, change, word):
    answer = receiver.webhook({**completed(str(uuid.uuid4())), **change})
    assert answer.status_code == 400 and word in answer.json()["error"]
    assert receiver.records("video.webhook.received") == []


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"a":1,"a":2}', '{"a":"\\u0000"}', b"\xff\xfe", "{}x", "[" * 5000])
def test_what_is_no_json_object_is_refused(receiver, body):
    answer = receiver.webhook(body)
    assert answer.status_code == 400 and answer.json()["error"]


def test_an_unknown_video_is_not_found(receiver):
    answer = receiver.webhook(completed(str(uuid.uuid4())))
    assert answer.status_code == 404 and "videoId" in answer.json()["error"]
    assert receiver.records("video.webhook.received") == []


def test_methods_types_sizes_and_paths_are_checked(receiver):
    path = receiver.producer.url("/api/webhook/video-complete")
    answer = requests.get(path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert requests.post(receiver.producer.url("/healthz")).headers["Allow"] == "GET, HEAD"
    assert receiver.webhook("{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert requests.post(path, data=iter([b"{}"]), headers={"x-webhook-secret": SECRET}).status_code == 415
    assert requests.get(receiver.producer.url("/nothing")).status_code == 404
    assert requests.get(receiver.producer.url("/media/../../etc/passwd")).status_code == 404


def test_a_body_over_64_kib_is_refused_with_and_without_a_length(receiver):
    large = json.dumps(completed(str(uuid.uuid4()), more="x" * 70_000))
    assert receiver.webhook(large).status_code == 413
    head = (f"POST /api/webhook/video-complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"x-webhook-secret: {SECRET}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")  # fmt: skip
    chunks = f"{len(large):x}\r\n{large}\r\n0\r\n\r\n"
    assert raw_http(receiver.producer.port, (head + chunks).encode()).startswith(b"HTTP/1.1 413 ")
    fits = json.dumps(completed(receiver.insert_video(), more="x" * 7_000))
    head += f"{len(fits):x}\r\n{fits}\r\n0\r\n\r\n"
    assert raw_http(receiver.producer.port, head.encode()).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_never_ends_is_cut_off(receiver):
    head = (f"POST /api/webhook/video-complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"x-webhook-secret: {SECRET}\r\nTransfer-Encoding: chunked\r\n\r\n").encode()  # fmt: skip
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    try:
        raw_http(receiver.producer.port, head + chunk * 400)
    except ConnectionError:
        pass
    assert receiver.producer.get("/healthz").status_code == 200


def test_many_at_once_are_answered_each_with_its_own_answer(receiver):
    videos = [receiver.insert_video() for _ in range(100)]
    unknown = [str(uuid.uuid4()) for _ in range(100)]

    def send(video_id):
        return receiver.webhook(completed(video_id)).status_code

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(send, [id for pair in zip(videos, unknown) for id in pair]))
    assert answers == [200, 404] * 100
    assert sorted(event["video_id"] for event in receiver.events("video.webhook.received")) == sorted(videos)
    metrics = receiver.producer.get("/metrics").text
    assert 'reelbus_webhooks_total{scheme="plain",outcome="accepted"} 100' in metrics
    assert 'reelbus_webhooks_total{scheme="plain",outcome="unknown"} 100' in metrics


def transactions(bus):
    """How many there were in this database, when everybody has left it: a session that ends has told the statistics all. Asked
    from another database, so that asking does not count."""
    with psycopg.connect(bus.stack.database_url("postgres"), autocommit=True) as elsewhere:
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        wait_for(lambda: elsewhere.execute(sessions, (bus.number,)).fetchone()[0] == 0, "nobody is connected")
        count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"
        return elsewhere.execute(count, (bus.number,)).fetchone()[0]


def test_webhooks_that_come_together_are_looked_up_together(bus):
    """A producer that stood still finds all of them at once, and asks the database about all of them at once."""
    count = 100
    rows = bus.query("INSERT INTO video_history (user_id, prompt) SELECT %s, 'a test' FROM generate_series(1, %s)"
                     " RETURNING id::text", bus.user, count)  # fmt: skip
    before = transactions(bus)
    producer = bus.start_producer(REELBUS_IDLE_TIMEOUT_MS="10m", REELBUS_REQUEST_TIMEOUT_MS="10m")
    connections = [http.client.HTTPConnection("127.0.0.1", producer.port, timeout=120) for _ in rows]
    for connection in connections:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    producer.process.send(signal.SIGSTOP)
    for connection, row in zip(connections, rows):
        headers = {"Content-Type": "application/json", "x-webhook-secret": SECRET}
        connection.request("POST", "/api/webhook/video-complete", json.dumps(completed(row["id"])), headers)
    producer.process.send(signal.SIGCONT)
    assert [connection.getresponse().status for connection in connections] == [200] * count
    for connection in connections:
        connection.close()
    producer.stop()
    assert transactions(bus) - before < count / 2
    events = bus.events("video.webhook.received")
    assert sorted(event["video_id"] for event in events if event["checked"]) == sorted(row["id"] for row in rows)


def test_a_client_that_goes_away_harms_nobody(receiver):
    for cut in (10, 60, 200):
        with socket.create_connection(("127.0.0.1", receiver.producer.port)) as connection:
            request = (f"POST /api/webhook/video-complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                       f"x-webhook-secret: {SECRET}\r\nContent-Length: 500\r\n\r\n{{")  # fmt: skip
            connection.sendall(request.encode()[:cut])
    video_id = receiver.insert_video()
    assert receiver.webhook(completed(video_id)).status_code == 200
