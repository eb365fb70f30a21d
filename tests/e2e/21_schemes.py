"""Providers and their signatures, through real HTTP. What is accepted is checked against the senders' own libraries."""

import datetime
import json
import time

import openai
import pytest
import senders
import standardwebhooks
from harness import SECRET, wait_for

OPENAI = senders.new_secret()
ROUTER = "canary-router-secret"
SIGNING = "canary-signing-secret"


def openai_event(video, kind="video.completed"):
    return json.dumps({"id": "evt_1", "object": "event", "created_at": int(time.time()), "type": kind, "data": {"id": video}})


@pytest.fixture
def keys():
    key = senders.new_key()
    with senders.key_server(senders.new_key(), key) as server:
        server.key = key
        yield server


@pytest.fixture
def receiver(bus, keys):
    """A producer with one provider of each scheme. None of them has an API: their webhooks say it all."""
    generic = {"id": "/job", "status": "/state", "video_url": "/url", "completed": ["done"], "failed": ["error"]}
    path = senders.write_providers(
        bus,
        {"name": "gateway", "api": {"kind": "openai", "base_url": "http://127.0.0.1:1/v1", "key": "canary-key"},
         "webhook": {"scheme": "standard", "body": "openai", "secret": OPENAI}},
        {"name": "replicate", "webhook": {"scheme": "standard", "body": "replicate", "secret": OPENAI}},
        {"name": "router", "webhook": {"scheme": "openrouter", "body": "openrouter", "secret": ROUTER}},
        {"name": "fal", "webhook": {"scheme": "fal", "body": "fal", "jwks_url": keys.url}},
        {"name": "own", "webhook": {"scheme": "plain", "body": "generic", "secret": SECRET, "signature_secret": SIGNING,
                                    **generic}},
    )  # fmt: skip
    bus.start_producer(REELBUS_PROVIDERS=path)
    wait_for(lambda: "ev=keys_read" in bus.producer.log, "the keys are there")
    return bus


def expect(bus, provider):
    """A video of ours that this provider makes; gives our id and the provider's."""
    video_id = bus.insert_video()
    theirs = "theirs-" + video_id
    bus.query("SELECT reelbus.expect_video(%s, %s, %s)", video_id, provider, theirs)
    return video_id, theirs


def assert_published(bus, video_id, provider, theirs, scheme, **more):
    event = bus.wait_for_event("video.webhook.received", video_id)
    wanted = {"provider": provider, "provider_video_id": theirs, "scheme": scheme, "user_id": bus.user, "checked": True, **more}
    assert {name: event[name] for name in wanted} == wanted
    return event


def test_each_provider_is_understood(receiver, keys):
    url = "https://cdn.example/v.mp4"
    cases = [
        ("gateway", "standard", lambda v: openai_event(v, "video.failed"), lambda b: senders.standard(OPENAI, b), "failed"),
        ("replicate", "standard", lambda v: json.dumps({"id": v, "status": "succeeded", "output": [url]}),
         lambda b: senders.standard(OPENAI, b), "completed"),
        ("router", "openrouter",
         lambda v: json.dumps({"type": "video.generation.completed", "data": {"id": v, "unsigned_urls": [url]}}),
         lambda b: senders.openrouter(ROUTER, b), "completed"),
        ("fal", "fal", lambda v: json.dumps({"request_id": v, "status": "OK", "payload": {"video": {"url": url}}}),
         lambda b: senders.fal(keys.key, b), "completed"),
        ("own", "plain", lambda v: json.dumps({"job": v, "state": "done", "url": url}),
         lambda b: senders.plain(SECRET, b, SIGNING), "completed"),
    ]  # fmt: skip
    for provider, scheme, make, sign, status in cases:
        video_id, theirs = expect(receiver, provider)
        body = make(theirs)
        headers = sign(body)
        answer = senders.post(receiver.producer, f"/webhooks/{provider}", body, headers)
        assert (answer.status_code, answer.json()) == (200, {"success": True}), (provider, answer.text)
        event = assert_published(receiver, video_id, provider, theirs, scheme, status=status,
                                 video_url=url if status == "completed" else None)  # fmt: skip
        if scheme == "standard":
            assert event["webhook_id"] == headers["webhook-id"]


def rfc3339(at):
    return datetime.datetime.fromtimestamp(at, tz=datetime.timezone.utc).isoformat()


