"""Trying again: in place and later, before the URL dies, with a fresh one, fairly, and not at all while the store is shut."""

import concurrent.futures
import datetime
import json
import signal
import threading
import time
import uuid

import confluent_kafka
import pytest
import s3
from harness import alike, encode, wait_for
from sources import with_provider

TOPIC = "video.store.retry"
LATER = {"REELBUS_RETRY_IN_PLACE_MS": "0"}
NOT_AGAIN = {"REELBUS_RETRY_FIRST_MS": "1h", "REELBUS_RETRY_MAX_MS": "1h"}  # but for the last try


def wait_for_retries(bus, video_id, count=1):
    """The records on the topic of retries about a video, in their order, once there are so many."""
    return wait_for(lambda: (lambda found: found if len(found) >= count else None)(
        sorted(bus.events(TOPIC, video_id), key=lambda event: (event["tries"], event["renewals"] or 0))), "it was put off")  # fmt: skip


def limits(seconds):
    return (429, b"slowly", {"Retry-After": str(seconds)})


# -- each class of error ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", alike([500, 502, 503, 408]))
def test_a_source_that_stumbles_is_tried_again_in_place(bus, source, status):
    bus.start_producer()
    bus.start_consumer()
    source.answers["v"] = [status, status, 200]
    event = bus.wait_for_event("video.stored", bus.send(source.url("v")))
    assert event["tries"] == 3 and source.paths() == ["v"] * 3 and bus.events(TOPIC) == []
    assert bus.consumer.metric("reelbus_retries_total", why="error") == 2


def test_a_source_that_keeps_stumbling_is_put_off(bus, source):
    bus.start_producer()
    bus.start_consumer(**LATER)
    source.answers["v"] = [500, 500, 500, 200]
    video_id = bus.send(source.url("v"))
    event = bus.wait_for_event("video.stored", video_id)
    assert event["tries"] == 4
    assert [retry["tries"] for retry in wait_for_retries(bus, video_id, 3)] == [1, 2, 3]
    assert bus.consumer.metric("reelbus_retries_total", why="later") == 3
    bus.wait_until_finished()


@pytest.mark.parametrize("answer, code", alike([(limits(1), "source_limits"), (204, "source_answer"), (403, "source_denied"),
                                          ((200, b"<p>Sorry", {"Content-Type": "text/html"}), "source_page")]))  # fmt: skip
def test_what_asks_for_a_rest_is_put_off_and_the_record_says_all_that_is_needed(bus, source, answer, code):
    bus.start_producer()
    bus.start_consumer()
    source.answers["v"] = [answer, 200]
    url = source.url("v?X-Amz-Date=20261122T183000Z&X-Amz-Expires=604800")
    video_id = bus.send(url)
    stored = bus.wait_for_event("video.stored", video_id)
    (received,) = bus.records("video.webhook.received")
    (record,) = bus.records(TOPIC)
    retry, headers = bus.decode(TOPIC, record), dict(record.headers())
    first = bus.decode("video.webhook.received", received)
    assert record.key().decode() == retry["video_id"] == video_id and retry["user_id"] == bus.user
    assert record.partition() == received.partition()
    assert (retry["origin_topic"], retry["origin_partition"], retry["origin_offset"]) == (
        received.topic(), received.partition(), received.offset())  # fmt: skip
    assert (retry["status"], retry["video_url"], retry["last_code"], retry["tries"]) == ("completed", url, code, 1)
    assert retry["last_message"] and retry["url_since"] is None and retry["renewals"] is None
    assert retry["received_at"] == first["received_at"] <= retry["first_try_at"] < retry["not_before"]
    assert headers["ce_type"] == TOPIC.encode() and headers["ce_id"].decode() == retry["event_id"]
    assert headers["traceparent"][3:35] == dict(received.headers())["traceparent"][3:35]
    # what comes of it speaks of the first record, and of all tries
    assert (stored["source_topic"], stored["source_offset"]) == (received.topic(), received.offset())
    assert stored["tries"] == 2 and stored["received_at"] == first["received_at"]
    assert source.times("v")[1] * 1000 >= int(retry["not_before"].timestamp() * 1000)
    row = bus.video_row(video_id)
    assert row["owner_topic"] == record.topic() and row["expires_at"].isoformat() == "2026-11-29T18:30:00+00:00"
    bus.wait_until_finished()


