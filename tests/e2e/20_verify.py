"""Who may call the webhook."""

import pytest
from harness import SECRET


@pytest.fixture
def receiver(bus):
    bus.start_producer()
    return bus


@pytest.mark.parametrize("secret", [None, "wrong", SECRET[:-1], SECRET + "x", SECRET.upper()])
def test_a_wrong_secret_is_unauthorized(receiver, secret):
    video_id = receiver.insert_video()
    answer = receiver.webhook({"videoId": video_id, "status": "failed"}, secret=secret)
    assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})
    assert receiver.records("video.webhook.received") == []


def test_the_secret_is_checked_before_the_body_is_read(receiver):
    answer = receiver.webhook("this is not JSON", secret="wrong")
    assert answer.status_code == 401


def test_during_a_rotation_the_old_and_the_new_secret_are_valid(bus):
    bus.start_producer(VIDEO_WEBHOOK_SECRET=f"{SECRET}-new, {SECRET}")
    for secret in (SECRET, SECRET + "-new"):
        video_id = bus.insert_video()
        assert bus.webhook({"videoId": video_id, "status": "failed"}, secret=secret).status_code == 200
    assert bus.webhook({"videoId": video_id, "status": "failed"}, secret=f"{SECRET}-new, {SECRET}").status_code == 401


def test_the_secret_may_come_from_a_file(bus, tmp_path):
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    bus.start_producer(VIDEO_WEBHOOK_SECRET="", VIDEO_WEBHOOK_SECRET_FILE=path)
    assert bus.webhook({"videoId": bus.insert_video(), "status": "failed"}).status_code == 200
