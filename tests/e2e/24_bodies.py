"""Bodies that are none: with the right secret and the right signature, they are refused all the same, and harm nobody."""

import json
import random
import re
import uuid

import pytest
import requests
import senders
from harness import ROOT, SECRET

STANDARD = senders.new_secret()
ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\"}


def unescape(match):
    what = match[1]
    if what[:1] == b"x":
        return bytes.fromhex(what[1:].decode())
    if what[:1] == b"u":
        return chr(int(what[1:], 16)).encode()
    return ESCAPES[what]


def invalid_texts():
    for line in (ROOT / "tests/fixtures/invalid_json.txt").read_bytes().splitlines():
        if line.startswith(b"|"):
            yield re.sub(rb"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|[nrt\\])", unescape, line[1:-1])
    yield b'{"a":' * 20 + b"1" + b"}" * 20
    yield b'{"a":' + b"[" * 30000 + b"]" * 30000 + b"}"
    yield b"[" * 60000
    yield b'{"a":' * 10000
    yield json.dumps({"a": list(range(65))}).encode()
    yield json.dumps({f"k{number}": 1 for number in range(65)}).encode()
    yield json.dumps({"a": "x" * 8193}).encode()
    yield b'{"a":"' + b"x" * 60000
    yield b'{"a":1' + b"0" * 5000 + b"}"


@pytest.fixture
def receiver(bus):
    return senders.start_receiver(bus, STANDARD)


def post_both(receiver, session, body):
    """The same bytes to both kinds of routes, each properly signed. Gives both answers."""
    plain = senders.post(receiver.producer, "/api/webhook/video-complete", body, senders.plain(SECRET), session)
    try:
        headers = senders.standard(STANDARD, body.decode())
    except UnicodeDecodeError:  # the reference library signs text only
        return [plain]
    return [plain, senders.post(receiver.producer, "/webhooks/gateway", body, headers, session)]


def test_texts_that_are_no_json_are_refused_and_harm_nobody(receiver):
    count = 0
    with requests.Session() as session:
        for body in invalid_texts():
            for answer in post_both(receiver, session, body):
                assert answer.status_code == 400, (body, answer.text)
                assert answer.json()["error"]
            count += 1
    assert count > 120
    assert receiver.records("video.webhook.received") == []
    video_id = receiver.insert_video()
    assert receiver.webhook({"videoId": video_id, "status": "failed"}).status_code == 200


def mutate(random_, body):
    body = bytearray(body)
    for _ in range(random_.randint(1, 3)):
        at = random_.randrange(len(body))
        how = random_.randrange(5)
        if how == 0:
            body[at] ^= 1 << random_.randrange(8)
        elif how == 1:
            del body[at : at + random_.randint(1, 20)]
        elif how == 2:
            body[at:at] = random_.choice([b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\0", b"\xff", b"null", b"1e999"])
        elif how == 3:
            body[at:at] = body[random_.randrange(len(body)) :][: random_.randint(1, 60)]
        else:
            body = body[: max(1, at)]
        if not body:
            return b"{"
    return bytes(body)


def accepted_by_python(body, video_id):
    """What a sender could have meant: a JSON object of this form, whatever else is in it."""
    try:
        event = json.loads(body.decode())
    except (ValueError, RecursionError):
        return False
    return isinstance(event, dict) and str(event.get("videoId")).lower() == video_id and event.get("status") in ("completed", "failed")


def test_changed_bodies_are_never_believed_for_what_they_are_not(receiver):
    """A thousand mutations of good bodies, the same ones each time: 200 only for what is good by another parser's word."""
    random_ = random.Random(20261122)
    video_id = receiver.insert_video()
    good = json.dumps({"videoId": video_id, "videoUrl": "https://cdn.example/v.mp4?a=b", "status": "completed",
                       "expiresAt": 1795372200, "error": {"code": "c", "message": "\u00e9\U0001f600"}}).encode()  # fmt: skip
    answers = {200: 0, 400: 0, 404: 0}
    with requests.Session() as session:
        for _ in range(1000):
            body = mutate(random_, good)
            answer = senders.post(receiver.producer, "/api/webhook/video-complete", body, senders.plain(SECRET), session)
            answers[answer.status_code] += 1
            if answer.status_code == 200:
                assert accepted_by_python(body, video_id), body
    assert answers[200] > 10 and answers[400] > 500
    for event in receiver.events("video.webhook.received"):
        assert event["video_id"] == video_id and event["status"] in ("completed", "failed")


def test_an_id_that_is_no_uuid_is_refused_before_anybody_looks_for_it(receiver):
    good = str(uuid.uuid4())
    for wrong in ("", "x", good[:-1], good + "0", good.replace("-", ""), "{" + good + "}", f" {good}", good.replace(good[0], "g", 1),
                  "'; DROP TABLE video_history; --", 7, None, [good], {"id": good}, True, "../../" + good):  # fmt: skip
        answer = receiver.webhook({"videoId": wrong, "status": "failed"})
        assert answer.status_code == 400 and "videoId" in answer.json()["error"], wrong


def test_ids_of_providers_cannot_leave_their_place_in_sql(receiver):
    for theirs in ('a"b', "a\\b", 'a","b', "{a,b}", "';--", "NULL", '\\"', "{}", "a'b", "%s", "$1"):
        video_id = receiver.insert_video()
        body = json.dumps({"type": "video.failed", "data": {"id": theirs, "error": "no"}})
        send = lambda: senders.post(receiver.producer, "/webhooks/gateway", body, senders.standard(STANDARD, body))  # noqa: E731
        assert send().status_code == 404, theirs
        receiver.query("SELECT reelbus.expect_video(%s, 'gateway', %s)", video_id, theirs)
        assert send().status_code == 200, theirs
        assert receiver.wait_for_event("video.webhook.received", video_id)["provider_video_id"] == theirs
