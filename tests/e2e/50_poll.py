"""Polling: what happens to videos whose webhook never comes, and how providers are spared."""

import datetime
import json
import re
import signal

import alerts
import pytest
from harness import local, wait_for

FAST = {"REELBUS_POLL_INTERVAL_MS": "200ms", "REELBUS_POLL_WEBHOOK_TRUST_MS": "0"}
RARE = {"REELBUS_POLL_INTERVAL_MS": "10m", "REELBUS_POLL_WEBHOOK_TRUST_MS": "0"}
CANARY = "canary-provider-key"


def api(bus, kind="openai", path="", **members):
    """An API of the sample provider, in one of its shapes."""
    base = f"http://127.0.0.1:{bus.stack.ports['provider']}"
    shapes = {
        "openai": {"base_url": f"{base}/v1"},
        "replicate": {"base_url": f"{base}/v1"},
        "generic": {
            "url": f"{base}/jobs?job={{id}}", "auth_header": "X-Key", "status": "/job/state", "video_url": "/job/files/0",
            "progress": "/job/percent", "expires_at": "/job/until", "error_code": "/job/why/code",
            "error_message": "/job/why/message", "completed": ["done"], "failed": ["broken"], "expired": ["gone"],
        },
    }  # fmt: skip
    return {"kind": kind, "key": local.PROVIDER_KEY, "timeout": "20s", **shapes[kind], **members}


def configure(bus, **apis):
    """Write the file of providers, for both programs."""
    path = bus.folder / "providers.json"
    path.write_text(json.dumps({"providers": [{"name": name, "api": api} for name, api in apis.items()]}))
    bus.common["REELBUS_PROVIDERS"] = str(path)


def expect(bus, video_id, provider, provider_video):
    bus.query("SELECT reelbus.expect_video(%s, %s, %s)", video_id, provider, provider_video)


def wait_video(bus, provider, **behaviour):
    """A video that waits, and that its provider never calls back about."""
    video_id = bus.insert_video()
    provider_video = bus.ask_for_video(video_id, call_back=False, **behaviour)
    expect(bus, video_id, provider, provider_video)
    return video_id, provider_video


def polls(bus, provider_video):
    return bus.provider("GET", "/polls").json()[provider_video]


def results(bus, video_id):
    """What was published, in order: one video has one partition."""
    return sorted(bus.events("video.poll.result", video_id), key=lambda event: event["polled_at"])


def nobody_is_asked(bus):
    """What was asked for is published by now, and written into the rows."""
    return not bus.query("SELECT 1 FROM reelbus.video WHERE poll_lease_until IS NOT NULL")


def ended(bus, video_id, code, message):
    """The one event that says so, and the row that follows it."""
    (event,) = wait_for(lambda: [event for event in results(bus, video_id) if event["status"] == "failed"], "an end is published")
    assert (event["status"], event["error_code"], event["video_url"]) == ("failed", code, None)
    assert message in event["error_message"]
    failed = bus.wait_for_event("video.store_failed", video_id)
    assert failed["class"] == "generation_failed" and failed["message"] == event["error_message"]
    assert bus.video_row(video_id)["state"] == "failed"


# -- nothing is lost -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["openai", "replicate", "generic"])
def test_a_provider_that_never_calls_back_loses_nothing(bus, kind):
    configure(bus, here=api(bus, kind))
    bus.start_producer(**FAST)
    bus.start_consumer()
    videos = [wait_video(bus, "here", generate_s=0.5 + number / 10) for number in range(6)]
    failing, _ = wait_video(bus, "here", generate_s=0.5, outcome="failed")
    for video_id, provider_video in videos:
        event, row = bus.assert_stored(video_id, provider_video)
        assert row["provider"] == event["provider"] == "here" and event["provider_video_id"] == provider_video
        assert event["source_topic"] == f"{bus.prefix}video.poll.result"
        assert results(bus, video_id)[-1]["status"] == "completed"
    failed = bus.wait_for_event("video.store_failed", failing)
    assert (failed["class"], failed["message"]) == ("generation_failed", "The prompt was refused.")
    bus.wait_until_finished()


def test_what_was_finished_while_nobody_ran_is_found_at_start(bus):
    configure(bus, here=api(bus, "replicate"))
    bus.start_consumer()
    videos = [wait_video(bus, "here") for _ in range(5)]
    bus.start_producer(**RARE)
    for video_id, provider_video in videos:
        bus.assert_stored(video_id, provider_video)


