"""The same delivery again: senders that did not hear our answer deliver once more."""

import concurrent.futures
import json
import signal

import pytest
import senders
from harness import SECRET, wait_for

STANDARD = senders.new_secret()


@pytest.fixture
def receiver(bus):
    return senders.start_receiver(bus, STANDARD)


def failed(bus, theirs):
    video_id = bus.insert_video()
    bus.query("SELECT reelbus.expect_video(%s, 'gateway', %s)", video_id, theirs)
    return video_id, json.dumps({"type": "video.failed", "data": {"id": theirs, "error": "no"}})


def repeated(bus, scheme):
    text = bus.producer.get("/metrics").text
    return int(text.split(f'reelbus_webhooks_total{{scheme="{scheme}",outcome="repeated"}} ')[1].split()[0])


def test_a_signed_id_makes_two_deliveries_one(receiver):
    video_id, body = failed(receiver, "video_1")
    headers = senders.standard(STANDARD, body)
    later = senders.standard(STANDARD, body, webhook_id=headers["webhook-id"])
    for each in (headers, headers, later):
        answer = senders.post(receiver.producer, "/webhooks/gateway", body, each)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert len(receiver.events("video.webhook.received", video_id)) == 1
    assert repeated(receiver, "standard") == 2
    other = senders.standard(STANDARD, body)  # another delivery of the same
    assert senders.post(receiver.producer, "/webhooks/gateway", body, other).status_code == 200
    assert len(receiver.events("video.webhook.received", video_id)) == 2


def test_the_plain_sender_repeats_itself_by_its_body(receiver):
    video_id = receiver.insert_video()
    body = {"videoId": video_id, "status": "failed"}
    assert [receiver.webhook(body).status_code for _ in range(3)] == [200] * 3
    assert len(receiver.events("video.webhook.received", video_id)) == 1
    assert repeated(receiver, "plain") == 2


def test_what_was_refused_may_come_again(receiver):
    video_id = "7f3a0c4e-9b1d-4c2f-8a5e-0123456789ab"
    body = {"videoId": video_id, "status": "failed"}
    assert [receiver.webhook(body).status_code for _ in range(2)] == [404, 404]
    receiver.query("INSERT INTO video_history (id, user_id, prompt) VALUES (%s, %s, 'late')", video_id, receiver.user)
    assert receiver.webhook(body).status_code == 200
    assert len(receiver.events("video.webhook.received", video_id)) == 1


def in_flight(bus):
    return int(bus.producer.get("/metrics").text.split("\nreelbus_webhooks_in_flight ")[1].split()[0])


def test_all_repeats_of_a_delivery_under_way_get_its_answer(bus):
    """Thirty at once while Kafka is held still: one event, thirty times 200."""
    path = senders.write_providers(
        bus, {"name": "gateway", "webhook": {"scheme": "standard", "body": "openai", "secret": STANDARD}}
    )
    bus.start_producer(REELBUS_PROVIDERS=path, REELBUS_PUBLISH_TIMEOUT_MS="2m")
    video_id, body = failed(bus, "video_2")
    headers = senders.standard(STANDARD, body)
    kafka = bus.stack.processes["kafka"]
    kafka.send(signal.SIGSTOP)
    try:
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            answers = [pool.submit(senders.post, bus.producer, "/webhooks/gateway", body, headers) for _ in range(30)]
            try:
                wait_for(lambda: in_flight(bus) == 30, "all of them wait")
            finally:
                kafka.send(signal.SIGCONT)
            assert [answer.result().status_code for answer in answers] == [200] * 30
    finally:
        kafka.send(signal.SIGCONT)
    assert len(bus.events("video.webhook.received", video_id)) == 1 and repeated(bus, "standard") == 29


def test_repeats_of_what_cannot_be_taken_are_put_off_too(bus):
    bus.start_producer(wait=False, REELBUS_KAFKA_BROKERS="127.0.0.1:1", VIDEO_WEBHOOK_SECRET=SECRET)
    wait_for(lambda: "ev=listening" in bus.producer.log, "it listens")
    body = {"videoId": bus.insert_video(), "status": "failed"}
    answers = [bus.webhook(body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503] * 3 and all("Retry-After" in a.headers for a in answers)
