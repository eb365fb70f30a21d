"""How far behind the consumer is, what it may lose, and how long each stage of a video's way takes."""

import math
import time
import uuid

import prometheus_client.openmetrics.parser
from harness import TINY_MP4, wait_for

STAGES = ("started", "stored", "announced")


def lag(consumer):
    return sum(sample.value for sample in consumer.metrics()["reelbus_lag_records"].samples)


def exemplars(program, name):
    """The traces that the buckets of a histogram name, as an OpenMetrics scraper reads them."""
    answer = program.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = prometheus_client.openmetrics.parser.text_string_to_metric_families(answer.text)
    samples = [sample for family in families if family.name == name for sample in family.samples if sample.exemplar]
    return {sample.exemplar.labels["trace_id"] for sample in samples if sample.value > 0 and sample.exemplar.value >= 0}


def test_what_may_be_lost_is_seen_and_the_way_of_what_is_stored_is_measured(bus, source):
    source.shut()
    bus.start_producer()
    consumer = bus.start_consumer(REELBUS_AT_RISK_MS="1h")
    trace = uuid.uuid4().hex
    for path, more in (("soon.mp4", {"expiresAt": int(time.time()) + 3000}), ("late.mp4", {})):
        body = {"videoId": bus.insert_video(), "videoUrl": source.url(path), "status": "completed", **more}
        assert bus.webhook(body, headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}).status_code == 200
    wait_for(lambda: consumer.metric("reelbus_transfers") == 2, "both are fetched")
    assert consumer.metric("reelbus_videos_at_risk") == 1  # of the other one nobody knows
    assert 0 < consumer.metric("reelbus_expiry_next_seconds") <= 3000
    assert consumer.metric("reelbus_lag_records", topic="video.webhook.received") == lag(consumer) == 2
    assert consumer.metric("reelbus_oldest_record_age_seconds") >= 0
    assert consumer.metric("reelbus_stage_seconds_count", stage="started") == 2
    assert consumer.metric("reelbus_stage_seconds_count", stage="stored") == 0
    source.open()
    wait_for(lambda: consumer.metric("reelbus_stage_seconds_count", stage="announced") == 2, "both are stored")
    wait_for(lambda: lag(consumer) == 0, "nothing is left")
    assert consumer.metric("reelbus_videos_at_risk") == 0 and consumer.metric("reelbus_expiry_next_seconds") == math.inf
    for stage in STAGES:
        assert consumer.metric("reelbus_stage_seconds_count", stage=stage) == 2
    whole = consumer.metric("reelbus_video_seconds_sum")
    parts = sum(consumer.metric("reelbus_stage_seconds_sum", stage=stage) for stage in STAGES[1:])
    assert consumer.metric("reelbus_video_seconds_count") == 2 and parts <= whole + 0.1
    assert consumer.metric("reelbus_expiry_left_seconds_count") == 1
    assert 0 < consumer.metric("reelbus_expiry_left_seconds_sum") <= 3000
    assert consumer.metric("reelbus_video_bytes_sum") == consumer.metric("reelbus_moved_bytes_total") == 2 * len(TINY_MP4)
    assert consumer.metric("reelbus_attempts_total", **{"class": "ok"}) == 2
    assert bus.producer.metric("reelbus_stage_seconds_count", stage="published") == 2
    assert exemplars(bus.producer, "reelbus_stage_seconds") == {trace}
    for name in ("reelbus_stage_seconds", "reelbus_video_seconds", "reelbus_video_bytes"):
        assert exemplars(consumer, name) == {trace}


def test_tries_are_counted_by_what_they_mean_and_what_is_lost_by_why(bus, source):
    source.answers["stumbles"] = [503, 200]
    source.answers["gone"] = [404]
    source.answers["gif"] = [(200, b"GIF89a\x40\1" + b"x" * 38, {})]
    bus.start_producer()
    consumer = bus.start_consumer()
    stored = bus.send(source.url("stumbles"))
    for path in ("gone", "gif"):
        bus.wait_for_event("video.store_failed", bus.send(source.url(path)))
    bus.wait_for_event("video.stored", stored)
    wait_for(lambda: sum(sample.value for sample in consumer.metrics()["reelbus_videos"].samples) == 3, "all are counted")
    tries = {sample.labels["class"]: sample.value for sample in consumer.metrics()["reelbus_attempts"].samples}
    assert {name: count for name, count in tries.items() if count} == {"ok": 1, "in_place": 1, "renew_or_end": 1, "permanent": 1}
    failures = {sample.labels["class"]: sample.value for sample in consumer.metrics()["reelbus_failures"].samples}
    assert {name: count for name, count in failures.items() if count} == {"source": 1, "content": 1}


def test_records_that_nobody_fetches_are_seen_while_partitions_are_paused(bus, source):
    source.shut()
    bus.start_producer()
    consumer = bus.start_consumer(REELBUS_RECORDS_MAX="1")
    bus.send(source.url("first.mp4"))
    wait_for(lambda: consumer.metric("reelbus_paused") == 1 and consumer.metric("reelbus_transfers") == 1, "it takes no more")
    for number in range(4):
        bus.send(source.url(f"{number}.mp4"))
    wait_for(lambda: lag(consumer) == 5, "all of them are seen")
    assert consumer.metric("reelbus_jobs") < 5
    source.open()
    wait_for(lambda: lag(consumer) == 0, "all of them are finished")