def test_a_producer_that_is_killed_while_it_asks_leaves_its_videos_to_the_others(bus):
    configure(bus, here=api(bus, "replicate", timeout="60s"))
    first = bus.start_producer(**RARE)
    video_id, provider_video = wait_video(bus, "here", answers=[{"slow_s": 60}, {}])
    wait_for(lambda: polls(bus, provider_video) == 1, "it is asked for")
    first.kill()
    held = "SELECT poll_lease_until BETWEEN now() AND now() + interval '5 min' AS held FROM reelbus.video"
    assert bus.query(held) == [{"held": True}]  # and then it ends by itself
    bus.query("UPDATE reelbus.video SET next_poll_at = now(), poll_lease_until = now() + interval '1 s'")
    bus.start_producer(**RARE)
    bus.start_consumer()
    bus.assert_stored(video_id, provider_video)


def test_a_stopping_producer_gives_its_videos_back_at_once(bus):
    configure(bus, here=api(bus, timeout="100s"))
    first = bus.start_producer(**RARE)
    video_id, provider_video = wait_video(bus, "here", answers=[{"slow_s": 60}, {"status": "in_progress"}])
    wait_for(lambda: polls(bus, provider_video) == 1, "it is asked for")
    first.stop()
    row = bus.video_row(video_id)
    assert row["poll_lease_until"] is None and row["provider_status"] is None
    bus.start_producer(**RARE)
    wait_for(lambda: results(bus, video_id), "another has asked")


def test_rows_of_the_application_are_adopted_when_it_tells_the_provider(bus):
    configure(bus, here=api(bus, "replicate"))
    bus.query("ALTER TABLE video_history ADD engine text, ADD job text")
    wanted, unknown_engine, done, old, without = [bus.insert_video() for _ in range(5)]
    provider_videos = {video_id: bus.ask_for_video(video_id, call_back=False) for video_id in (wanted, unknown_engine, done, old)}
    for video_id, provider_video in provider_videos.items():
        bus.query("UPDATE video_history SET engine = 'here', job = %s WHERE id = %s", provider_video, video_id)
    bus.query("UPDATE video_history SET engine = 'elsewhere' WHERE id = %s", unknown_engine)
    bus.query("UPDATE video_history SET status = 'failed' WHERE id = %s", done)
    bus.query("UPDATE video_history SET created_at = now() - interval '2 days' WHERE id = %s", old)
    bus.start_producer(**FAST, REELBUS_COLUMN_PROVIDER="engine", REELBUS_COLUMN_PROVIDER_VIDEO_ID="job")
    bus.start_consumer()
    bus.assert_stored(wanted, provider_videos[wanted])
    assert "ev=poll_adopted videos=1" in bus.producer.log
    assert [row["id"] for row in bus.query("SELECT video_id::text AS id FROM reelbus.video")] == [wanted]
    assert without not in provider_videos


def test_a_column_that_is_not_there_is_told_once_and_stops_nothing(bus):
    configure(bus, here=api(bus, "replicate"))
    bus.start_producer(**FAST, REELBUS_COLUMN_PROVIDER="engine", REELBUS_COLUMN_PROVIDER_VIDEO_ID="job")
    bus.start_consumer()
    wait_for(lambda: "ev=poll_unadopted" in bus.producer.log, "it is told")
    _, control = wait_video(bus, "here", answers=[{"status": "starting"}])
    wait_for(lambda: polls(bus, control) >= 8, "others are asked for")
    assert bus.producer.log.count("ev=poll_unadopted") == bus.producer.log.count("ev=poll_runs") == 1
    assert "ev=poll_paused" not in bus.producer.log


def test_an_end_that_no_consumer_takes_is_published_again_with_a_fresh_url(bus):
    configure(bus, here=api(bus, "replicate"))
    bus.start_producer(**FAST, REELBUS_POLL_ANNOUNCE_MS="1s")
    video_id, provider_video = wait_video(bus, "here")
    wait_for(lambda: len(results(bus, video_id)) >= 2, "it is published again")
    published = results(bus, video_id)
    assert {event["status"] for event in published} == {"completed"}
    assert len({event["event_id"] for event in published}) == len(published)
    bus.start_consumer()
    bus.assert_stored(video_id, provider_video)
    wait_for(lambda: nobody_is_asked(bus), "a last question has ended")
    count = len(results(bus, video_id))
    other, _ = wait_video(bus, "here")
    wait_for(lambda: len(results(bus, other)) >= 1, "others go on")
    assert len(results(bus, video_id)) == count


