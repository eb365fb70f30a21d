"""Traces: one from the webhook to the stored video, as a collector gets it."""

import http.server
import json
import threading
import uuid

import pytest
from harness import wait_for
from sources import serving, with_provider

SENDER = "00f067aa0ba902b7"  # the sender's own span
STATES = {"planning", "queued", "transferring", "recording", "emitting"}


def facts(attributes):
    """Attributes as a dict. Integers are text in this encoding."""
    def value_of(value):
        ((kind, content),) = value.items()
        assert kind in ("stringValue", "intValue") and isinstance(content, str)
        return int(content) if kind == "intValue" else content

    assert len({pair["key"] for pair in attributes}) == len(attributes)
    return {pair["key"]: value_of(pair["value"]) for pair in attributes}


class Collector:
    """Takes OTLP over HTTP in JSON, and answers as it is told."""

    def __init__(self, *answers):
        self.answers, self.requests, self.lock = list(answers), [], threading.Lock()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with collector.lock:
                    status = collector.answers.pop(0) if collector.answers else 200
                    collector.requests.append((status, self.path, dict(self.headers.items()), json.loads(body)))
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

        self.handler = Handler

    def spans(self, service=None):
        """All spans that were taken, checked as far as one of them can be."""
        found = []
        with self.lock:
            bodies = [body for status, _, _, body in self.requests if status == 200]
        for resource in [resource for body in bodies for resource in body["resourceSpans"]]:
            about = facts(resource["resource"]["attributes"])
            assert len(about["service.instance.id"]) == 36 and about["service.version"]
            for span in [span for scope in resource["scopeSpans"] for span in scope["spans"]]:
                assert len(bytes.fromhex(span["traceId"])) == 16 and len(bytes.fromhex(span["spanId"])) == 8
                assert 0 < int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) and 1 <= span["kind"] <= 5
                if service in (None, about["service.name"]):
                    found.append({**span, "service": about["service.name"], "facts": facts(span["attributes"])})
        assert len({(span["traceId"], span["spanId"]) for span in found}) == len(found)
        return found

    def trace(self, trace_id):
        return {span["name"]: span for span in self.spans() if span["traceId"] == trace_id}


@pytest.fixture
def collector():
    collector = Collector()
    with serving(collector.handler) as url:
        collector.url = url
        yield collector


def send(bus, url, flags="01"):
    trace = uuid.uuid4().hex
    video_id = bus.insert_video()
    body = {"videoId": video_id, "videoUrl": url, "status": "completed"}
    assert bus.webhook(body, headers={"traceparent": f"00-{trace}-{SENDER}-{flags}"}).status_code == 200
    return video_id, trace


def test_one_trace_leads_from_the_webhook_to_the_stored_video(bus, source, collector):
    collector.answers = [503, 429]  # then it takes all
    source.answers["gone"] = [404]
    bus.common |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url + "/",
                   "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20canary-token,x-team=video"}  # fmt: skip
    bus.start_producer()
    bus.start_consumer()
    silent, unsampled = send(bus, source.url("silent.mp4"), flags="00")
    stored, trace = send(bus, source.url("video.mp4"))
    failed, failed_trace = send(bus, source.url("gone"))
    spans = wait_for(lambda: (spans := collector.trace(trace)).keys() >= {"webhook", "store video"} and spans, "the trace is there")
    webhook, job = spans["webhook"], spans["store video"]
    assert (webhook["parentSpanId"], webhook["kind"], webhook["service"]) == (SENDER, 2, "reelbus-producer")
    assert (job["parentSpanId"], job["kind"], job["service"]) == (webhook["spanId"], 5, "reelbus-consumer")
    assert webhook["facts"]["reelbus.outcome"] == "accepted" and job["facts"]["reelbus.outcome"] == "stored"
    assert webhook["facts"]["reelbus.video_id"] == job["facts"]["reelbus.video_id"] == stored
    assert job["facts"]["reelbus.bytes"] == bus.video_row(stored)["bytes"] and job["facts"]["messaging.kafka.offset"] >= 0
    for name in ("lookup", "publish"):
        assert spans[name]["parentSpanId"] == webhook["spanId"]
    assert spans.keys() >= STATES
    for name in STATES:
        assert spans[name]["parentSpanId"] == job["spanId"] and "status" not in spans[name]
        assert int(spans[name]["startTimeUnixNano"]) >= int(job["startTimeUnixNano"]) - 2_000_000  # milliseconds were rounded
    record = next(record for record in bus.records("video.stored") if record.key().decode() == stored)
    assert dict(record.headers())["traceparent"] == f"00-{trace}-{job['spanId']}-01".encode()

    bus.wait_for_event("video.stored", silent)
    bus.wait_for_event("video.store_failed", failed)
    lost = wait_for(lambda: collector.trace(failed_trace).get("store video"), "the other one is there, too")
    assert lost["status"]["code"] == 2 and lost["facts"]["error.type"] == "source_gone" and lost["facts"]["reelbus.outcome"] == "failed"
    for program, service in ((bus.producer, "reelbus-producer"), (bus.consumer, "reelbus-consumer")):
        wait_for(lambda program=program, service=service: program.metric("reelbus_spans_total", outcome="sent")
                 == len(collector.spans(service)) > 0, "all are counted")  # fmt: skip
        assert program.metric("reelbus_spans_total", outcome="dropped") == 0
    assert collector.trace(unsampled) == {}
    for _, path, headers, _ in collector.requests:
        assert path == "/v1/traces" and headers["Content-Type"] == "application/json"
        assert headers["authorization"] == "Bearer canary-token" and headers["x-team"] == "video"
    assert (bus.producer.log + bus.consumer.log).count("ev=traces_fail") == (bus.producer.log + bus.consumer.log).count("ev=traces_go") >= 1