@pytest.mark.parametrize("answer, code", alike([(404, "source_gone"), (410, "source_gone"), ((200, b"GIF89a\x40\1" + b"x" * 38, {}), "not_a_video")]))
def test_what_is_refused_for_good_is_not_tried_again(bus, source, answer, code):
    bus.start_producer()
    bus.start_consumer()
    source.answers["v"] = [answer]
    url = source.url("v")
    video_id = bus.send(url)
    event, row = bus.assert_not_stored(video_id, code, "content" if code == "not_a_video" else "source")
    assert event["tries"] == 1 and event["source_url"] == url and event["message"]
    assert event["first_try_at"] == event["last_try_at"] <= event["failed_at"]
    assert row["video_url"] == url and bus.events(TOPIC) == []


def put_off_for_an_hour(bus, source):
    """A video that its source has refused for the time being; gives its retry, too."""
    bus.start_producer()
    bus.start_consumer()
    source.answers["v"] = [limits(3600), 200]
    video_id = bus.send(source.url("v"))
    (retry,) = wait_for_retries(bus, video_id)
    return video_id, retry


def test_the_frontend_reads_why_it_takes_longer_and_when_it_goes_on(bus, source):
    video_id, retry = put_off_for_an_hour(bus, source)

    def resting():
        view = bus.producer.get("/api/video/status", params={"videoId": video_id}).json()
        return view if view["nextTryAt"] else None

    view = wait_for(resting, "the row says when")
    when = retry["not_before"].isoformat(timespec="milliseconds")
    why = "the source answered 429: it asks us to come more slowly"
    assert view["message"] == f"Not stored yet: {why}. Trying again at {view['nextTryAt'][11:19]} UTC."
    assert view["storage"] == "processing" and view["error"]["code"] == "source_limits" and view["tries"] == 1
    assert view["nextTryAt"][:16] == when[:16]
    wait_for(lambda: bus.consumer.metric("reelbus_delayed") == 1, "it is kept until then")


# -- not before, and not lost ----------------------------------------------------------------------------------------


def test_a_record_of_somebody_whose_clock_is_ahead_waits_as_long_as_was_meant(bus, source):
    video_id, retry = put_off_for_an_hour(bus, source)
    written_at = retry["not_before"]  # by a clock that shows an hour more
    value = encode("video_store_retry", **{**retry, "not_before": written_at + datetime.timedelta(seconds=1)})
    bus.produce(TOPIC, value, video_id, timestamp=written_at.timestamp())
    event = bus.wait_for_event("video.stored", video_id)
    assert event["tries"] == 2 and source.times("v")[1] < written_at.timestamp()


def test_nobody_is_asked_before_the_time_and_the_group_is_not_left_meanwhile(bus, source):
    bus.start_producer()
    bus.start_consumer(REELBUS_KAFKA="statistics.interval.ms=100\nsession.timeout.ms=10000\nmax.poll.interval.ms=10000")
    source.answers.update(late=[limits(12), 200], soon=[limits(1), 200])
    late, soon = bus.send(source.url("late")), bus.send(source.url("soon"))
    for video_id, path in ((late, "late"), (soon, "soon")):
        bus.wait_for_event("video.stored", video_id)
        (retry,) = bus.events(TOPIC, video_id)
        assert source.times(path)[1] * 1000 >= int(retry["not_before"].timestamp() * 1000)
    assert sorted(source.paths()[:2]) == ["late", "soon"] and source.paths()[2:] == ["soon", "late"]
    assert "ev=partitions_lost" not in bus.consumer.log