# -- providers are spared --------------------------------------------------------------------------------------------


def test_two_producers_ask_for_each_of_a_thousand_videos_once_in_an_interval(bus):
    configure(bus, here=api(bus, requests_max=16))
    first, second = bus.start_producer(**RARE), bus.start_producer(**RARE)
    videos = {bus.ask_for_video(number, call_back=False, generate_s=86400, answers=[{"slow_s": 0.05}]): number for number in range(1000)}
    with bus.connect() as connection:
        connection.execute("INSERT INTO video_history (user_id, prompt) SELECT %s, 'one of many' FROM generate_series(1, 1000)", (bus.user,))
        connection.execute("INSERT INTO reelbus.video (video_id, state, provider, provider_video_id)"
                           " SELECT h.id, 'waiting', 'here', p.id FROM (SELECT id, row_number() OVER () AS n FROM video_history) h"
                           " JOIN unnest(%s::text[]) WITH ORDINALITY AS p (id, n) ON p.n = h.n", (list(videos),))  # fmt: skip

    def counts():
        counts = bus.provider("GET", "/polls").json()
        return [counts[provider_video] for provider_video in videos]

    for times in (1, 2):
        if times > 1:
            bus.query("UPDATE reelbus.video SET next_poll_at = now()")
        wait_for(lambda: min(counts()) == times, f"all are asked for {times} times", 240)
        wait_for(lambda: nobody_is_asked(bus), "all are given back")
        assert set(counts()) == {times}
    asked = [program.metric("reelbus_polls_total", kind="openai", result="pending") for program in (first, second)]
    assert sum(asked) == 2000 and min(asked) > 0
    events = bus.events("video.poll.result")
    assert len(events) == len({event["video_id"] for event in events}) == 1000  # nothing has changed the second time


def test_a_video_that_is_being_asked_for_is_not_asked_for_again_meanwhile(bus):
    configure(bus, here=api(bus, requests_max=2, timeout="120s"))
    for _ in range(2):
        bus.start_producer(**FAST)
    _, quick = wait_video(bus, "here", answers=[{"status": "in_progress"}])
    wait_for(lambda: polls(bus, quick) >= 2, "the window is open")
    _, slow = wait_video(bus, "here", answers=[{"slow_s": 100}])
    wait_for(lambda: polls(bus, slow) == 1, "the slow one is asked for")
    before = polls(bus, quick)
    wait_for(lambda: polls(bus, quick) >= before + 10, "the quick one is, again and again")
    assert polls(bus, slow) == 1


def test_only_what_has_changed_is_published(bus):
    configure(bus, here=api(bus, "openai"))
    bus.start_producer(**FAST)
    script = [("queued", 0), ("queued", 0), ("in_progress", 3), ("in_progress", 7), ("in_progress", 15), ("in_progress", 20),
              ("in_progress", 12), ("in_progress", 25), ("in_progress", 25)]  # fmt: skip
    answers = [{"status": status, "progress": progress} for status, progress in script]
    video_id, provider_video = wait_video(bus, "here", answers=[*answers, {"url": "http://127.0.0.1:1/video.mp4"}])
    wait_for(lambda: [event for event in results(bus, video_id) if event["status"] == "completed"], "it is completed")
    wait_for(lambda: nobody_is_asked(bus), "and it is in the row")
    told = [(event["status"], event["progress"]) for event in results(bus, video_id)]
    assert told == [("queued", 0), ("in_progress", 3), ("in_progress", 15), ("in_progress", 25), ("completed", 100)]
    assert polls(bus, provider_video) == len(script) + 1
    row = bus.video_row(video_id)
    assert (row["provider_status"], row["progress"], row["polls"], row["state"]) == ("completed", 100, len(script) + 1, "waiting")
    (record,) = [record for record in bus.records("video.poll.result") if record.key().decode() == video_id][-1:]
    headers = {name: value.decode() for name, value in record.headers()}
    assert headers["ce_type"] == "video.poll.result" and headers["ce_subject"] == video_id and "traceparent" in headers
    assert bus.producer.metric("reelbus_poll_results_total", status="in_progress") == 3


