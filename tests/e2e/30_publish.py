"""Kafka, the database and the schema registry, there and away."""

import io
import json
import signal
import uuid

import confluent_kafka
import fastavro
import requests
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from harness import ROOT, SCHEMAS, TOPICS, wait_for


def test_without_kafka_the_sender_is_told_to_come_again_and_nothing_is_lost(bus, stopped_kafka):
    stop, start = stopped_kafka
    running = bus
    running.start_producer(REELBUS_PUBLISH_TIMEOUT_MS="5s")
    running.start_consumer()
    video_id = running.insert_video()
    provider_video = running.ask_for_video(video_id, call_back=False)
    url = f"http://127.0.0.1:{running.stack.ports['provider']}/v1/videos/{provider_video}/content"
    body = {"videoId": video_id, "videoUrl": url, "status": "failed"}
    assert running.producer.metric("reelbus_kafka_errors_total", of="record") == 0
    before = running.producer.metric("reelbus_kafka_errors_total", of="client")
    stop()
    wait_for(lambda: running.webhook(body).status_code == 503, "it is answered 503")
    answer = running.webhook(body)
    assert int(answer.headers["Retry-After"]) > 0 and answer.json()["error"]
    wait_for(lambda: running.producer.get("/readyz").status_code == 503, "it is not ready")
    assert "Kafka" in running.producer.get("/readyz").json()["reasons"][0]
    assert running.producer.get("/healthz").status_code == 200
    wait_for(lambda: running.producer.metric("reelbus_kafka_errors_total", of="client") > before, "the error is counted")
    start()
    wait_for(lambda: running.webhook(body).status_code == 200, "it is answered 200 again")
    wait_for(lambda: running.events("video.store_failed", video_id), "it is announced")
    running.wait_until_finished()
    ids = {event["event_id"] for event in running.events("video.store_failed", video_id)}
    assert len(ids) == 1  # an event whose acknowledgement Kafka took with it may come again, as what it is: a repeat


def test_a_kafka_that_hangs_is_answered_in_time(running, stopped_kafka):
    stop, start = stopped_kafka
    running.producer.stop()
    running.start_producer(REELBUS_PUBLISH_TIMEOUT_MS="1s")
    video_id = running.insert_video()
    stop(signal.SIGSTOP)
    answer = running.webhook({"videoId": video_id, "status": "failed"})
    assert answer.status_code == 503
    assert running.producer.metric("reelbus_kafka_errors_total", of="record") >= 1
    start()
    wait_for(lambda: running.webhook({"videoId": video_id, "status": "failed"}).status_code == 200, "it works again")


def test_the_consumer_goes_on_where_it_was_when_kafka_comes_back(running, stopped_kafka):
    stop, start = stopped_kafka
    video_id, provider_video = running.store_video(bytes_per_s=500_000, bytes=700_000)
    wait_for(lambda: running.objects(), "the transfer has begun")
    stop()
    wait_for(lambda: running.video_row(video_id)["state"] == "stored", "it is stored without Kafka")
    start()
    running.wait_for_event("video.stored", video_id)
    other, other_video = running.store_video()
    running.assert_stored(other, other_video)
    running.wait_until_finished()


def test_told_not_to_check_videos_it_leaves_that_to_the_consumer(bus):
    bus.start_producer(REELBUS_CHECK_VIDEOS="false")
    video_id, unknown = bus.insert_video(), str(uuid.uuid4())
    for sent in (video_id, unknown):
        assert bus.webhook({"videoId": sent, "videoUrl": "https://media.example.com/v.mp4", "status": "completed"}).status_code == 200
    received = bus.events("video.webhook.received")
    assert {event["video_id"] for event in received} == {video_id, unknown}
    assert [(event["checked"], event["user_id"]) for event in received] == [(False, None)] * 2
    assert "reelbus_webhooks_unchecked_total 2" in bus.producer.get("/metrics").text


def test_without_the_database_the_event_is_published_unchecked_and_checked_later(bus):
    bus.start_producer(DATABASE_URL="postgresql://app@127.0.0.1:1/none", wait=False)
    wait_for(lambda: bus.producer.is_ready(), "ready without a database")
    assert "database" in bus.producer.get("/readyz").json()["reasons"][0]
    known, unknown = bus.insert_video(), "00000000-0000-4000-8000-000000000000"
    provider_video = bus.ask_for_video(known)
    assert bus.webhook({"videoId": unknown, "videoUrl": "https://example.com/", "status": "completed"}).status_code == 200
    received = wait_for(lambda: (lambda e: e if len(e) == 2 else None)(bus.events("video.webhook.received")), "both are in")
    assert [event["checked"] for event in received] == [False, False]
    assert "reelbus_webhooks_unchecked_total 2" in bus.producer.get("/metrics").text
    bus.start_consumer()
    bus.assert_stored(known, provider_video)
    failed = bus.wait_for_event("video.store_failed", unknown)
    assert failed["class"] == "unknown_video" and failed["attempt"] == 0