def test_a_poll_that_brings_news_begins_a_trace(bus, source, collector):
    source.answers["api/ours-1"] = [(200, json.dumps({"state": "done", "url": source.url("video.mp4")}).encode(), {})]
    with_provider(bus, source)
    bus.common["REELBUS_OTLP_URL"] = collector.url
    bus.start_producer(REELBUS_POLL_INTERVAL_MS="200ms", REELBUS_POLL_WEBHOOK_TRUST_MS="0")
    bus.start_consumer()
    video_id = bus.insert_video()
    bus.query("SELECT reelbus.expect_video(%s, 'ours', 'ours-1')", video_id)
    bus.wait_for_event("video.stored", video_id)
    job = wait_for(lambda: next((span for span in collector.spans() if span["name"] == "store video"), None), "it is traced")
    poll = wait_for(lambda: collector.trace(job["traceId"]).get("poll"), "and so is the poll")
    assert "parentSpanId" not in poll and job["parentSpanId"] == poll["spanId"] and poll["service"] == "reelbus-producer"
    assert poll["facts"] == {"reelbus.video_id": video_id, "reelbus.provider": "ours", "reelbus.status": "completed"}


def test_what_has_ended_is_sent_before_a_program_stops(bus, source, collector):
    bus.start_producer(REELBUS_OTLP_URL=collector.url)
    consumer = bus.start_consumer(REELBUS_OTLP_URL=collector.url)
    stored, trace = send(bus, source.url("video.mp4"))
    bus.wait_for_event("video.stored", stored)
    bus.producer.stop()
    consumer.stop()
    assert collector.trace(trace).keys() >= {"webhook", "store video"}


def test_a_sampler_leaves_traces_out_but_not_those_of_others(bus, source, collector):
    bus.common |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                   "OTEL_TRACES_SAMPLER_ARG": "0"}  # fmt: skip
    bus.start_producer()
    consumer = bus.start_consumer()
    ours = bus.send(source.url("ours.mp4"))
    bus.wait_for_event("video.stored", ours)
    theirs, trace = send(bus, source.url("theirs.mp4"))
    bus.wait_for_event("video.stored", theirs)
    bus.producer.stop()
    consumer.stop()
    assert collector.trace(trace).keys() >= {"webhook", "store video"}
    assert {span["traceId"] for span in collector.spans()} == {trace}
    for topic in ("video.webhook.received", "video.stored"):
        (record,) = [record for record in bus.records(topic) if record.key().decode() == ours]
        assert dict(record.headers())["traceparent"].endswith(b"-00"), "others leave it out, too"


def test_nothing_waits_for_a_collector_that_is_away(bus, source, collector):
    collector.answers = [400] * 1000
    bus.start_producer(REELBUS_OTLP_URL="http://127.0.0.1:1")
    consumer = bus.start_consumer(REELBUS_OTLP_URL=collector.url)
    for number in range(3):
        bus.wait_for_event("video.stored", bus.send(source.url(f"{number}.mp4")))
    wait_for(lambda: consumer.metric("reelbus_spans_total", outcome="dropped") > 0, "what is refused is dropped")
    wait_for(lambda: "ev=traces_fail" in bus.producer.log, "the other collector is away")
    assert consumer.log.count("ev=traces_fail") == 1 and consumer.metric("reelbus_spans_total", outcome="sent") == 0
    bus.producer.stop()
    consumer.stop()
    for options in ({"REELBUS_OTLP_URL": "collector:4318"}, {"REELBUS_OTLP_URL": collector.url + "/?key=canary"}, {"REELBUS_OTLP_URL": collector.url, "REELBUS_OTLP_HEADERS": "canary"},
                    {"REELBUS_OTLP_URL": collector.url, "REELBUS_TRACES_SAMPLER": "some"}):  # fmt: skip
        done = bus.run("reelbus-consumer", env=options)
        assert done.returncode == 2 and ("option 'otlp_" in done.stderr or "option 'traces_" in done.stderr) and "canary" not in done.stderr