def test_a_retry_survives_the_death_of_whoever_wrote_it(bus, source):
    bus.start_producer()
    bus.start_consumer()
    source.answers["v"] = [limits(2), 200]
    video_id = bus.send(source.url("v"))
    wait_for_retries(bus, video_id)
    bus.consumer.kill()
    bus.start_consumer()
    bus.wait_for_event("video.stored", video_id)
    bus.wait_until_finished()
    assert bus.wait_for_event("video.stored", video_id)["tries"] >= 2
    assert bus.video_row(video_id)["state"] == "stored"


def test_records_that_come_again_begin_no_second_row_of_tries(bus, source):
    """The record, a copy of it, and all that was read before, read again by somebody else."""
    bus.start_producer()
    bus.start_consumer()
    source.answers["v"] = [limits(2), limits(3600), 200]
    video_id = bus.send(source.url("v"))
    wait_for_retries(bus, video_id, 2)
    wait_for(lambda: bus.video_row(video_id)["put_off"] == 2, "the row knows of it")
    bus.send_again(*bus.records("video.webhook.received"))
    wait_for(lambda: bus.consumer.log.count("because=put_off_by_a_newer_record") == 1, "the copy is silent")
    bus.consumer.stop()
    bus.start_consumer(REELBUS_GROUP=f"{bus.number}-again")
    wait_for(lambda: bus.consumer.log.count("because=put_off_by_a_newer_record") == 3, "the old ones are silent")
    wait_for(lambda: bus.consumer.metric("reelbus_delayed") == 1, "the newest one waits")
    assert source.paths() == ["v", "v"] and len(bus.events(TOPIC)) == 2
    # another URL is something new, and does not wait for the old one
    assert bus.webhook({"videoId": video_id, "videoUrl": source.url("new"), "status": "completed"}).status_code == 200
    assert bus.wait_for_event("video.stored", video_id)["source_url"] == source.url("new")
    assert source.paths() == ["v", "v", "new"]


def test_a_retry_is_handed_over_to_whoever_has_the_partition_next(bus, source):
    bus.start_producer()
    first = bus.start_consumer(REELBUS_GROUP_INSTANCE_ID="")
    source.answers["v"] = [limits(4), 200]
    video_id = bus.send(source.url("v"))
    wait_for_retries(bus, video_id)
    second = bus.start_consumer(REELBUS_GROUP_INSTANCE_ID="")
    first.stop()
    assert bus.wait_for_event("video.stored", video_id)["tries"] == 2
    bus.wait_until_finished()
    assert second.process.alive() and len(bus.events("video.stored", video_id)) == 1


def test_more_retries_than_are_kept_in_memory_all_have_their_turn(bus, source):
    bus.start_producer()
    bus.start_consumer(REELBUS_DELAYED_MAX="1", REELBUS_RECORDS_MAX="4")
    videos = []
    for number in range(12):
        source.answers[f"v{number}"] = [limits(1), 200]
        videos.append(bus.send(source.url(f"v{number}")))
    for video_id in videos:
        assert bus.wait_for_event("video.stored", video_id)["tries"] == 2
    bus.wait_until_finished()


def test_poison_on_the_topic_of_retries_is_set_aside_too(bus, source):
    bus.start_producer()
    bus.start_consumer()
    producer = confluent_kafka.Producer({"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"]})
    producer.produce(bus.prefix + TOPIC, b"no retry", b"the key", partition=0)
    assert producer.flush(30) == 0
    (letter,) = wait_for(lambda: bus.records("video.store.dlq"), "it is set aside")
    headers = dict(letter.headers())
    assert (letter.value(), letter.key()) == (b"no retry", b"the key")
    assert headers["__connect.errors.topic"].decode() == bus.prefix + TOPIC and headers["__connect.errors.offset"] == b"0"
    assert headers["reelbus.error.code"] in (b"unknown_schema", b"bad_event")
    bus.wait_for_event("video.stored", bus.send(source.url("v")))
    bus.wait_until_finished()


