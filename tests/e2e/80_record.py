"""The database: away, slow, in other hands; and what the frontend reads out of it."""

import contextlib
import signal
import urllib.parse
import uuid

import harness
import pooler
import pytest
from harness import wait_for
from sse import Events


def status_of(bus, video_id):
    answer = bus.producer.get("/api/video/status", params={"videoId": video_id})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_frontend_sees_a_video_on_its_way(running):
    video_id = running.insert_video()
    waiting = status_of(running, video_id)
    assert (waiting["status"], waiting["storage"], waiting["videoUrl"]) == ("waiting", "none", None)
    assert waiting["message"] == "Waiting for video..." and waiting["videoId"] == video_id
    provider_video = running.ask_for_video(video_id, bytes_per_s=500_000, bytes=700_000)
    processing = wait_for(
        lambda: (lambda s: s if s["storage"] == "processing" else None)(status_of(running, video_id)), "it is processed"
    )
    assert processing["message"] == "Processing video storage..." and processing["status"] == "completed"
    assert processing["videoUrl"] == running.video_row(video_id)["source_url"]  # playable at once
    event, _ = running.assert_stored(video_id, provider_video)
    stored = status_of(running, video_id)
    assert (stored["storage"], stored["message"], stored["videoUrl"]) == ("stored", "Stored", event["video_url"])
    assert stored["bytes"] == event["bytes"]


def test_the_frontend_is_told_of_failures_in_plain_words(running):
    video_id, _ = running.store_video(outcome="failed")
    running.wait_for_event("video.store_failed", video_id)
    failed = status_of(running, video_id)
    assert (failed["status"], failed["storage"]) == ("failed", "none")
    assert failed["message"] == "The video could not be generated: The prompt was refused."
    video_id, _ = running.store_video(status=404)
    running.wait_for_event("video.store_failed", video_id)
    failed = status_of(running, video_id)
    assert (failed["status"], failed["storage"], failed["error"]["code"]) == ("completed", "failed", "source_gone")
    assert "could not be stored" in failed["message"] and failed["videoUrl"].startswith("http")


def views_of(bus, video_id):
    """The video, as each door of the status API shows it."""
    get = bus.producer.get
    yield status_of(bus, video_id)
    many = get("/api/video/status", params={"videoId": f"{video_id},{bus.insert_video()}"}).json()["videos"]
    yield next(view for view in many if view["videoId"] == video_id)
    yield next(view for view in get("/api/videos", params={"q": video_id}).json()["videos"])
    yield get("/api/video/history", params={"videoId": video_id}).json()["video"]
    with contextlib.closing(Events(bus.producer.url("/api/video/events"), video_id)) as stream:
        yield stream.wait("status")


def test_after_a_failure_the_frontend_still_has_the_original_url(running):
    """Of what could not be stored; what was never generated has none."""
    kept_out, _ = running.store_video(status=404)
    refused, _ = running.store_video(outcome="failed")
    for video_id in (kept_out, refused):
        running.wait_for_event("video.store_failed", video_id)
    source = running.events("video.webhook.received", kept_out)[0]["video_url"]
    assert source.startswith("http")
    for view in views_of(running, kept_out):
        assert (view["status"], view["storage"]) == ("completed", "failed")
        assert view["originalUrl"] == view["videoUrl"] == source
        assert "The original URL is kept, but opens no more." in view["message"]
    for view in views_of(running, refused):
        assert (view["status"], view["originalUrl"], view["videoUrl"]) == ("failed", None, None)
        assert "original" not in view["message"]
    wait_for(lambda: running.producer.metric("reelbus_looks") == 0, "nobody looks, so that all is read anew")
    # Whatever the application does with its own column: the original is ours to remember.
    running.query("UPDATE video_history SET video_url = NULL WHERE id = %s", kept_out)
    for view in views_of(running, kept_out):
        assert (view["originalUrl"], view["videoUrl"]) == (source, None)


def test_wrong_questions_get_clear_answers(running):
    assert running.producer.get("/api/video/status").status_code == 400
    assert running.producer.get("/api/video/status", params={"videoId": "x"}).json()["error"] == "videoId must be a UUID"
    unknown = "00000000-0000-4000-8000-000000000000"
    assert running.producer.get("/api/video/status", params={"videoId": unknown}).status_code == 404
    assert running.producer.get("/api/videos", params={"limit": "many"}).status_code == 400