def test_a_provider_that_is_busy_is_left_alone_and_the_others_are_not(bus):
    configure(bus, busy=api(bus), well=api(bus))
    bus.start_producer(**FAST)
    busy = [wait_video(bus, "busy", answers=[{"http": 429, "retry_after": 3600}])[1] for _ in range(3)]
    wait_for(lambda: "ev=poll_slowed" in bus.producer.log, "it is left alone")
    _, well = wait_video(bus, "well", answers=[{"status": "in_progress"}])
    wait_for(lambda: polls(bus, well) >= 8, "the other is asked")
    assert sum(polls(bus, video) for video in busy) == 1  # one is asked first, to find out
    retry_ms = int(re.search(r"ev=poll_slowed.* provider=busy retry_ms=(\d+)", bus.producer.log)[1])
    assert 3500_000 < retry_ms <= 4320_000
    assert bus.producer.metric("reelbus_poll_slowed_providers") == 1
    assert bus.producer.metric("reelbus_polls_total", kind="openai", result="busy") == 1


def test_an_answer_that_comes_while_the_provider_is_left_alone_hastens_nothing(bus):
    """Two are asked for at once. One is told to wait a minute; the other is well, and has its next turn as always."""
    configure(bus, here=api(bus, requests_max=2))
    bus.start_producer(**RARE)
    wait_video(bus, "here", answers=[{"status": "queued"}])
    wait_for(lambda: bus.producer.metric("reelbus_polls_total", kind="openai", result="pending") == 1, "the window is open")
    pair = [bus.insert_video() for _ in range(2)]
    slow = bus.ask_for_video(pair[0], call_back=False, answers=[{"slow_s": 5, "status": "in_progress"}])
    busy = bus.ask_for_video(pair[1], call_back=False, answers=[{"http": 429, "retry_after": 60}])
    bus.query("SELECT reelbus.expect_video(v, 'here', p) FROM unnest(%s::uuid[], %s::text[]) AS u (v, p)", pair, [slow, busy])
    wait_for(lambda: bus.video_row(pair[0])["provider_status"] == "in_progress", "the slow one has answered")
    wait_for(lambda: "ev=poll_slowed" in bus.producer.log, "the other is told to wait")
    wait_for(lambda: nobody_is_asked(bus), "both answers are in the rows")
    rows = bus.query("SELECT provider_video_id AS id, next_poll_at > now() + interval '5 min' AS later FROM reelbus.video")
    assert {row["id"]: row["later"] for row in rows if row["id"] in (slow, busy)} == {slow: True, busy: False}
    assert "ev=poll_well" not in bus.producer.log and bus.producer.metric("reelbus_poll_slowed_providers") == 1


@pytest.mark.parametrize("trouble, result", [
    ({"http": 429, "retry_after": 1}, "busy"), ({"http": 503}, "busy"), ({"slow_s": 8}, "away"), ({"http": 401}, "denied"),
    ({"http": 429, "retry_after": "Thu, 01 Jan 2099 00:00:00 GMT"}, "busy"),
])  # fmt: skip
def test_a_provider_that_is_well_again_is_asked_again(bus, trouble, result):
    configure(bus, here=api(bus, "replicate", timeout="2s" if "slow_s" in trouble else "20s"))
    bus.start_producer(**FAST)
    video_id, provider_video = wait_video(bus, "here", answers=[trouble, trouble, {}])
    if isinstance(trouble.get("retry_after"), str):  # a date: an hour at most, and that is long enough to see
        wait_for(lambda: re.search(r"ev=poll_slowed.* retry_ms=(3[56]\d{5}|[34]\d{6})", bus.producer.log), "the date is understood")
        return
    bus.start_consumer()
    bus.assert_stored(video_id, provider_video)
    assert polls(bus, provider_video) == 3
    assert "ev=poll_well provider=here" in bus.producer.log
    assert bus.producer.metric("reelbus_polls_total", kind="replicate", result=result) == 2
    assert bus.producer.metric("reelbus_poll_slowed_providers") == 0


@pytest.mark.parametrize("answer", [
    {"body": "<html>"}, {"body": ""}, {"body": "[" * 5000}, {"body": "x", "body_times": 2 << 20}, {"http": 400}, {"http": 302}, {"status": 7},
])  # fmt: skip
def test_an_answer_that_cannot_be_understood_is_asked_for_again(bus, answer):
    configure(bus, here=api(bus))
    bus.start_producer(**FAST)
    video_id, provider_video = wait_video(bus, "here", answers=[answer, answer, {"status": "in_progress"}])
    wait_for(lambda: results(bus, video_id), "it is asked for again")
    assert "ev=poll_odd" in bus.producer.log and "ev=poll_slowed" not in bus.producer.log
    assert bus.producer.metric("reelbus_polls_total", kind="openai", result="odd") == 2


