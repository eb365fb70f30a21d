"""What happened to a video, and which videos there are."""

import uuid

import pytest
import senders
from harness import local, wait_for

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def history(bus, video_id):
    answer = bus.producer.get("/api/video/history", params={"videoId": video_id})
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_for_history(bus, video_id, *what):
    """The history, once it holds these, in this order."""

    def found():
        events = history(bus, video_id)["history"]
        return [event["what"] for event in events] == list(what) and events

    return wait_for(found, f"{what}")


def test_a_history_names_every_record(running):
    video_id, provider_video = running.store_video()
    running.assert_stored(video_id, provider_video)
    expected, received, claimed, stored, announced = wait_for_history(
        running, video_id, "expected", "received", "claimed", "stored", "announced"
    )
    (incoming,) = running.records("video.webhook.received")
    (outgoing,) = running.records("video.stored")
    for event, record in ((received, incoming), (stored, incoming), (announced, outgoing)):
        assert (event["topic"], event["partition"], event["offset"]) == (record.topic(), record.partition(), record.offset())
    assert expected["topic"] is None and received["detail"] == "completed" and "bytes" in stored["detail"]
    view = history(running, video_id)["video"]
    assert (view["videoId"], view["storage"]) == (video_id, "stored") and claimed["at"] <= view["storedAt"] <= stored["at"]
    assert running.producer.get("/api/video/history", params={"videoId": UNKNOWN}).status_code == 404
    for wrong in ("", "x", f"{video_id},{video_id}"):
        assert running.producer.get("/api/video/history", params={"videoId": wrong}).status_code == 400


def test_duplicates_are_shown_and_records_that_come_again_are_not(running):
    video_id, _ = running.store_video()
    running.wait_for_event("video.stored", video_id)
    running.send_again(*running.records("video.webhook.received"))
    running.wait_until_finished()
    kinds = sorted(event["what"] for event in wait_for(
        lambda: (lambda h: h if len(h) == 6 else None)(history(running, video_id)["history"]), "all of it"))  # fmt: skip
    assert kinds == ["announced", "claimed", "expected", "received", "received", "stored"]
    running.consumer.stop()
    running.start_consumer(REELBUS_GROUP=f"{running.number}-again", REELBUS_KAFKA="auto.offset.reset=earliest")
    wait_for(lambda: running.consumer.log.count("ev=job_silent") >= 1, "the duplicate is silent again")
    wait_for(lambda: "reelbus_jobs 0" in running.consumer.get("/metrics").text, "all is read again")
    received = [event for event in history(running, video_id)["history"] if event["what"] == "received"]
    assert len(received) == 2


def test_tries_that_failed_and_failures_are_in_the_history(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_RETRY_FIRST_MS="1500ms", REELBUS_RETRY_MAX_MS="1500ms")
    video_id, provider_video = bus.store_video(status=503, status_times=1, expires_s=600)
    bus.assert_stored(video_id, provider_video)
    events = wait_for_history(bus, video_id, "expected", "received", "claimed", "try_failed", "stored", "announced")
    assert events[3]["detail"].startswith("try 1, source_busy: the source answered 503")
    failed, _ = bus.store_video(status=404)
    events = wait_for_history(bus, failed, "expected", "received", "claimed", "failed", "announced")
    assert events[3]["detail"].startswith("source_gone: ")
    (record,) = bus.records("video.store_failed")
    assert (events[4]["topic"], events[4]["offset"]) == (record.topic(), record.offset())


def waiting_video(bus, **behaviour):
    """A video that only asking can tell of."""
    video_id = bus.insert_video()
    provider_video = bus.ask_for_video(video_id, call_back=False, **behaviour)
    bus.query("SELECT reelbus.expect_video(%s, 'here', %s)", video_id, provider_video)
    return video_id, provider_video


def start_polling(bus, **options):
    api = {"kind": "openai", "base_url": f"http://127.0.0.1:{bus.stack.ports['provider']}/v1", "key": local.PROVIDER_KEY}
    senders.write_providers(bus, {"name": "here", "api": api})
    bus.start_producer(REELBUS_PROVIDERS=bus.folder / "providers.json", REELBUS_POLL_INTERVAL_MS="200ms",
                       REELBUS_POLL_WEBHOOK_TRUST_MS="0", **options)  # fmt: skip
    bus.common["REELBUS_PROVIDERS"] = str(bus.folder / "providers.json")


def place(event):
    return event["topic"], event["partition"], event["offset"]


