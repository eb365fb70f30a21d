"""Each alert of deploy/prometheus fires when what it is about happens to running programs, and none when all is well."""

import json
import re
import subprocess
import time

import alerts
import pytest
from harness import ROOT, wait_for

pytestmark = [pytest.mark.release_only, alerts.needed]

NOWHERE = "127.0.0.1:1"  # nobody listens there


def test_rules_are_sound_and_speak_of_what_there_is():
    subprocess.run([alerts.PROMTOOL, "check", "rules", alerts.RULES], check=True, capture_output=True)
    known = set(re.findall(r"^\| `(reelbus_\w+)`", (ROOT / "deploy/metrics.md").read_text(), re.MULTILINE))
    assert alerts.USED - {"up"} <= known
    entries = re.findall(r"^## (\w+)$", (ROOT / "deploy/runbook.md").read_text(), re.MULTILINE)
    assert sorted(entries) == sorted(alerts.NAMES)
    links = re.findall(r"runbook: deploy/runbook.md#(\w+)", alerts.RULES.read_text())
    assert sorted(links) == sorted(name.lower() for name in entries)
    board = json.loads((ROOT / "deploy/grafana/reelbus.json").read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for text in expressions for name in re.findall(r"\breelbus_\w+", text)}
    assert used <= known and len(used) > 30


def test_alerts_of_videos_and_records(bus, source, tmp_path):
    source.answers["gone"] = [404]
    bus.start_producer()
    consumer = bus.start_consumer(REELBUS_RECORDS_MAX="4")
    wait_for(lambda: consumer.metric("reelbus_partitions") == 9 and consumer.metric("reelbus_store_up") == 1, "it has all of it")
    before = alerts.seen(bus.producer, consumer)
    assert alerts.firing(tmp_path, before, before) == set()
    bus.wait_for_event("video.store_failed", bus.send(source.url("gone")))
    bus.produce("video.webhook.received", b"no event", "nobody")
    wait_for(lambda: consumer.metric("reelbus_videos_total", outcome="dead_letter") == 1, "a record is set aside")
    for _ in range(10):
        assert bus.webhook({"videoId": "x"}, secret="wrong").status_code == 401
    source.shut()
    bus.send(source.url("soon.mp4"), expires_s=200)
    wait_for(lambda: consumer.metric("reelbus_videos_at_risk") == 1, "one is at risk")
    assert alerts.firing(tmp_path, before, alerts.seen(bus.producer, consumer)) == {
        "ReelbusVideosAtRisk", "ReelbusVideosLost", "ReelbusDeadLetters", "ReelbusWebhooksUnauthorized"}  # fmt: skip
    produce_old_events(bus, source, 1100)
    wait_for(lambda: consumer.metric("reelbus_lag_records", topic="video.webhook.received") > 1000, "it is far behind")
    wait_for(lambda: consumer.metric("reelbus_oldest_record_age_seconds") > 3000, "and late")
    assert alerts.firing(tmp_path, before, alerts.seen(bus.producer, consumer)) >= {"ReelbusLag", "ReelbusRecordsWait"}
    consumer.kill()
    assert "ReelbusDown" in alerts.firing(tmp_path, before, alerts.seen(bus.producer, consumer))


def produce_old_events(bus, source, count):
    """Records of an hour ago, about one video whose source does not answer, and others that nobody knows."""
    bus.send_webhook_event(bus.insert_video(), source.url("old.mp4"))
    (value,) = [record.value() for record in bus.records("video.webhook.received") if b"old.mp4" in (record.value() or b"")]
    for _ in range(count):
        bus.kafka_producer.produce(bus.prefix + "video.webhook.received", value, b"key", timestamp=int(time.time() * 1000) - 3_600_000)
    assert bus.kafka_producer.flush(60) == 0


def test_alerts_of_our_own_side(bus, tmp_path):
    bus.start_producer()
    consumer = bus.start_consumer()
    wait_for(lambda: consumer.metric("reelbus_partitions") == 9 and consumer.metric("reelbus_store_up") == 1, "it has all of it")
    well = alerts.seen(bus.producer, consumer)
    for program in (bus.producer, consumer):
        program.stop()
    away = {"REELBUS_KAFKA_BROKERS": NOWHERE, "DATABASE_URL": f"postgresql://app@{NOWHERE}/app"}
    ports = {"producer": bus.producer.port}
    plain = bus.start_producer(wait=False, port=ports["producer"], **away)
    consumer = bus.start_consumer(wait=False, **away)
    spooling = bus.start_producer(wait=False, REELBUS_SPOOL=tmp_path / "spool", **away)
    for program in (plain, consumer, spooling):
        wait_for(lambda program=program: answers(program), "it answers")
    video_id = bus.insert_video()
    bus.producer = plain
    assert bus.webhook({"videoId": video_id, "status": "failed"}).status_code == 503
    bus.producer = spooling
    assert bus.webhook({"videoId": video_id, "status": "failed"}).status_code == 200
    fired = alerts.firing(tmp_path, well, alerts.seen(plain, consumer, spooling))
    assert fired == {"ReelbusKafkaAway", "ReelbusDatabaseAway", "ReelbusNobodyReads", "ReelbusWebhooksDeferred", "ReelbusSpooling"}


def answers(program):
    try:
        return program.get("/healthz").ok
    except OSError:
        return False


def test_alerts_of_the_store(bus, source, tmp_path):
    bus.start_producer()
    consumer = bus.start_consumer(REELBUS_STORE="s3", AWS_ENDPOINT_URL=f"http://{NOWHERE}", AWS_ACCESS_KEY_ID="us",
                                  AWS_SECRET_ACCESS_KEY="canary-s3-key", wait=False)  # fmt: skip
    wait_for(lambda: answers(consumer), "it answers")
    video_id = bus.send(source.url("video.mp4"))
    wait_for(lambda: consumer.metric("reelbus_store_circuit_open", code="store_away") == 1, "the circuit is open")
    now = alerts.seen(consumer)
    assert alerts.firing(tmp_path, now, now) == {"ReelbusStoreAway", "ReelbusCircuitOpen"}
    consumer.kill()
    quota = {"REELBUS_QUOTA_BYTES": "10000", "REELBUS_QUOTA_CHECK_MS": "50ms", "REELBUS_QUOTA_WARN_AT": "1"}
    consumer = bus.start_consumer(**quota, REELBUS_QUOTA_STOP_AT="100%")
    bus.wait_for_event("video.stored", video_id)
    wait_for(lambda: consumer.metric("reelbus_quota_level") == 1, "it is over the warning mark")
    now = alerts.seen(consumer)
    assert alerts.firing(tmp_path, now, now) == {"ReelbusQuotaNear"}
    consumer.stop()
    consumer = bus.start_consumer(**quota, REELBUS_QUOTA_STOP_AT="2")
    wait_for(lambda: consumer.metric("reelbus_quota_level") == 2, "it is over the other one, too")
    wait_for(lambda: consumer.metric("reelbus_partitions") == 9, "it has its partitions")
    now = alerts.seen(consumer)
    assert alerts.firing(tmp_path, now, now) == {"ReelbusQuotaReached"}