def test_while_webhooks_come_polling_is_thin(bus):
    configure(bus, calls=api(bus), silent=api(bus))
    bus.start_producer(REELBUS_POLL_INTERVAL_MS="200ms", REELBUS_POLL_GRACE_MS="1h")
    bus.start_consumer()
    called = bus.insert_video()
    provider_video = bus.ask_for_video(called, call_back=False, answers=[{"status": "queued"}])
    expect(bus, called, "calls", provider_video)
    bus.webhook({"videoId": called, "videoUrl": bus.producer.url("/nothing"), "status": "completed"})
    wait_for(lambda: bus.query("SELECT 1 FROM reelbus.provider WHERE provider = 'calls'"), "the webhook is written down")
    assert bus.video_row(called)["webhook_at"] is not None
    _, waiting = wait_video(bus, "calls", answers=[{"status": "queued"}])
    _, control = wait_video(bus, "silent", answers=[{"status": "queued"}])
    wait_for(lambda: polls(bus, control) >= 8, "the one that does not call is asked")
    assert polls(bus, waiting) == 0
    bus.query("UPDATE reelbus.provider SET webhook_seen_at = now() - interval '11 minutes'")
    wait_for(lambda: polls(bus, waiting) >= 3, "webhooks have stopped, so it is asked")


@pytest.mark.parametrize("late", [False, True])
def test_missed_webhooks_are_counted_and_races_are_not(bus, late, tmp_path):
    configure(bus, here=api(bus, "replicate"))
    bus.start_producer(**FAST, REELBUS_POLL_GRACE_MS="15s")
    before = alerts.seen(bus.producer)
    if late:  # so late that it is stored: the webhook is answered, and nothing comes of it
        bus.start_consumer()
    raced, raced_video = wait_video(bus, "here")
    wait_for(lambda: results(bus, raced), "polling has it")
    if late:
        bus.assert_stored(raced, raced_video)
    url = results(bus, raced)[0]["video_url"]
    assert bus.webhook({"videoId": raced, "videoUrl": url, "status": "completed"}).status_code == 200
    wait_for(lambda: bus.query("SELECT 1 FROM reelbus.video WHERE webhook_at < now() - interval '3 s'"), "the other is well behind")
    missed, missed_video = wait_video(bus, "here")
    wait_for(lambda: bus.producer.metric("reelbus_webhook_missed_total") >= 1, "one is missed")
    assert bus.producer.metric("reelbus_webhook_missed_total") == 1
    if not late and alerts.PROMTOOL.exists():
        fired = alerts.firing(tmp_path, before, alerts.seen(bus.producer))
        assert fired == {"ReelbusWebhooksMissed", "ReelbusNobodyReads"}  # no consumer runs yet
    assert bus.producer.metric("reelbus_completions_total", by="webhook") == (0 if late else 1)
    assert bus.producer.metric("reelbus_completions_total", by="poll") == 2
    assert bus.producer.metric("reelbus_completion_lag_seconds_count", by="poll") == 2
    if not late:
        bus.start_consumer()
    bus.assert_stored(raced, raced_video)
    bus.assert_stored(missed, missed_video)


# -- what ends a video -----------------------------------------------------------------------------------------------


def test_a_provider_may_have_an_interval_and_a_deadline_of_its_own(bus):
    configure(bus, quick=api(bus, poll_interval="100ms"), short=api(bus, poll_interval="100ms", poll_deadline="1s"),
              slow=api(bus, poll_interval="1h", poll_deadline="30d"))  # fmt: skip
    bus.start_producer(REELBUS_POLL_INTERVAL_MS="10m", REELBUS_POLL_WEBHOOK_TRUST_MS="0", REELBUS_POLL_DEADLINE_MS="10m")
    bus.start_consumer()
    _, slow_video = wait_video(bus, "slow", generate_s=86400)
    quick, quick_video = wait_video(bus, "quick", generate_s=86400)
    short, _ = wait_video(bus, "short", generate_s=86400)
    ended(bus, short, "generation_timeout", "no result within 1s")
    wait_for(lambda: polls(bus, quick_video) > 5, "it is asked again and again")
    assert bus.video_row(quick)["state"] == "waiting"
    wait_for(lambda: polls(bus, slow_video) > 0, "the other is asked as well")
    bus.query("UPDATE reelbus.video SET waiting_since = now() - interval '1 day', next_poll_at = now() WHERE provider = 'slow'")
    wait_for(lambda: polls(bus, slow_video) == 2, "it is asked once more, an hour ahead")
    rows = bus.query("SELECT state, next_poll_at > now() + interval '40 min' AS late FROM reelbus.video WHERE provider = 'slow'")
    assert rows == [{"state": "waiting", "late": True}]


