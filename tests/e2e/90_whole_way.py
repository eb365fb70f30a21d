"""From the webhook to the event, through all stages."""

import signal
import uuid

from harness import wait_for


def test_a_video_is_stored_and_announced(running):
    video_id, provider_video = running.store_video()
    event, row = running.assert_stored(video_id, provider_video)
    assert event["attempt"] == row["attempt"] == 1 and event["tries"] == row["tries"] == 1
    assert event["received_at"] <= event["stored_at"]
    assert (row["owner_topic"], row["owner_partition"], row["owner_offset"]) == (
        event["source_topic"], event["source_partition"], event["source_offset"])  # fmt: skip
    received = running.wait_for_event("video.webhook.received", video_id)
    assert received["checked"] and received["user_id"] == running.user and received["scheme"] == "plain"
    assert running.events("video.store_failed") == []
    running.wait_until_finished()


def test_records_have_key_cloudevents_headers_and_one_trace(running):
    video_id = running.insert_video()
    provider_video = running.ask_for_video(video_id, call_back=False)
    url = f"http://127.0.0.1:{running.stack.ports['provider']}/v1/videos/{provider_video}"
    trace = uuid.uuid4().hex
    answer = running.webhook(
        {"videoId": video_id, "videoUrl": url, "status": "completed"},
        headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "tracestate": "vendor=1"},
    )
    assert answer.status_code == 200
    running.consumer.stop()  # what is looked at here does not depend on how it ends
    for topic, source in (("video.webhook.received", "reelbus-producer"),):
        (record,) = running.records(topic)
        headers = {name: value.decode() for name, value in record.headers()}
        event = running.decode(topic, record)
        assert record.key().decode() == video_id
        assert headers["ce_specversion"] == "1.0" and headers["ce_id"] == event["event_id"]
        assert headers["ce_type"] == topic and headers["ce_source"] == source and headers["ce_subject"] == video_id
        assert headers["content-type"] == "application/avro" and headers["ce_time"].endswith("Z")
        assert headers["traceparent"].startswith(f"00-{trace}-") and headers["tracestate"] == "vendor=1"
        assert "00f067aa0ba902b7" not in headers["traceparent"]


def test_the_trace_of_the_webhook_reaches_the_announcement(running):
    video_id, provider_video = running.store_video()
    running.assert_stored(video_id, provider_video)
    traces = []
    for topic in ("video.webhook.received", "video.stored"):
        (record,) = running.records(topic)
        headers = {name: value.decode() for name, value in record.headers()}
        assert record.key().decode() == video_id and headers["ce_type"] == topic
        traces.append(headers["traceparent"].split("-")[1])
    assert traces[0] == traces[1]
    assert f"trace={traces[0]}" in running.producer.log and f"trace={traces[0]}" in running.consumer.log


def test_each_line_about_a_webhook_has_its_video_and_its_trace(bus):
    """Also of those that are answered without an event."""
    bus.start_producer()
    known, unknown = bus.insert_video(), str(uuid.uuid4())
    traces = {video_id: uuid.uuid4().hex for video_id in (known, unknown)}
    for video_id, status in ((known, 200), (known, 200), (unknown, 404)):
        headers = {"traceparent": f"00-{traces[video_id]}-00f067aa0ba902b7-01"}
        assert bus.webhook({"videoId": video_id, "status": "failed"}, headers=headers).status_code == status
    lines = [line for line in bus.producer.log.splitlines() if f" video={known} " in line or f" video={unknown} " in line]
    assert [line.split("ev=")[1].split()[0] for line in lines] == ["webhook_accepted", "webhook_silent", "webhook_refused"]
    for line, video_id in zip(lines, (known, known, unknown)):
        assert f" trace={traces[video_id]} " in line and f" video={video_id} " in line


def test_a_failed_generation_is_written_down_and_announced(running):
    video_id, _ = running.store_video(outcome="failed")
    event = running.wait_for_event("video.store_failed", video_id)
    row = running.video_row(video_id)
    assert event["class"] == row["error_class"] == "generation_failed"
    assert event["message"] == row["error_message"] == "The prompt was refused."
    assert event["tries"] == 0 and event["source_url"] is None and event["first_try_at"] is None
    assert (row["state"], row["status"], row["video_url"]) == ("failed", "failed", None)
    assert running.objects() == []