def test_what_asking_brings_is_in_the_history_and_not_each_question(bus):
    start_polling(bus)
    steps = [{"status": "in_progress", "progress": percent} for percent in (5, 5, 7, 40, 41, 42, 40, 90)]
    video_id, provider_video = waiting_video(bus, answers=[*steps, {}])
    wait_for(lambda: bus.video_row(video_id)["poll_announced"] == 1, "its end is published")
    created, expected, *polled = wait_for_history(bus, video_id, "expected", "expected", *["polled"] * 4)
    assert (created["what"], created["detail"]) == ("expected", None)
    assert (expected["what"], expected["detail"]) == ("expected", f"from here, as {provider_video}")
    assert [event["detail"] for event in polled] == ["in progress, 5 %", "in progress, 40 %", "in progress, 90 %", "completed"]
    records = sorted((record for record in bus.records("video.poll.result")), key=lambda record: record.offset())
    assert [place(event) for event in polled] == [(record.topic(), record.partition(), record.offset()) for record in records]
    bus.start_consumer()
    bus.assert_stored(video_id, provider_video)
    events = wait_for_history(bus, video_id, "expected", "expected", *["polled"] * 4, "claimed", "stored", "announced")
    assert place(events[-3]) == place(events[-2]) == place(polled[-1]), "the record that is in the history already"


def test_each_way_in_which_a_generation_ends_badly_is_in_the_history(bus):
    start_polling(bus, REELBUS_POLL_MISSING_MS="0")
    refused, _ = waiting_video(bus, outcome="failed")
    expired, _ = waiting_video(bus, answers=[{"status": "expired"}])
    unknown = bus.insert_video()
    bus.query("SELECT reelbus.expect_video(%s, 'here', 'never-heard-of')", unknown)
    reasons = {refused: "failed: The prompt was refused.", expired: "expired", unknown: "the provider does not know the video"}
    wait_for(lambda: bus.query("SELECT count(*) FROM reelbus.video WHERE poll_announced = 1")[0]["count"] == 3, "all are published")
    bus.start_consumer()
    for video_id, words in reasons.items():
        events = wait_for_history(bus, video_id, "expected", "expected", "polled", "claimed", "failed", "announced")
        assert words in events[2]["detail"]
    published = {event["video_id"]: event["status"] for event in bus.events("video.poll.result")}
    assert published == {refused: "failed", expired: "expired", unknown: "failed"}


def test_words_of_a_provider_stay_words(bus):
    """Quotes, braces and backslashes in what it says are no SQL."""
    words = 'quote " brace }, {NULL} backslash \\ \\" and \' end'
    start_polling(bus)
    video_id, _ = waiting_video(bus, answers=[{"status": "failed", "error": {"code": "odd", "message": words}}])
    events = wait_for_history(bus, video_id, "expected", "expected", "polled")
    assert events[2]["detail"] == f"failed: {words}"


def test_a_history_keeps_the_newest_and_no_more_than_a_bound(running):
    video_id, _ = running.store_video()
    running.wait_for_event("video.stored", video_id)
    wait_for_history(running, video_id, "expected", "received", "claimed", "stored", "announced")
    running.query("INSERT INTO reelbus.history (video_id, what, topic, partition, \"offset\")"
                  " SELECT %s, 'received', 'storm', 0, n FROM generate_series(1, 5000) AS n", video_id)  # fmt: skip
    running.send_again(*running.records("video.webhook.received"))
    count = "SELECT count(*) FROM reelbus.history WHERE video_id = %s"
    wait_for(lambda: running.query(count, video_id)[0]["count"] <= 201, "the old ones are dropped")
    events = history(running, video_id)["history"]
    assert len(events) == 201 and events[0]["what"] == "expected"
    assert {"storm", running.prefix + "video.webhook.received"} == {event["topic"] for event in events[1:]}


def pages(bus, **params):
    """All pages of a list, one after the other."""
    videos, before = [], ""
    while before is not None:
        answer = bus.producer.get("/api/videos", params={**params, "before": before})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        videos += page["videos"]
        before = page["next"]
    return videos


FILL = """
INSERT INTO video_history (user_id, prompt, created_at) SELECT %(user)s::uuid, 'p', now() - n * interval '1 second'
FROM generate_series(1, %(count)s::int) AS n;
INSERT INTO reelbus.video (video_id, user_id, state, updated_at) SELECT id, user_id::text,
    (array['processing', 'stored', 'failed', 'waiting'])[1 + (row_number() OVER (ORDER BY created_at))::int %% 4],
    created_at + interval '1 minute' FROM video_history WHERE user_id = %(user)s::uuid
"""


def fill(bus, user, count):
    """So many videos of a user, a quarter in each state."""
    with bus.connect() as connection:
        for statement in FILL.split(";"):
            connection.execute(statement, {"user": user, "count": count})
        connection.execute("ANALYZE")