def test_a_video_past_its_deadline_has_failed_and_says_why(bus):
    configure(bus, here=api(bus))
    bus.start_producer(**FAST, REELBUS_POLL_DEADLINE_MS="2s")
    bus.start_consumer()
    video_id, _ = wait_video(bus, "here", answers=[{"status": "in_progress"}])
    ended(bus, video_id, "generation_timeout", "no result within 2s; the provider still says 'in_progress'")
    assert bus.producer.metric("reelbus_completions_total", by="poll") == 0  # no webhook was missed: there was no end


def test_a_finished_video_is_stored_however_late_it_is_found(bus):
    configure(bus, here=api(bus, "replicate"))
    video_id, provider_video = wait_video(bus, "here")
    bus.query("UPDATE reelbus.video SET waiting_since = now() - interval '30 days'")
    bus.start_producer(**FAST)
    bus.start_consumer()
    bus.assert_stored(video_id, provider_video)


def test_a_video_that_the_provider_does_not_know_has_failed_after_a_while(bus):
    configure(bus, here=api(bus))
    bus.start_producer(**FAST, REELBUS_POLL_MISSING_MS="2s")
    bus.start_consumer()
    video_id = bus.insert_video()
    expect(bus, video_id, "here", "video_nobody_knows")
    ended(bus, video_id, "provider_lacks_video", "the provider does not know the video, for 2s now")
    (event,) = results(bus, video_id)
    assert event["polled_at"] - bus.video_row(video_id)["waiting_since"] >= datetime.timedelta(seconds=2)
    assert "ev=poll_odd" in bus.producer.log  # the first answer was noticed, and nothing more
    bad = bus.insert_video()
    expect(bus, bad, "here", "..")
    ended(bus, bad, "bad_provider_video_id", "")


def test_a_video_that_is_expected_again_begins_anew(bus):
    configure(bus, here=api(bus, "replicate"))
    bus.start_producer(**FAST)
    bus.start_consumer()
    video_id, _ = wait_video(bus, "here", outcome="failed")
    wait_for(lambda: bus.video_row(video_id)["state"] == "failed", "the first try has failed")
    provider_video = bus.ask_for_video(video_id, call_back=False)
    expect(bus, video_id, "here", provider_video)
    event, _ = bus.assert_stored(video_id, provider_video)
    assert event["attempt"] == 2
    wait_for(lambda: nobody_is_asked(bus), "the end is written down")
    assert bus.video_row(video_id)["poll_announced"] == 1


# -- modes and outages -----------------------------------------------------------------------------------------------


def test_with_polling_alone_no_webhook_is_taken_and_no_secret_is_needed(bus):
    configure(bus, here=api(bus, "replicate"))
    bus.start_producer(**FAST, REELBUS_POLL="only", VIDEO_WEBHOOK_SECRET="")
    bus.start_consumer()
    video_id, provider_video = wait_video(bus, "here")
    assert bus.webhook({"videoId": video_id, "status": "failed"}).status_code == 404
    bus.assert_stored(video_id, provider_video)
    assert bus.producer.metric("reelbus_webhook_missed_total") == 0


def test_with_webhooks_alone_nobody_is_asked(bus):
    configure(bus, here=api(bus))
    bus.start_producer(**FAST, REELBUS_POLL="off")
    bus.start_consumer()
    _, provider_video = wait_video(bus, "here")
    called, called_video = bus.store_video()
    bus.assert_stored(called, called_video)
    assert polls(bus, provider_video) == 0 and "ev=poll" not in bus.producer.log