# -- the clock that matters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_place", ["1h", "0"])
def test_a_last_try_is_kept_for_just_before_the_url_expires(bus, source, in_place):
    """By its pauses alone the second try would come an hour later."""
    bus.start_producer()
    bus.start_consumer(REELBUS_RETRY_IN_PLACE_MS=in_place, **NOT_AGAIN)
    source.answers["v"] = [503]
    url = source.url(f"v?Expires={int(time.time()) + 13}")
    video_id = bus.send(url)
    event, row = bus.assert_not_stored(video_id, "expired", "source")
    (received,) = bus.events("video.webhook.received")
    expires_ms, since_ms = (int(moment.timestamp() * 1000) for moment in (row["expires_at"], received["received_at"]))
    assert int(event["last_try_at"].timestamp() * 1000) >= expires_ms - (expires_ms - since_ms) // 10
    assert event["tries"] == len(source.paths()) == 2 and event["first_try_at"] < event["last_try_at"]
    assert "the source answered 503" in event["message"] and event["source_url"] == row["video_url"] == url
    assert len(bus.events(TOPIC, video_id)) == (1 if in_place == "0" else 0)
    view = bus.producer.get("/api/video/status", params={"videoId": video_id}).json()
    assert view["message"].endswith("The original URL is kept, but opens no more.") and view["originalUrl"] == url


def test_what_expires_first_is_fetched_first(bus, source):
    bus.start_producer()
    bus.start_consumer(REELBUS_TRANSFERS_MAX="1")
    source.shut()
    bus.send(source.url("busy"))
    wait_for(lambda: source.paths() == ["busy"], "the only transfer is taken")
    now = int(time.time())
    for path, seconds in (("third", 5000), ("first", 3000), ("fourth", 6000), ("second", 4000)):
        bus.send(source.url(path), expires_at=now + seconds)
    wait_for(lambda: bus.consumer.metric("reelbus_jobs") == 5, "all are in line")
    wait_for(lambda: bus.consumer.log.count("ev=job_claimed") == 5, "and know when they expire")
    source.open()
    wait_for(lambda: len(bus.events("video.stored")) == 5, "all are stored")
    assert source.paths() == ["busy", "first", "second", "third", "fourth"]


def insert_videos(bus, user, count):
    rows = bus.query("INSERT INTO video_history (user_id, prompt) SELECT %s, 'many' FROM generate_series(1, %s)"
                     " RETURNING id::text", user, count)  # fmt: skip
    return [row["id"] for row in rows]


@pytest.mark.release_only
def test_a_thousand_videos_of_one_user_do_not_hold_up_the_one_of_another(bus, source):
    bus.start_producer()
    bus.start_consumer(REELBUS_TRANSFERS_MAX="4", REELBUS_HOST_TRANSFERS_MAX="4")
    source.shut()
    many, (one,) = insert_videos(bus, bus.user, 1000), insert_videos(bus, str(uuid.uuid4()), 1)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda video_id: bus.send(source.url("many"), video_id=video_id), many))
    wait_for(lambda: bus.consumer.log.count("ev=job_claimed") == 1000, "all of them are in line")
    bus.send(source.url("one"), expires_at=int(time.time()) + 100_000, video_id=one)  # and it has the most time of all
    wait_for(lambda: bus.consumer.log.count("ev=job_claimed") == 1001, "so is the other")
    assert source.paths() == ["many"] * 4
    source.tickets.release()
    wait_for(lambda: len(source.paths()) == 5, "the next one gets in")
    assert source.paths()[4] == "one"
    source.open()
    bus.wait_for_event("video.stored", one)
    wait_for(lambda: bus.consumer.metric("reelbus_videos_total", outcome="stored") == 1001, "all are stored", 240)