def test_how_late_a_webhook_is_is_measured_from_what_its_provider_tells(receiver, keys):
    url, now = "https://cdn.example/v.mp4", int(time.time())
    event = {"type": "video.failed", "created_at": now - 5000}
    cases = [  # seconds that the end is ago, by the provider's own word, its event's, or its signature's; None: nobody says
        ("replicate", 9000, lambda v: {"id": v, "status": "succeeded", "output": url, "completed_at": rfc3339(now - 9000)},
         lambda b: senders.standard(OPENAI, b)),
        ("gateway", 7000, lambda v: {**event, "data": {"id": v, "completed_at": now - 7000, "error": "no"}},
         lambda b: senders.standard(OPENAI, b)),
        ("gateway", 5000, lambda v: {**event, "data": {"id": v, "error": "no"}}, lambda b: senders.standard(OPENAI, b)),
        ("router", 3000, lambda v: {"type": "video.generation.completed", "created_at": now - 3000,
                                    "data": {"id": v, "unsigned_urls": [url]}}, lambda b: senders.openrouter(ROUTER, b)),
        ("fal", 100, lambda v: {"request_id": v, "status": "OK", "payload": {"video": {"url": url}}},
         lambda b: senders.fal(keys.key, b, at=time.time() - 100)),
        ("own", None, lambda v: {"job": v, "state": "done", "url": url}, lambda b: senders.plain(SECRET, b, SIGNING)),
    ]  # fmt: skip

    def measured():
        metrics = receiver.producer.metrics()["reelbus_completion_lag_seconds"]
        return [next(sample.value for sample in metrics.samples if sample.name.endswith(end) and sample.labels["by"] == "webhook")
                for end in ("_count", "_sum")]  # fmt: skip

    for provider, ago, make, sign in cases:
        _, theirs = expect(receiver, provider)
        body = json.dumps(make(theirs))
        count, seconds = measured()
        assert senders.post(receiver.producer, f"/webhooks/{provider}", body, sign(body)).status_code == 200
        count_after, seconds_after = measured()
        assert count_after == count + (ago is not None), provider
        assert ago is None or seconds_after - seconds >= ago, provider
        assert ago is None or seconds_after - seconds < ago + 2000, provider


def test_what_is_not_about_a_finished_video_is_ignored(receiver):
    for path, body in (("gateway", openai_event("resp_1", "response.completed")), ("gateway", openai_event("v", "video.created")),
                       ("replicate", '{"id":"p","status":"processing"}')):  # fmt: skip
        answer = senders.post(receiver.producer, f"/webhooks/{path}", body, senders.standard(OPENAI, body))
        assert (answer.status_code, answer.json()) == (200, {"success": True, "ignored": True})
    assert receiver.records("video.webhook.received") == []
    assert 'reelbus_webhooks_total{scheme="standard",outcome="ignored"} 3' in receiver.producer.get("/metrics").text


def test_a_provider_that_nobody_has_named_is_not_found(receiver):
    body = openai_event("v")
    for name in ("nobody", "", "gateway/", "gateway/x", "GATEWAY", "%2e%2e", "gateway%00"):
        answer = senders.post(receiver.producer, f"/webhooks/{name}", body, senders.standard(OPENAI, body))
        assert answer.status_code in (400, 404), name


def test_a_video_that_nobody_has_told_of_is_not_found_until_somebody_does(receiver):
    video_id = receiver.insert_video()
    body = openai_event("video_late", "video.failed")
    headers = senders.standard(OPENAI, body)
    assert senders.post(receiver.producer, "/webhooks/gateway", body, headers).status_code == 404
    receiver.query("SELECT reelbus.expect_video(%s, 'other', 'video_late')", video_id)
    assert senders.post(receiver.producer, "/webhooks/gateway", body, headers).status_code == 404
    receiver.query("SELECT reelbus.expect_video(%s, 'gateway', 'video_late')", video_id)
    assert senders.post(receiver.producer, "/webhooks/gateway", body, headers).status_code == 200
    assert_published(receiver, video_id, "gateway", "video_late", "standard", status="failed")


def accepted_by_openai(secret, body, headers):
    try:
        client = openai.OpenAI(api_key="none", webhook_secret=secret)
        client.webhooks.verify_signature(body, headers)
        return True
    except (openai.InvalidWebhookSignatureError, ValueError):
        return False


def accepted_by_the_reference(secret, body, headers):
    try:
        standardwebhooks.Webhook(secret).verify(body, headers)
        return True
    except (standardwebhooks.WebhookVerificationError, ValueError):
        return False