def test_the_same_webhook_twice_is_published_once(running):
    for outcome, topic in (("completed", "video.stored"), ("failed", "video.store_failed")):
        video_id, provider_video = running.store_video(outcome=outcome, webhook="twice")
        deliveries = wait_for(lambda: (lambda d: d if len(d) == 2 else None)(running.deliveries(provider_video)), "both")
        assert [delivery["status"] for delivery in deliveries] == [200, 200]
        running.wait_for_event(topic, video_id)
        running.wait_until_finished()
        assert len(running.events("video.webhook.received", video_id)) == len(running.events(topic, video_id)) == 1


def test_two_webhooks_about_one_video_lead_to_one_outcome(bus):
    bus.start_producer()
    video_id = bus.insert_video()
    body = {"videoId": video_id, "status": "failed", "error": "no"}
    assert [bus.webhook({**body, "number": number}).status_code for number in (1, 2)] == [200, 200]
    bus.start_consumer()
    bus.wait_for_event("video.store_failed", video_id)
    bus.wait_until_finished()
    assert len(bus.events("video.webhook.received", video_id)) == 2
    assert len(bus.events("video.store_failed", video_id)) == 1


def test_a_success_after_a_failure_is_a_new_attempt(running):
    video_id = running.insert_video()
    running.ask_for_video(video_id, outcome="failed")
    assert running.wait_for_event("video.store_failed", video_id)["attempt"] == 1
    provider_video = running.ask_for_video(video_id)
    event, row = running.assert_stored(video_id, provider_video)
    assert event["attempt"] == row["attempt"] == 2
    assert row["error_code"] is None and row["failed_at"] is None


def test_two_hundred_videos_at_once(running):
    videos = [running.insert_video() for _ in range(200)]
    sources = {video_id: running.ask_for_video(video_id) for video_id in videos}
    wait_for(lambda: len(running.events("video.stored")) >= 200, "200 videos are stored", 180)
    running.wait_until_finished()
    events = running.events("video.stored")
    assert sorted(event["video_id"] for event in events) == sorted(videos)
    for video_id in videos[::20]:
        running.assert_stored(video_id, sources[video_id])
    assert len(running.objects()) == 200 and running.events("video.store_failed") == []


def test_two_consumers_share_the_work(bus):
    bus.start_producer()
    first = bus.start_consumer()
    second = bus.start_consumer(REELBUS_GROUP_INSTANCE_ID="two")
    wait_for(lambda: "ev=partitions_taken" in second.log, "the second consumer has partitions")
    videos = [bus.insert_video() for _ in range(40)]
    for video_id in videos:
        bus.ask_for_video(video_id)
    wait_for(lambda: len(bus.events("video.stored")) >= 40, "all are stored")
    bus.wait_until_finished()
    assert sorted(event["video_id"] for event in bus.events("video.stored")) == sorted(videos)
    assert "ev=job_stored" in first.log and "ev=job_stored" in second.log


def test_no_secret_is_logged_or_published(running):
    video_id, provider_video = running.store_video()
    running.assert_stored(video_id, provider_video)
    running.webhook("{}", secret="canary-wrong-secret")
    for topic in ("video.webhook.received", "video.stored"):
        for record in running.records(topic):
            assert b"canary" not in record.value() and b"canary" not in repr(record.headers()).encode()
    for program in (running.producer, running.consumer):
        assert "signature=" not in program.log  # of the signed URL
        with open(f"/proc/{program.process.pid}/cmdline", "rb") as cmdline:
            assert b"canary" not in cmdline.read()


def test_producer_and_consumer_stop_at_once_when_idle(running):
    for program in (running.producer, running.consumer):
        program.process.send(signal.SIGTERM)
        wait_for(lambda: not program.process.alive(), "it stops")
        assert program.process.status == 0 and "ev=stopped left=0" in program.log