def test_providers_come_and_go_while_it_runs(bus):
    configure(bus)
    bus.start_producer(**FAST)
    _, first = wait_video(bus, "one", answers=[{"status": "queued"}])
    configure(bus, one=api(bus))
    bus.producer.process.send(signal.SIGHUP)
    wait_for(lambda: polls(bus, first) >= 2, "the new one is asked")
    _, second = wait_video(bus, "other", answers=[{"status": "queued"}])
    configure(bus, other=api(bus))
    bus.producer.process.send(signal.SIGHUP)
    wait_for(lambda: polls(bus, second) >= 2, "the other one is asked")
    before, others = polls(bus, first), polls(bus, second)
    wait_for(lambda: polls(bus, second) >= others + 5, "and again")
    assert polls(bus, first) == before


def test_a_provider_may_go_while_kafka_is_about_to_have_its_answer(bus, stopped_kafka):
    stop, start = stopped_kafka
    configure(bus, here=api(bus))
    bus.start_producer(**FAST)
    video_id, provider_video = wait_video(bus, "here", answers=[{"status": "queued"}, {"slow_s": 3, "status": "in_progress"}])
    wait_for(lambda: polls(bus, provider_video) == 2, "it is asked for again")
    stop(signal.SIGSTOP)
    wait_for(lambda: bus.producer.metric("reelbus_polls_total", kind="openai", result="pending") >= 2, "the answer is there")
    configure(bus, other=api(bus))
    bus.producer.process.send(signal.SIGHUP)
    wait_for(lambda: bus.producer.log.count("ev=providers_read") == 2, "the provider is gone")
    start()
    wait_for(lambda: bus.producer.metric("reelbus_polls_in_flight") == 0, "the question has ended")
    _, other = wait_video(bus, "other", answers=[{"status": "queued"}])
    wait_for(lambda: polls(bus, other) >= 2, "others are asked")


@pytest.mark.parametrize("options, words", [
    ({"REELBUS_POLL": "some"}, "expected auto, off or only"),
    ({"REELBUS_POLL": "only"}, "no provider with an API"),
    ({"REELBUS_COLUMN_PROVIDER": "engine", "REELBUS_PROVIDERS": "here"}, "need each other"),
])  # fmt: skip
def test_options_that_cannot_work_stop_the_start(bus, options, words):
    if options.get("REELBUS_PROVIDERS"):
        configure(bus, here=api(bus))
        options = {name: value for name, value in options.items() if name != "REELBUS_PROVIDERS"}
    done = bus.run("reelbus-producer", "--listen", "127.0.0.1:0", env={"VIDEO_WEBHOOK_SECRET": "x", **options})
    assert done.returncode == 2 and words in done.stderr


def test_without_kafka_nobody_is_asked_and_nothing_is_lost(bus, stopped_kafka):
    stop, start = stopped_kafka
    configure(bus, here=api(bus, "replicate"))
    bus.start_producer(**FAST)
    wait_for(lambda: "ev=poll_runs" in bus.producer.log, "it polls")
    stop()
    wait_for(lambda: "ev=poll_paused" in bus.producer.log, "it notices")
    video_id, provider_video = wait_video(bus, "here")
    assert polls(bus, provider_video) == 0
    start()
    bus.start_consumer()
    bus.assert_stored(video_id, provider_video)


def test_without_the_database_polling_waits_and_goes_on(bus, postgres):
    configure(bus, here=api(bus, "replicate", timeout="5s"))
    bus.start_producer(**FAST, REELBUS_PUBLISH_TIMEOUT_MS="5s")  # a lease that the outage leaves behind is as long as both
    bus.start_consumer()
    video_id, provider_video = wait_video(bus, "here", answers=[{"status": "starting"}] * 3 + [{}])
    wait_for(lambda: polls(bus, provider_video) >= 1, "it polls")
    postgres.processes["postgres"].stop(signal.SIGINT)  # fast, as an operator does it
    wait_for(lambda: "ev=poll_paused" in bus.producer.log, "it notices")
    postgres.start_postgres()
    bus.assert_stored(video_id, provider_video)


def test_no_key_is_logged_or_published(bus):
    configure(bus, here=api(bus, key=CANARY), there=api(bus, "generic", key=CANARY))
    bus.start_producer(**FAST, REELBUS_LOG_LEVEL="debug")
    _, one = wait_video(bus, "here")
    _, other = wait_video(bus, "there")
    wait_for(lambda: bus.producer.log.count("ev=poll_slowed") >= 2, "both are denied")
    assert "code=provider_denied" in bus.producer.log and CANARY not in bus.producer.log
    assert CANARY not in bus.producer.get("/metrics").text
    assert polls(bus, one) == polls(bus, other) == 0  # the provider does not count those