def test_we_and_the_senders_libraries_agree(receiver):
    """The same messages to us and to both libraries; where they differ from each other, the stricter of them counts not."""
    body = openai_event("v", "response.completed")
    good = senders.standard(OPENAI, body)
    now = int(time.time())
    wrong = "v1," + "A" * 43 + "="
    messages = [
        (body, good), (body + " ", good), (body.replace("v", "w"), good),
        (body, {**good, "webhook-id": "wh_other"}), (body, {**good, "webhook-signature": wrong}),
        (body, {**good, "webhook-signature": f"{wrong} {good['webhook-signature']}"}),
        (body, {**good, "webhook-signature": f"v2,x {good['webhook-signature']}"}),
        (body, {**good, "webhook-timestamp": str(now - 1)}), (body, {**good, "webhook-timestamp": "soon"}),
        (body, senders.standard(OPENAI, body, at=now - 400)), (body, senders.standard(OPENAI, body, at=now + 400)),
        (body, senders.standard(OPENAI, body, at=now - 200)), (body, senders.standard(OPENAI, body, at=now + 200)),
        (body, senders.standard(senders.new_secret(), body)),
    ]  # fmt: skip
    answers = []
    for sent, headers in messages:
        ours = senders.post(receiver.producer, "/webhooks/gateway", sent, headers).status_code
        theirs = accepted_by_openai(OPENAI, sent, headers)
        assert accepted_by_the_reference(OPENAI, sent, headers) == theirs, headers
        assert ours in (200, 400, 401) and (ours != 401) == theirs, (ours, theirs, headers)
        answers.append(ours)
    assert answers.count(401) == 9 and answers.count(200) == 5


def negatives(keys):
    """(path, body, headers) that nobody may accept; values that are lists are headers sent twice."""
    body = openai_event("v", "response.completed")
    now = int(time.time())
    good = senders.standard(OPENAI, body)
    signature = good["webhook-signature"]
    for name in good:
        yield "gateway", body, {key: value for key, value in good.items() if key != name}
        yield "gateway", body, {**good, name: ""}
        yield "gateway", body, {**good, name: [good[name], good[name]]}
        yield "gateway", body, {**good, name: [good[name], "x"]}
    for value in ("v2," + signature[3:], "v1a," + signature[3:], signature[:-1], signature + "=", signature + "AAAA", "v1",
                  signature.swapcase(), "v1," + "A" * 43 + "=", " ".join(["v1," + "A" * 43 + "="] * 8 + [signature]),
                  "v2,x " * 820 + signature, ",".join([signature, signature])):  # fmt: skip
        yield "gateway", body, {**good, "webhook-signature": value}
    for value in (now - 301, now + 310, f"{now}.0", f"+{now}", f"0x{now:x}", "1e9", "-1", "9" * 20, f"{now}, {now}", "hello"):
        yield "gateway", body, {**good, "webhook-timestamp": str(value)}
    for ago in (305, -310, now):
        yield "gateway", body, senders.standard(OPENAI, body, at=time.time() - ago)
    for value in ("a.b", "wh_other", "x" * 300):
        yield "gateway", body, {**good, "webhook-id": value}
    for other in (body + " ", body[:-1], body.replace("v", "w"), "", "{}"):
        yield "gateway", other, good
    yield "gateway", body, senders.standard(senders.new_secret(), body)
    yield "gateway", body, senders.plain(SECRET)
    yield "gateway", body, {}
    yield "gateway", body, {**senders.standard(OPENAI, body, prefix="svix"), "webhook-id": "x"}
    good = senders.openrouter(ROUTER, body)
    text = good["X-OpenRouter-Signature"]
    at, digest = text.split(",")
    for value in ("", at, digest, f"{at},{at},{digest}", f"{at},v2={digest[3:]}", f"{at},{digest}00", f"{at};{digest}", [text, text],
                  f"t={int(at[2:]) + 1},{digest}"):  # fmt: skip
        yield "router", body, {**good, "X-OpenRouter-Signature": value}
    yield "router", body + " ", good
    yield "router", body, senders.openrouter("wrong", body)
    yield "router", body, senders.openrouter(ROUTER, body, at=now - 310)
    good = senders.fal(keys.key, body)
    for name in good:
        yield "fal", body, {key: value for key, value in good.items() if key != name}
        yield "fal", body, {**good, name: [good[name], good[name]]}
    yield "fal", body + " ", good
    yield "fal", body, {**good, "X-Fal-Webhook-User-Id": "user-2"}
    yield "fal", body, {**good, "X-Fal-Webhook-Signature": good["X-Fal-Webhook-Signature"][:-2]}
    yield "fal", body, senders.fal(keys.key, body, at=now - 310)
    yield "fal", body, senders.fal(senders.new_key(), body)
    good = senders.plain(SECRET, body, SIGNING)
    yield "own", body, senders.plain(SECRET)
    yield "own", body, {**good, "x-webhook-secret": "wrong"}
    yield "own", body, {**good, "x-webhook-secret": [SECRET, SECRET]}
    yield "own", body, {**good, "x-webhook-signature": "sha256=" + "0" * 64}
    yield "own", body, {"x-webhook-signature": good["x-webhook-signature"]}
    yield "own", body + " ", good