def test_the_list_has_the_newest_first_and_those_that_wait(running):
    done, provider_video = running.store_video()
    running.assert_stored(done, provider_video)
    waiting = running.insert_video()
    videos = running.producer.get("/api/videos").json()["videos"]
    assert {video["videoId"]: video["storage"] for video in videos} == {done: "stored", waiting: "none"}
    assert len(running.producer.get("/api/videos", params={"limit": 1}).json()["videos"]) == 1


def test_a_database_that_restarts_during_a_transfer_loses_nothing(running, postgres):
    video_id, provider_video = running.store_video(bytes_per_s=500_000, bytes=1_200_000)
    wait_for(lambda: running.objects(), "the transfer has begun")
    postgres.processes["postgres"].stop(signal.SIGQUIT)  # immediate: as a crash
    wait_for(lambda: "code=db_away" in running.consumer.log, "the consumer waits for the database")
    wait_for(lambda: running.producer.get("/api/videos").status_code == 503, "the producer has noticed")
    postgres.start_postgres()
    running.assert_stored(video_id, provider_video)
    wait_for(lambda: running.producer.get("/api/videos").status_code == 200, "the producer is back too")
    assert running.events("video.store_failed") == []


def test_a_database_that_hangs_is_given_up_in_time_and_taken_back(bus):
    soon = {"REELBUS_DB_TIMEOUT_MS": "500ms", "REELBUS_DB_CONNECT_TIMEOUT_MS": "500ms"}
    bus.start_producer(**soon)  # it takes the webhook without having seen the video
    consumer = bus.start_consumer(**soon)
    with bus.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE reelbus.video IN ACCESS EXCLUSIVE MODE")
        video_id, provider_video = bus.store_video()
        wait_for(lambda: "no answer from Postgres" in consumer.log, "it gives up waiting")
        connection.execute("ROLLBACK")
    bus.assert_stored(video_id, provider_video)


def test_a_database_that_is_slow_with_many_is_not_away(bus, source):
    """A query's time begins with its turn: what waits behind others in the pipeline is not given up, and begun anew by all."""
    bus.query("CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.25); RETURN NEW; END $$")
    bus.query("CREATE TRIGGER take_time BEFORE INSERT ON reelbus.video FOR EACH ROW EXECUTE FUNCTION take_time()")
    videos = [bus.insert_video() for _ in range(20)]
    for video_id in videos:
        bus.send_webhook_event(video_id, source.url("v"))
    bus.start_consumer(REELBUS_DB_TIMEOUT_MS="3s")
    for video_id in videos:
        bus.wait_for_event("video.stored", video_id)
    assert "ev=db_down" not in bus.consumer.log


def test_a_table_that_is_missing_is_waited_for_and_named(running):
    running.query("ALTER TABLE reelbus.video RENAME TO elsewhere")
    video_id, provider_video = running.store_video()
    wait_for(lambda: "code=db_refused" in running.consumer.log, "it says so")
    assert "42P01" in running.consumer.log
    running.query("ALTER TABLE reelbus.elsewhere RENAME TO video")
    running.assert_stored(video_id, provider_video)


def test_a_table_with_other_names_works_too(bus):
    bus.query('CREATE TABLE public."Clips" ("clipId" uuid PRIMARY KEY, owner text, link text, phase text, born timestamptz DEFAULT now())')
    names = {"REELBUS_TABLE": "public.Clips", "REELBUS_COLUMN_ID": "clipId", "REELBUS_COLUMN_USER_ID": "owner",
             "REELBUS_COLUMN_VIDEO_URL": "link", "REELBUS_COLUMN_STATUS": "phase", "REELBUS_COLUMN_CREATED_AT": "born",
             "REELBUS_STATUS_COMPLETED": "ready"}  # fmt: skip
    bus.common.update(names)
    bus.start_producer()
    bus.start_consumer()
    video_id = "11111111-2222-4333-8444-555555555555"
    bus.query('INSERT INTO "Clips" ("clipId", owner) VALUES (%s, %s)', video_id, "user_7")
    bus.ask_for_video(video_id)
    event = bus.wait_for_event("video.stored", video_id)
    (row,) = bus.query('SELECT * FROM "Clips"')
    assert (row["phase"], row["link"]) == ("ready", event["video_url"])
    assert event["object_key"] == f"user_7/{video_id}.mp4"
    assert bus.producer.get("/api/videos").json()["videos"][0]["storage"] == "stored"


