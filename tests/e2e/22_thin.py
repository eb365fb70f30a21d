"""Webhooks that carry only the provider's id, as OpenAI's do: whose video it is, and where its bytes are."""

import json
import time
import uuid

import pytest
import senders
import stack as local
from harness import SECRET, wait_for

OPENAI = senders.new_secret()


def provider_file(bus, key=local.PROVIDER_KEY, **api):
    base_url = f"http://127.0.0.1:{bus.stack.ports['provider']}/v1"
    return senders.write_providers(
        bus,
        {"name": "sample", "api": {"kind": "openai", "base_url": base_url, "key": key, **api},
         "webhook": {"scheme": "standard", "body": "openai", "secret": OPENAI}},
    )  # fmt: skip


def generate(bus, generate_s=0, call_back=True, **behaviour):
    """Ask the sample provider for a video without telling it our id; it calls back by Standard Webhooks."""
    request = {"prompt": "a test", "behaviour": {"generate_s": generate_s, **behaviour}}
    if call_back:
        request["webhook"] = {"url": bus.producer.url("/webhooks/sample"), "secret": OPENAI, "scheme": "standard"}
    answer = bus.provider("POST", "/v1/videos", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def expect(bus, theirs, provider="sample"):
    video_id = bus.insert_video()
    bus.query("SELECT reelbus.expect_video(%s, %s, %s)", video_id, provider, theirs)
    return video_id


def deliver(bus, theirs, kind="video.completed", webhook_id=None, **data):
    """A webhook of our own making. Gives the answer."""
    event = {"id": "evt_1", "type": kind, "created_at": int(time.time()), "data": {"id": theirs, **data}}
    body = json.dumps(event)
    return senders.post(bus.producer, "/webhooks/sample", body, senders.standard(OPENAI, body, webhook_id))


def test_a_thin_webhook_leads_to_a_stored_video(bus):
    path = provider_file(bus)
    bus.start_producer(REELBUS_PROVIDERS=path, REELBUS_POLL="off")  # it might be faster
    bus.start_consumer(REELBUS_PROVIDERS=path)
    theirs = generate(bus)
    video_id = expect(bus, theirs)  # as an application does, after the provider has answered; the webhook may be there first
    event, row = bus.assert_stored(video_id, theirs)
    base_url = f"http://127.0.0.1:{bus.stack.ports['provider']}/v1"
    assert row["source_url"].startswith(base_url) or "/files/" in row["source_url"]
    received = bus.wait_for_event("video.webhook.received", video_id)
    assert (received["provider"], received["provider_video_id"], received["scheme"]) == ("sample", theirs, "standard")
    assert received["user_id"] == bus.user and received["checked"] and row["provider_video_id"] == theirs


def test_a_webhook_may_come_before_the_row_of_the_application_is_adopted(bus):
    """The application's table tells the provider, and nobody has looked there yet."""
    path = provider_file(bus)
    bus.query("ALTER TABLE video_history ADD engine text, ADD job text")
    columns = {"REELBUS_COLUMN_PROVIDER": "engine", "REELBUS_COLUMN_PROVIDER_VIDEO_ID": "job"}
    bus.start_producer(REELBUS_PROVIDERS=path, REELBUS_POLL="off", **columns)
    theirs = generate(bus, call_back=False)
    video_id = bus.insert_video()
    bus.query("UPDATE video_history SET engine = 'elsewhere', job = %s WHERE id = %s", theirs, video_id)
    assert deliver(bus, theirs).status_code == 404
    bus.query("UPDATE video_history SET engine = 'sample' WHERE id = %s", video_id)
    assert deliver(bus, theirs).status_code == 200
    event = bus.wait_for_event("video.webhook.received", video_id)
    assert (event["provider_video_id"], event["user_id"], event["checked"]) == (theirs, bus.user, True)
    told = expect(bus, "job_7")  # what we were told goes before what the table says
    bus.query("UPDATE video_history SET engine = 'sample', job = 'job_7' WHERE id = %s", bus.insert_video())
    assert deliver(bus, "job_7", "video.failed", error={"message": "refused"}).status_code == 200
    assert bus.wait_for_event("video.webhook.received", told)["error_message"] == "refused"


def test_a_video_that_is_further_on_learns_its_ids_and_keeps_the_rest(bus):
    video_id = bus.insert_video()
    bus.query("INSERT INTO reelbus.video (video_id, state, tries, error_class, error_code, error_message)"
              " VALUES (%s, 'processing', 1, 'retryable', 'source_busy', 'the source answered 503')", video_id)  # fmt: skip
    bus.query("SELECT reelbus.expect_video(%s, 'sample', 'job_1')", video_id)
    row = bus.video_row(video_id)
    assert (row["state"], row["provider"], row["provider_video_id"]) == ("processing", "sample", "job_1")
    assert (row["error_class"], row["error_code"], row["error_message"]) == ("retryable", "source_busy", "the source answered 503")


def test_a_failure_is_told_with_its_reason(bus):
    path = provider_file(bus)
    bus.start_producer(REELBUS_PROVIDERS=path)
    theirs = generate(bus, outcome="failed", call_back=False)
    video_id = expect(bus, theirs)
    assert deliver(bus, theirs, "video.failed").status_code == 200
    event = bus.wait_for_event("video.webhook.received", video_id)
    assert (event["status"], event["error_message"]) == ("failed", "The prompt was refused.") and event["video_url"] is None


def test_the_bytes_are_fetched_with_the_key_of_the_api_they_belong_to(bus):
    path = provider_file(bus)
    bus.start_producer(REELBUS_PROVIDERS=path)
    theirs = generate(bus, call_back=False)
    content = f"http://127.0.0.1:{bus.stack.ports['provider']}/v1/videos/{theirs}/content"
    video_id = bus.insert_video()
    assert bus.webhook({"videoId": video_id, "videoUrl": content, "status": "completed"}).status_code == 200
    bus.start_consumer(REELBUS_PROVIDERS=path)
    _, row = bus.assert_stored(video_id, theirs)
    assert row["source_url"] == content
    for program in (bus.producer, bus.consumer):
        assert local.PROVIDER_KEY not in program.log


def test_without_the_key_the_bytes_are_not_given(bus):
    path = provider_file(bus, key="canary-wrong-key")
    bus.start_producer()
    bus.start_consumer(REELBUS_PROVIDERS=path, REELBUS_RETRY_FOR_MS="1s")
    theirs = generate(bus, call_back=False)
    content = f"http://127.0.0.1:{bus.stack.ports['provider']}/v1/videos/{theirs}/content"
    video_id = bus.insert_video()
    assert bus.webhook({"videoId": video_id, "videoUrl": content, "status": "completed"}).status_code == 200
    wait_for(lambda: "code=source_denied" in bus.consumer.log, "the provider has refused")


def test_the_key_stays_at_home_when_a_redirect_leads_away(bus):
    """An API that redirects to another origin: what arrives there has no key in it."""
    import http.server
    import threading

    seen = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(302 if self.path.startswith("/v1/") else 404)
            if self.path.startswith("/v1/"):
                leads = {"/v1/videos/a/content": "/v1/videos/b/content", "/v1/videos/b/content": "/other/place",
                         "/v1/videos/c/content": f"http://localhost:{port}/v1/videos/d/content"}  # fmt: skip
                self.send_header("Location", leads.get(self.path, "/end"))
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    api = {"kind": "openai", "base_url": f"http://127.0.0.1:{port}/v1", "key": "canary-api-key"}
    path = senders.write_providers(bus, {"name": "sample", "api": api})
    try:
        bus.start_producer()
        bus.start_consumer(REELBUS_PROVIDERS=path)
        for name in "ac":
            url = f"http://127.0.0.1:{port}/v1/videos/{name}/content"
            assert bus.webhook({"videoId": bus.insert_video(), "videoUrl": url, "status": "completed"}).status_code == 200
        ends = {"/other/place", "/v1/videos/d/content"}
        wait_for(lambda: ends <= {path for path, _ in seen}, "both redirects away were followed")
    finally:
        server.shutdown()
        server.server_close()
    keys = dict(seen)
    mine = "Bearer canary-api-key"
    assert keys["/v1/videos/a/content"] == keys["/v1/videos/b/content"] == keys["/v1/videos/c/content"] == mine
    assert keys["/other/place"] is None and keys["/v1/videos/d/content"] is None


def test_an_api_that_does_not_answer_holds_nobody_up(bus):
    """The webhook is believed: of this kind of API the URL is known all the same."""
    path = senders.write_providers(
        bus,
        {"name": "sample", "api": {"kind": "openai", "base_url": "http://127.0.0.1:1/v1"},
         "webhook": {"scheme": "standard", "body": "openai", "secret": OPENAI}},
        {"name": "other", "api": {"kind": "replicate", "base_url": "http://127.0.0.1:1/v1"},
         "webhook": {"scheme": "standard", "body": "replicate", "secret": OPENAI}},
    )  # fmt: skip
    bus.start_producer(REELBUS_PROVIDERS=path, REELBUS_RESOLVE_TIMEOUT_MS="300ms")
    video_id = expect(bus, "video_1")
    assert deliver(bus, "video_1").status_code == 200
    event = bus.wait_for_event("video.webhook.received", video_id)
    assert (event["status"], event["video_url"]) == ("completed", "http://127.0.0.1:1/v1/videos/video_1/content")
    expect(bus, "p1", "other")
    body = json.dumps({"id": "p1", "status": "succeeded", "output": None})
    answer = senders.post(bus.producer, "/webhooks/other", body, senders.standard(OPENAI, body))
    assert answer.status_code == 503 and answer.headers["Retry-After"]


def test_options_alone_make_an_openai_provider(bus):
    base_url = f"http://127.0.0.1:{bus.stack.ports['provider']}/v1"
    bus.start_producer(OPENAI_BASE_URL=base_url, OPENAI_API_KEY=local.PROVIDER_KEY, OPENAI_WEBHOOK_SECRET=OPENAI)
    bus.start_consumer(OPENAI_BASE_URL=base_url, OPENAI_API_KEY=local.PROVIDER_KEY)
    theirs = generate(bus, call_back=False)
    video_id = expect(bus, theirs, "openai")
    body = json.dumps({"type": "video.completed", "data": {"id": theirs}})
    assert senders.post(bus.producer, "/webhooks/openai", body, senders.standard(OPENAI, body)).status_code == 200
    bus.assert_stored(video_id, theirs)


def test_with_the_database_away_an_id_that_means_nothing_to_us_is_put_off(bus):
    path = provider_file(bus)
    bus.start_producer(REELBUS_PROVIDERS=path, REELBUS_DATABASE_URL="postgresql://app@127.0.0.1:1/x")
    answer = deliver(bus, "video_1", "video.failed")
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    video_id = str(uuid.uuid4())
    assert bus.webhook({"videoId": video_id, "status": "failed"}).status_code == 200
    assert bus.wait_for_event("video.webhook.received", video_id)["checked"] is False


def state_of(bus, video_id):
    row = bus.query("SELECT state, provider, provider_video_id FROM reelbus.video WHERE video_id = %s", video_id)[0]
    return row["state"], row["provider"], row["provider_video_id"]


@pytest.mark.parametrize(
    "state, before, after",
    [
        ("waiting", ("a", "1"), ("waiting", "b", "2")),
        ("failed", ("a", "1"), ("waiting", "b", "2")),
        ("failed", ("b", "2"), ("failed", "b", "2")),
        ("processing", ("a", "1"), ("processing", "a", "1")),
        ("processing", (None, None), ("processing", "b", "2")),
        ("stored", (None, None), ("stored", "b", "2")),
        ("deleted", ("a", None), ("deleted", "a", "2")),
    ],
)
def test_an_application_may_tell_of_a_video_at_any_time(bus, state, before, after):
    video_id = bus.insert_video()
    bus.query("INSERT INTO reelbus.video (video_id, state, provider, provider_video_id) VALUES (%s, %s, %s, %s)",
              video_id, state, *before)  # fmt: skip
    for _ in range(2):
        bus.query("SELECT reelbus.expect_video(%s, 'b', '2')", video_id)
        assert state_of(bus, video_id) == after


def test_a_webhook_about_a_stored_video_is_not_published_again(running):
    video_id, provider_video = running.store_video()
    running.assert_stored(video_id, provider_video)
    body = {"videoId": video_id, "videoUrl": "https://cdn.example/again.mp4", "status": "completed"}
    assert running.webhook(body, secret=SECRET).json() == {"success": True}
    assert len(running.events("video.webhook.received", video_id)) == 1
    assert 'reelbus_webhooks_total{scheme="plain",outcome="stored"} 1' in running.producer.get("/metrics").text