def raw_post(producer, path, body, headers):
    """requests would join or refuse what must reach the server as it is."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", producer.port, timeout=60)
    connection.putrequest("POST", f"/webhooks/{path}")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body.encode())))
    for name, value in headers.items():
        for one in value if isinstance(value, list) else [value]:
            connection.putheader(name, one)
    connection.endheaders(body.encode())
    status = connection.getresponse().status
    connection.close()
    return status


def test_no_forgery_is_accepted(receiver, keys):
    count = 0
    for path, body, headers in negatives(keys):
        assert raw_post(receiver.producer, path, body, headers) == 401, (path, body, headers)
        count += 1
    assert count >= 75
    assert receiver.records("video.webhook.received") == []
    body = openai_event("resp_1", "response.completed")
    assert raw_post(receiver.producer, "gateway", body, senders.standard(OPENAI, body)) == 200


def test_keys_are_kept_while_their_host_is_away(bus):
    first, second = senders.new_key(), senders.new_key()
    with senders.key_server(first) as server:
        webhook = {"scheme": "fal", "body": "fal", "jwks_url": server.url, "jwks_cache": str(bus.folder / "keys.json")}
        path = senders.write_providers(bus, {"name": "fal", "webhook": webhook})
        bus.start_producer(REELBUS_PROVIDERS=path)

        def send(key):
            video_id, theirs = expect(bus, "fal")
            body = json.dumps({"request_id": theirs, "status": "ERROR", "error": "no"})
            return senders.post(bus.producer, "/webhooks/fal", body, senders.fal(key, body)).status_code

        assert send(first) == 200
        assert send(senders.new_key()) == 401
        server.keys.append(second)
        assert send(second) == 200 and send(first) == 200  # an unknown key is looked for at once
        asked = server.asked
        assert [send(senders.new_key()) for _ in range(20)] == [401] * 20
        assert server.asked <= asked + 4  # but strangers cannot make us ask again and again
    assert send(first) == 200 and send(second) == 200
    bus.producer.stop()
    bus.start_producer(REELBUS_PROVIDERS=path)
    assert send(second) == 200 and send(first) == 200 and send(senders.new_key()) == 401


def test_without_any_keys_the_sender_is_asked_to_come_again(bus):
    key = senders.new_key()
    with senders.key_server(key) as server:
        url = server.url
    path = senders.write_providers(bus, {"name": "fal", "webhook": {"scheme": "fal", "body": "fal", "jwks_url": url}})
    bus.start_producer(REELBUS_PROVIDERS=path)
    body = json.dumps({"request_id": "r", "status": "ERROR"})
    answer = senders.post(bus.producer, "/webhooks/fal", body, senders.fal(key, body))
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "JSON"),
        ('{"providers":[{"name":"a","webhok":{}}]}', "webhok"),
        ('{"providers":[{"name":"a","webhook":{"scheme":"standard","body":"openai","secret":"whsec_"}}]}', "'a'"),
        ('{"providers":[{"name":"a","webhook":{"scheme":"standard","body":"openai","secret_file":"/no/such"}}]}', "/no/such"),
    ],
)
def test_a_mistake_in_the_file_stops_the_start(bus, text, words):
    path = bus.folder / "providers.json"
    path.write_text(text)
    producer = bus.start_producer(wait=False, REELBUS_PROVIDERS=path)
    wait_for(lambda: not producer.process.alive(), "it ends")
    assert producer.process.status == 2 and "ev=fatal" in producer.log and words in producer.log
    bus.started.remove(producer)