def test_pages_have_every_video_once_and_the_newest_first(bus):
    bus.start_producer()
    users = [str(uuid.uuid4()) for _ in range(2)]
    for user in users:
        fill(bus, user, 40)
    bus.query("UPDATE reelbus.video SET updated_at = now() WHERE state = 'stored'")  # all at one time
    unheard = [bus.insert_video() for _ in range(5)]
    for limit in (7, 200):
        videos = pages(bus, limit=limit)
        assert len(videos) == len({view["videoId"] for view in videos}) == 85
        known = [view["updatedAt"] for view in videos if view["storage"] in ("processing", "stored", "failed")]
        assert known == sorted(known, reverse=True) and len(known) == 60
        for state, storage, count in (("stored", "stored", 20), ("processing", "processing", 20), ("failed", "failed", 20), ("waiting", "none", 25)):
            of_state = pages(bus, limit=limit, state=state)
            assert {view["storage"] for view in of_state} == {storage} and len({view["videoId"] for view in of_state}) == count
        for user, count in ((users[0], 40), (bus.user, 5), (str(uuid.uuid4()), 0)):
            mine = pages(bus, limit=limit, user=user)
            assert [view["userId"] for view in mine] == [user] * count
        assert len(pages(bus, limit=limit, user=users[1], state="stored")) == 10
    assert {view["videoId"] for view in pages(bus, limit=3, user=bus.user, state="waiting")} == set(unheard)


def test_what_waits_behind_thousands_of_others_is_found_page_by_page(bus):
    bus.start_producer()
    fill(bus, bus.user, 4500)
    bus.query("UPDATE reelbus.video SET state = 'stored'")
    old = bus.insert_video()
    bus.query("UPDATE video_history SET created_at = now() - interval '1 year' WHERE id = %s", old)
    first = bus.producer.get("/api/videos", params={"state": "waiting"}).json()
    assert first["videos"] == [] and first["next"], "so much is looked at and no more"
    assert [view["videoId"] for view in pages(bus, state="waiting")] == [old]
    everything = [view["videoId"] for view in pages(bus, limit=200)]
    assert len(everything) == len(set(everything)) == 4501 and everything[-1] == old


def test_videos_are_found_by_the_beginning_of_their_id(bus):
    bus.start_producer()
    fill(bus, bus.user, 60)
    ids = [row["id"] for row in bus.query("SELECT id::text FROM video_history ORDER BY id")]
    for prefix in ("", "0", "a", "F", ids[7][:5], ids[30][:14], ids[50], ids[3].upper()):
        found = [view["videoId"] for view in pages(bus, q=prefix, limit=7)]
        wanted = [video_id for video_id in ids if video_id.startswith(prefix.lower())]
        assert sorted(found) == wanted and (not prefix or found == wanted), prefix
    stored = pages(bus, q=ids[0][:1], state="stored", user=bus.user)
    assert all(view["storage"] == "stored" and view["videoId"][0] == ids[0][0] for view in stored)


def test_wrong_wishes_are_named(bus):
    bus.start_producer()
    for name, values in {
        "limit": ("0", "201", "many", "-1"),
        "state": ("deleted", "x", "stored,failed"),
        "q": ("x", "0-", "%", ids := "0" * 37),
        "before": ("x", "1", f"1.{ids}", f"x.{UNKNOWN}", f"9{'0' * 30}.{UNKNOWN}"),
        "user": ("not-a-uuid",),
    }.items():
        for value in values:
            answer = bus.producer.get("/api/videos", params={name: value})
            assert answer.status_code == 400 and name in answer.json()["error"], (name, value, answer.text)


def rows_read(bus):
    """Rows that the database has read, from tables and by indexes."""
    names = "seq_tup_read", "idx_tup_fetch"
    rows = bus.query("SELECT coalesce(sum(seq_tup_read), 0)::bigint AS seq_tup_read, coalesce(sum(idx_tup_fetch), 0)::bigint AS"
                     " idx_tup_fetch FROM pg_stat_user_tables WHERE relname IN ('video', 'video_history', 'history')")  # fmt: skip
    return [rows[0][name] for name in names]


@pytest.mark.release_only
def test_a_page_of_a_hundred_thousand_videos_is_found_by_indexes(bus):
    bus.query("CREATE INDEX ON video_history (user_id, created_at)")  # as an application that lists by user has
    fill(bus, bus.user, 100_000)
    rare = str(uuid.uuid4())
    fill(bus, rare, 10)
    at, video_id = bus.query("SELECT (extract(epoch FROM updated_at) * 1000000)::bigint AS at, video_id::text AS id FROM"
                             " reelbus.video ORDER BY updated_at LIMIT 1 OFFSET 50000")[0].values()  # fmt: skip
    others = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    wait_for(lambda: not bus.query(others), "whoever filled the tables has told the statistics all")
    for wish in ({}, {"state": "stored"}, {"state": "waiting"}, {"q": "abc"}, {"q": "a"}, {"before": f"{at}.{video_id}"},
                 {"user": rare}, {"user": rare, "state": "failed"}):  # fmt: skip
        bus.start_producer()
        before = rows_read(bus)
        page = bus.producer.get("/api/videos", params={**wish, "limit": 50}).json()
        assert page["videos"], wish
        bus.producer.stop()  # a session that ends has told the statistics all
        gone = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'reelbus-producer%%'"
        wait_for(lambda: not bus.query(gone) and rows_read(bus) != before, f"the statistics of {wish} are complete")
        sequential, by_index = (after - start for after, start in zip(rows_read(bus), before))
        assert sequential == 0 and by_index < 10_000, (wish, sequential, by_index)