def test_one_host_does_not_get_all_transfers(bus, source):
    bus.start_producer()
    bus.start_consumer(REELBUS_TRANSFERS_MAX="3", REELBUS_HOST_TRANSFERS_MAX="2")
    source.shut()
    for number in range(4):
        bus.send(source.url(f"slow{number}"))
    wait_for(lambda: bus.consumer.log.count("ev=job_claimed") == 4, "all are in line")
    bus.send(source.url("other", host="localhost"))
    wait_for(lambda: "other" in source.paths(), "the third transfer is for another host")
    assert len(source.paths()) == 3 and bus.consumer.metric("reelbus_transfers") == 3
    source.open()
    wait_for(lambda: len(bus.events("video.stored")) == 5, "all are stored")


# -- a fresh URL -------------------------------------------------------------------------------------------------------


def call_back(bus, url, until=None):
    """The provider says that a video of ours is ready."""
    video_id = bus.insert_video()
    bus.query("SELECT reelbus.expect_video(%s, 'ours', 'theirs')", video_id)
    answer = bus.webhook({"id": "theirs", "state": "done", "url": url, "until": until}, path="/webhooks/ours")
    assert answer.status_code == 200, answer.text
    return video_id


def says(state="done", url=None):
    return (200, json.dumps({"state": state, "url": url}).encode(), {"Content-Type": "application/json"})


def start_with_provider(bus, source, **options):
    with_provider(bus, source)
    bus.start_producer(REELBUS_POLL="off")
    return bus.start_consumer(**options)


@pytest.mark.parametrize("status", alike([401, 403, 404, 410]))
def test_a_url_that_opens_no_more_is_replaced_by_a_fresh_one_of_the_provider(bus, source, status):
    start_with_provider(bus, source)
    source.answers.update({"old": [status], "api/theirs": [says(url=source.url("fresh"))]})
    video_id = call_back(bus, source.url("old"))
    event = bus.wait_for_event("video.stored", video_id)
    row = bus.video_row(video_id)
    assert source.paths() == ["old", "api/theirs", "fresh"] and event["tries"] == 2
    assert [key for _, _, key in source.seen] == [None, "Bearer canary-provider-key", None]
    assert row["source_url"] == event["source_url"] == source.url("old")  # the original stays the backup
    assert bus.consumer.metric("reelbus_url_renewals_total", result="fresh") == 1
    assert bus.events(TOPIC) == []


def test_a_url_that_is_known_to_have_expired_is_not_even_tried(bus, source):
    start_with_provider(bus, source)
    source.answers["api/theirs"] = [says(url=source.url("fresh"))]
    video_id = call_back(bus, source.url("old"), until=int(time.time()) - 5)
    assert bus.wait_for_event("video.stored", video_id)["tries"] == 1
    assert source.paths() == ["api/theirs", "fresh"]


def test_a_provider_that_is_away_is_asked_again_later(bus, source):
    start_with_provider(bus, source)
    busy = (503, b"", {"Retry-After": "1"})
    source.answers.update({"old": [403], "api/theirs": [busy, 500, says(url=source.url("fresh"))]})
    video_id = call_back(bus, source.url("old"))
    event = bus.wait_for_event("video.stored", video_id)
    assert source.paths() == ["old", "api/theirs", "api/theirs", "api/theirs", "fresh"] and event["tries"] == 2
    first, second = wait_for_retries(bus, video_id, 2)
    assert first["video_url"] is second["video_url"] is None
    assert (first["last_code"], first["renewals"], second["renewals"]) == ("provider_busy", 1, 2)
    assert source.times("api/theirs")[1] * 1000 >= int(first["not_before"].timestamp() * 1000)
    assert bus.video_row(video_id)["source_url"] == source.url("old")


def test_a_fresh_url_that_fails_as_well_travels_in_the_record(bus, source):
    start_with_provider(bus, source)
    source.answers.update({"old": [403], "api/theirs": [says(url=source.url("fresh"))], "fresh": [limits(1), 200]})
    video_id = call_back(bus, source.url("old"))
    assert bus.wait_for_event("video.stored", video_id)["tries"] == 3
    (retry,) = wait_for_retries(bus, video_id)
    assert retry["video_url"] == source.url("fresh") and retry["url_since"] > retry["received_at"] and retry["renewals"] == 1
    assert source.paths() == ["old", "api/theirs", "fresh", "fresh"]


