"""/metrics, read by Prometheus' own client."""

import collections
import math
import re

import prometheus_client.openmetrics.parser
from harness import ROOT


def buckets(family, **labels):
    """What the buckets of one histogram count, by their bound."""
    return {
        float(sample.labels["le"]): sample.value
        for sample in family.samples
        if sample.name.endswith("_bucket") and {**labels, "le": sample.labels["le"]} == sample.labels
    }


def test_all_series_are_read_once_and_have_a_type_and_a_help(running):
    for program in (running.producer, running.consumer):
        answer = program.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        families = program.metrics()
        assert families
        seen = collections.Counter()
        for family in families.values():
            assert family.type in ("counter", "gauge", "histogram") and family.documentation and family.samples
            seen.update((sample.name, *sorted(sample.labels.items())) for sample in family.samples)
        assert set(seen.values()) == {1}


def test_the_time_to_answer_is_counted_in_buckets(bus):
    producer = bus.start_producer()
    assert producer.metric("reelbus_webhook_ack_seconds_count") == 0
    for _ in range(20):
        assert bus.webhook({"videoId": bus.insert_video(), "status": "failed"}).status_code == 200
    family = producer.metrics()["reelbus_webhook_ack_seconds"]
    assert family.type == "histogram"
    counts = buckets(family)
    values = [counts[bound] for bound in sorted(counts)]
    assert len(counts) > 10 and values == sorted(values) and values[-1] == 20 == counts[math.inf]
    assert producer.metric("reelbus_webhook_ack_seconds_count") == 20
    total = producer.metric("reelbus_webhook_ack_seconds_sum")
    # The sum lies where the buckets say: between what it would be at their lower bounds and at their upper ones.
    bounds = [0.0, *sorted(counts)]
    each = [counts[bound] - counts.get(below, 0) for below, bound in zip(bounds, bounds[1:])]
    assert sum(n * below for n, below in zip(each, bounds)) <= total
    if each[-1] == 0:
        assert total <= sum(n * bound for n, bound in zip(each, bounds[1:]) if n)


def series(program):
    """Name and labels of all that there is to see."""
    return {(sample.name, *sorted(sample.labels.items())) for family in program.metrics().values() for sample in family.samples}


def test_the_manual_names_all_and_there_are_never_more_series_than_at_the_start(running):
    pages = (ROOT / "deploy/metrics.md").read_text().split("\n## ")[1:]
    before = {program: series(program) for program in (running.producer, running.consumer)}
    videos = [running.store_video() for _ in range(2)]
    for video in videos:
        running.assert_stored(*video)
    assert running.webhook({"videoId": "none", "status": "failed"}).status_code == 400
    assert running.producer.get("/nowhere").status_code == 404
    for program, page in zip(before, pages):
        named = dict(re.findall(r"^\| `(reelbus_\w+)` \| (\w+) \|", page, re.MULTILINE))
        shown = {family.name + ("_total" if family.type == "counter" else ""): family.type for family in program.metrics().values()}
        assert named == shown
        assert series(program) == before[program] and len(before[program]) < 300


def test_openmetrics_is_served_to_who_asks_for_it(running):
    for program in (running.producer, running.consumer):
        answer = program.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3"})
        assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        families = list(prometheus_client.openmetrics.parser.text_string_to_metric_families(answer.text))
        assert {family.name for family in families} == set(program.metrics())
        assert program.get("/metrics", headers={"Accept": "text/plain"}).headers["Content-Type"].startswith("text/plain; version=0.0.4")