def test_with_a_registry_values_are_in_confluents_wire_format(bus, registry):
    _, client, url = registry
    assert "are in the registry" in bus.setup()
    bus.start_producer()
    bus.start_consumer()
    videos = dict(bus.store_video(status=429, status_times=1, retry_after=1) for _ in range(2))
    videos |= dict(bus.store_video() for _ in range(8))
    wait_for(lambda: len(bus.records("video.stored")) == 10, "all are stored")
    asked = [line for line in requests.get(url + "/asked").json() if "GET /schemas/ids/" in line]
    assert len(asked) == len(set(asked)) <= 2  # fetched once, then cached
    for topic in ("video.webhook.received", "video.store.retry", "video.stored"):
        record = bus.records(topic)[0]
        context = SerializationContext(bus.prefix + topic, MessageField.VALUE)
        event = AvroDeserializer(client)(record.value(), context)
        assert event["video_id"] == record.key().decode() and event["video_id"] in videos
        latest = client.get_latest_version(f"{bus.prefix}{topic}-value")
        assert record.value()[:5] == b"\0" + latest.schema_id.to_bytes(4, "big")
        assert fastavro.parse_schema(json.loads(latest.schema.schema_str)) == SCHEMAS[TOPICS[topic]]
    for video_id, provider_video in videos.items():
        assert bus.object_path(video_id).read_bytes() == bus.source_bytes(provider_video)


def test_with_a_registry_that_is_away_the_sender_is_told_to_come_again(bus, registry):
    process, _, _ = registry
    process.send(signal.SIGSTOP)
    bus.start_producer(wait=False, REELBUS_PUBLISH_TIMEOUT_MS="5s")
    wait_for(lambda: "ev=kafka_up" in bus.producer.log, "Kafka is there")
    video_id = bus.insert_video()
    assert bus.webhook({"videoId": video_id, "status": "failed"}).status_code == 503
    wait_for(lambda: "registry" in bus.producer.get("/readyz").json()["reasons"][0], "it says why")
    process.send(signal.SIGCONT)
    wait_for(lambda: bus.webhook({"videoId": video_id, "status": "failed"}).status_code == 200, "it works again")


def test_with_a_registry_that_is_away_records_wait_through_a_death_too(bus, registry):
    """Nothing is given up, and nothing set aside: the registry may have the schema."""
    process, _, _ = registry
    bus.setup()
    bus.start_producer()
    video_id, _ = bus.store_video()
    wait_for(lambda: bus.records("video.webhook.received"), "the record is there")
    process.send(signal.SIGSTOP)
    for _ in range(2):
        bus.start_consumer(wait=False)
        wait_for(lambda: "code=registry_away" in bus.consumer.log, "it waits")
        bus.consumer.kill()
    process.send(signal.SIGCONT)
    bus.start_consumer()
    wait_for(lambda: bus.video_row(video_id)["state"] == "stored", "it is stored")
    assert bus.records("video.store.dlq") == [] and bus.records("video.store_failed") == []


def test_records_of_older_and_newer_writers_are_read_through_the_registry(bus, registry):
    """The header form too, and a schema with other fields than ours."""
    _, client, url = registry
    bus.setup()
    bus.start_consumer()
    schema = json.loads((ROOT / "schemas/video_webhook_received.avsc").read_text())
    schema["fields"] = [field for field in schema["fields"] if field["name"] not in ("webhook_id", "checked")]
    schema["fields"].insert(0, {"name": "shard", "type": "int"})
    answer = requests.post(f"{url}/subjects/{bus.prefix}video.webhook.received-value/versions",
                           json={"schema": json.dumps(schema)}, auth=("user", "canary-password")).json()  # fmt: skip
    producer = confluent_kafka.Producer({"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"]})
    videos = []
    for headers, prefix in (
        ([], b"\0" + answer["id"].to_bytes(4, "big")),
        ([("__value_schema_id", b"\0" + answer["id"].to_bytes(4, "big"))], b""),
        ([("__value_schema_id", b"\1" + uuid.UUID(answer["guid"]).bytes)], b""),
    ):
        video_id = bus.insert_video()
        videos.append(video_id)
        value = io.BytesIO()
        fastavro.schemaless_writer(value, fastavro.parse_schema(schema), {
            "shard": 1, "event_id": "e", "video_id": video_id, "status": "failed", "scheme": "other", "received_at": 1000,
        })  # fmt: skip
        producer.produce(bus.prefix + "video.webhook.received", prefix + value.getvalue(), video_id, headers=headers)
    assert producer.flush(60) == 0
    wait_for(lambda: len(bus.records("video.store_failed")) == 3, "all three were understood")
    assert sorted(record.key().decode() for record in bus.records("video.store_failed")) == sorted(videos)