@pytest.mark.parametrize("answer", [404, says(state="broken"), "same"])
def test_a_provider_that_has_nothing_better_leaves_it_at_the_first_error(bus, source, answer):
    start_with_provider(bus, source)
    source.answers.update({"old": [410], "api/theirs": [says(url=source.url("old")) if answer == "same" else answer]})
    video_id = call_back(bus, source.url("old"))
    event, _ = bus.assert_not_stored(video_id, "source_gone", "source")
    assert event["message"] == "the source answered 410" and event["tries"] == 1
    assert source.paths() == ["old", "api/theirs"]


def test_fresh_urls_that_never_work_are_asked_for_less_and_less_and_not_for_ever(bus, source):
    start_with_provider(bus, source, REELBUS_RENEW_FOR_MS="4s", **LATER)
    source.answers.update({"old": [410], "api/theirs": [says(url=source.url(f"fresh{number}")) for number in range(500)]})
    for number in range(500):
        source.answers[f"fresh{number}"] = [410]
    video_id = call_back(bus, source.url("old"))
    event = bus.wait_for_event("video.store_failed", video_id)
    assert (event["code"], event["source_url"]) == ("source_gone", source.url("old"))
    asked = source.paths().count("api/theirs")
    assert event["tries"] - 2 <= asked < event["tries"] <= 100  # the first URL came by itself, and once more in the end
    assert len(bus.events(TOPIC, video_id)) in (asked, asked - 1)


# -- the store is shut -------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(s3_server):
    proxy = s3.Proxy(s3_server.port)
    proxy.server_client = s3_server.client
    yield proxy
    proxy.close()


def store_in_s3(bus, proxy, **more):
    bucket = f"videos-{bus.number}-{id(bus):x}"
    proxy.server_client.create_bucket(Bucket=bucket)
    bus.start_producer()
    return bus.start_consumer(**s3.options(proxy.port, bucket, **more))


@pytest.mark.parametrize("status, code", alike([(402, "store_full"), (401, "store_denied"), (403, "store_denied")]))
def test_one_circuit_opens_for_all_videos_and_one_probe_closes_it(bus, source, proxy, status, code):
    store_in_s3(bus, proxy, REELBUS_RECORDS_MAX="6")
    shut = threading.Event()
    shut.set()

    def refuse(method, path, query, headers):
        if method == "PUT" and shut.is_set():
            raise s3.Answer(status, s3.error_body("exceed_storage_size_quota" if status == 402 else "AccessDenied"))

    proxy.rules.append(refuse)
    videos = [bus.send(source.url(f"v{number}")) for number in range(10)]
    gauge = lambda: bus.consumer.metric("reelbus_store_circuit_open", code=code)  # noqa: E731
    wait_for(lambda: gauge() == 1, "somebody is alerted")
    wait_for(lambda: bus.consumer.metric("reelbus_store_circuit_probes_total") >= 3, "it is tried by probes")
    wait_for(lambda: bus.consumer.metric("reelbus_paused") == 1, "no more are taken")
    wait_for(lambda: bus.consumer.metric("reelbus_transfers") <= 1, "those that ran before are over")
    assert gauge() == 1
    assert bus.events("video.store_failed") == [] and bus.events("video.stored") == []
    shut.clear()
    for video_id in videos:
        bus.wait_for_event("video.stored", video_id)
    wait_for(lambda: gauge() == 0 and bus.consumer.metric("reelbus_paused") == 0, "the alert is over")
    log = bus.consumer.log
    assert log.count("ev=circuit_closed") == 1 and log.count("ev=circuit_opened") >= 3 and "ev=partitions_lost" not in log
    bus.wait_until_finished()