def test_an_id_that_cannot_be_part_of_a_key_is_a_clear_failure(bus):
    bus.query("ALTER TABLE video_history ALTER COLUMN user_id TYPE text")
    bus.start_producer()
    bus.start_consumer()
    bus.user = "../../etc"
    video_id, _ = bus.store_video()
    event = bus.wait_for_event("video.store_failed", video_id)
    assert (event["class"], event["code"]) == ("policy", "bad_event") and "user id" in event["message"]
    assert bus.objects() == []


REFUSING = """
CREATE TABLE closed (user_id uuid, code text);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE state text;
BEGIN
    SELECT code INTO state FROM closed WHERE closed.user_id = NEW.user_id;
    IF FOUND THEN
        RAISE EXCEPTION 'this account is closed, see https://app.example/why?token=canary' USING ERRCODE = state;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON video_history FOR EACH ROW EXECUTE FUNCTION refuse();
"""


def test_a_row_that_refuses_holds_up_nobody_and_its_failure_is_announced(bus, source):
    """By a trigger of the application, for some of its users; with what a trigger may raise."""

    def send_as_user(code):
        bus.user = str(uuid.uuid4())
        if code:
            bus.query("INSERT INTO closed VALUES (%s, %s)", bus.user, code)
        return bus.send(source.url("v"))

    with bus.connect() as connection:
        connection.execute(REFUSING)
    bus.start_producer()
    bus.start_consumer()
    refused, mended = send_as_user("P0001"), send_as_user("23514")
    for video_id in (refused, mended):
        wait_for(lambda video_id=video_id: bus.events("video.store.retry", video_id), "it was put off")
    for video_id in [send_as_user(None) for _ in range(3)]:
        assert bus.wait_for_event("video.stored", video_id)["video_id"] == video_id
    row = wait_for(lambda: (lambda row: row if row["error_code"] else None)(bus.video_row(refused)), "people can see why")
    assert (row["state"], row["error_code"], row["video_url"]) == ("processing", "db_data", None)
    assert row["next_try_at"] and "P0001" in row["error_message"]
    assert "ev=row_refuses" in bus.consumer.log
    bus.query("DELETE FROM closed WHERE code = '23514'")
    stored = bus.wait_for_event("video.stored", mended)
    assert bus.video_row(mended)["video_url"] == stored["video_url"]

    other = send_as_user("PT403")
    wait_for(lambda: bus.events("video.store.retry", other), "a state of the application's own is no outage either")
    bus.consumer.stop()
    bus.start_consumer(REELBUS_RETRY_FOR_MS="1ms")
    for video_id, code in ((refused, "P0001"), (other, "PT403")):
        event = bus.wait_for_event("video.store_failed", video_id)
        assert (event["class"], event["code"], event["attempt"]) == ("policy", "db_data", 1)
        assert event["message"] == f"the database answers {code}: this account is closed, see https://app.example/why"
        assert event["source_url"] == source.url("v")
        row = bus.video_row(video_id)
        assert (row["state"], row["error_code"], row["status"]) == ("failed", "db_data", "pending")
    failed, _ = bus.store_video(outcome="failed")
    assert bus.wait_for_event("video.store_failed", failed)["code"] == "generation_failed"
    bus.wait_until_finished()
    assert bus.records("video.store.dlq") == []


@pytest.mark.parametrize("connections", harness.alike([1, 2]))
def test_behind_a_transaction_pooler_statements_have_a_name_if_it_is_kept(bus, connections):
    port = urllib.parse.urlsplit(bus.database_url).port
    with contextlib.closing(pooler.Pooler(port, connections)) as between:
        consumer = bus.start_consumer(DATABASE_URL=bus.database_url.replace(f":{port}/", f":{between.port}/"))
        bus.start_producer()

        def store():
            video_id, provider_video = bus.store_video()
            bus.assert_stored(video_id, provider_video)

        store()
        store()
        assert ("ev=db_nameless state=26000" in consumer.log) == (connections > 1)
        between.cut()
        wait_for(lambda: consumer.log.count("ev=db_up") == 2, "it has connected again")
        store()  # its names are there already
        assert consumer.log.count("ev=db_nameless") == (2 if connections > 1 else 0)
        bus.query("ALTER TABLE reelbus.video ALTER COLUMN content_type TYPE varchar(99)")
        store()
        assert ("ev=db_nameless state=0A000" in consumer.log) == (connections == 1)
        assert consumer.log.count("ev=db_down") == 1