def test_partitions_that_were_paused_are_not_when_they_come_back(bus, source, proxy):
    """librdkafka remembers that a partition was paused, also when it was somebody else's in between."""
    first = store_in_s3(bus, proxy, REELBUS_GROUP_INSTANCE_ID="")
    left = proxy.rule(s3.Answer(402, s3.error_body("exceed_storage_size_quota")), method="PUT", times=1_000_000)
    videos = [bus.send(source.url(f"v{number}")) for number in range(6)]
    wait_for(lambda: first.metric("reelbus_paused") == 1, "no more are taken")
    second = bus.start_consumer(**s3.options(proxy.port, f"videos-{bus.number}-{id(bus):x}", REELBUS_GROUP_INSTANCE_ID=""))
    wait_for(lambda: "ev=partitions_taken" in second.log and "ev=partitions_lost" in first.log, "both have some")
    left[0] = 0
    videos += [bus.send(source.url(f"w{number}")) for number in range(12)]
    for video_id in videos:
        bus.wait_for_event("video.stored", video_id)
    bus.wait_until_finished()


def test_while_the_circuit_is_open_nothing_is_fetched_but_by_probes(bus, source, proxy):
    """The pause to the first probe is a long one: what comes meanwhile is not fetched at all."""
    store_in_s3(bus, proxy, REELBUS_STORE_PROBE_FIRST_MS="1h", REELBUS_STORE_PROBE_MAX_MS="1h")
    proxy.rule(s3.Answer(402, s3.error_body("exceed_storage_size_quota")), method="PUT")
    first = bus.send(source.url("first"))
    wait_for(lambda: "ev=circuit_opened" in bus.consumer.log, "it opens")
    for number in range(5):
        bus.send(source.url(f"v{number}"))
    bus.consumer.stop()  # it must not wait for the probe
    assert source.paths() == ["first"]
    bus.start_consumer(**s3.options(proxy.port, f"videos-{bus.number}-{id(bus):x}"))
    bus.wait_for_event("video.stored", first)
    wait_for(lambda: len(bus.events("video.stored")) == 6, "all are stored by the next one")


# -- outages -----------------------------------------------------------------------------------------------------------


def test_a_database_that_is_away_pauses_the_partitions_and_no_video_is_given_up(bus, source, postgres):
    bus.start_producer()
    bus.start_consumer(REELBUS_RETRY_FOR_MS="0")  # a budget that would be over at once
    source.shut()
    begun = bus.send(source.url("begun"))
    others = [bus.insert_video() for _ in range(5)]
    wait_for(lambda: source.paths() == ["begun"], "a transfer runs")
    postgres.processes["postgres"].stop(signal.SIGQUIT)  # immediate: as a crash
    source.open()
    wait_for(lambda: bus.consumer.metric("reelbus_paused") == 1, "no more records are taken")
    for video_id in others:
        bus.webhook({"videoId": video_id, "videoUrl": source.url("other"), "status": "completed"})
    postgres.start_postgres()
    for video_id in [begun, *others]:
        bus.wait_for_event("video.stored", video_id)
    wait_for(lambda: bus.consumer.metric("reelbus_paused") == 0, "they are taken again")
    assert bus.events("video.store_failed") == [] and "ev=partitions_lost" not in bus.consumer.log
    bus.wait_until_finished()


def test_a_kafka_that_is_away_is_waited_out_with_the_outcome_in_hand(bus, source, stopped_kafka):
    stop, start = stopped_kafka
    bus.start_producer()
    bus.start_consumer(REELBUS_PUBLISH_TIMEOUT_MS="1s")
    source.answers["later"] = [limits(1), 200]
    source.shut()
    one, later = bus.send(source.url("one")), bus.send(source.url("later"))
    wait_for(lambda: len(source.paths()) == 2, "both transfers run")
    stop()
    source.open()
    wait_for(lambda: "code=kafka_away" in bus.consumer.log, "the consumer waits for it")
    wait_for(lambda: bus.video_row(one)["state"] == "stored", "the row is written all the same")
    start()
    bus.wait_for_event("video.stored", one)
    bus.wait_for_event("video.stored", later)
    assert len(source.times("later")) >= 2
    assert bus.events("video.store_failed") == []
    bus.wait_until_finished()
