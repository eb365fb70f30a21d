"""How much is stored, how much may be, and what becomes of the rest."""

import uuid

import s3
from harness import wait_for

SIZE = 100_000


def sums(bus, table, bucket="videos"):
    """What the database has counted: bytes and videos of one bucket."""
    row = bus.query(f"SELECT coalesce(sum(bytes), 0)::bigint AS bytes, coalesce(sum(videos), 0)::bigint AS videos"
                    f" FROM reelbus.{table} WHERE bucket = %s", bucket)[0]  # fmt: skip
    return row["bytes"], row["videos"]


def of_rows(bus, bucket="videos"):
    row = bus.query("SELECT coalesce(sum(bytes), 0)::bigint AS bytes, count(*) AS videos FROM reelbus.video"
                    " WHERE state = 'stored' AND bucket = %s", bucket)[0]  # fmt: skip
    return row["bytes"], row["videos"]


def of_user(bus, user=None):
    rows = bus.query("SELECT bytes, videos FROM reelbus.usage WHERE user_id = %s", bus.user if user is None else user)
    return (rows[0]["bytes"], rows[0]["videos"]) if rows else (0, 0)


def assert_counted(bus, bucket="videos"):
    """All sums are those of the rows, and no room is held for anybody."""
    expected = of_rows(bus, bucket)
    for table in ("usage", "usage_in_all", "usage_day"):
        assert sums(bus, table, bucket) == expected, table
    assert bus.query("SELECT video_id FROM reelbus.video WHERE state = 'processing' AND held_bytes IS NOT NULL") == []
    return expected


def store(bus, **behaviour):
    video_id, provider_video = bus.store_video(**{"bytes": SIZE, **behaviour})
    bus.wait_for_event("video.stored", video_id)
    return video_id, provider_video


def error_of(bus, video_id):
    return bus.video_row(video_id)["error_code"]


def fallback(bus, *lines):
    """The config file of a second store: a folder of its own."""
    path = bus.folder / "fallback.conf"
    path.write_text("\n".join(["store = file", "bucket = overflow", f"file_root = {bus.folder / 'second'}",
                               "file_public_url = http://127.0.0.1:1/second/", *lines]) + "\n")  # fmt: skip
    return path


def in_fallback(bus, video_id):
    return bus.folder / "second/overflow" / bus.user / f"{video_id}.mp4"


# -- what is counted ------------------------------------------------------------------------------------------------------


def test_what_is_stored_is_counted_by_user_in_all_and_by_day(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_QUOTA_CHECK_MS="100ms")
    first, provider_video = store(bus)
    store(bus)
    other_bytes = bus.video_row(first)["bytes"]
    assert of_user(bus) == (2 * other_bytes, 2)
    assert other_bytes == len(bus.source_bytes(provider_video))
    before, bus.user = bus.user, str(uuid.uuid4())
    store(bus, bytes=3 * SIZE)
    assert of_user(bus, before) == (2 * other_bytes, 2) and of_user(bus)[1] == 1
    assert assert_counted(bus)[1] == 3
    wait_for(lambda: bus.consumer.metric("reelbus_usage_videos") == 3, "the sums are shown")


def test_the_same_outcome_is_counted_once(running):
    video_id, _ = store(running)
    counted = assert_counted(running)
    for record in running.records("video.webhook.received"):
        running.send_again(record)
    running.send_webhook_event(video_id, "http://127.0.0.1:1/another.mp4")
    running.wait_until_finished()
    assert assert_counted(running) == counted


def test_what_is_removed_or_changed_by_anybody_is_counted(running):
    (first, _), (second, _) = store(running), store(running)
    running.query("DELETE FROM reelbus.video WHERE video_id = %s", first)
    assert assert_counted(running)[1] == 1
    running.query("UPDATE reelbus.video SET bytes = bytes + 5 WHERE video_id = %s", second)
    running.query("UPDATE reelbus.video SET user_id = 'somebody' WHERE video_id = %s", second)
    assert of_user(running, "somebody") == assert_counted(running)
    running.query("UPDATE reelbus.video SET state = 'deleted' WHERE video_id = %s", second)
    assert assert_counted(running) == (0, 0)


def test_a_failure_is_not_counted(running):
    video_id, _ = running.store_video(status=404)
    running.wait_for_event("video.store_failed", video_id)
    assert assert_counted(running) == (0, 0)


def test_setup_counts_what_was_there_before_and_only_once(bus):
    for table in ("usage", "usage_in_all", "usage_day"):
        bus.query(f"DROP TABLE reelbus.{table}")
    for trigger in ("came", "went", "changed"):
        bus.query(f"DROP TRIGGER video_usage_{trigger} ON reelbus.video")
    for user, size, state in (("a", 10, "stored"), ("a", 20, "stored"), ("b", 40, "stored"), ("b", 80, "failed"), (None, 160, "stored")):
        bus.query("INSERT INTO reelbus.video (video_id, state, user_id, store, bucket, bytes, stored_at)"
                  " VALUES (%s, %s, %s, 'file', 'videos', %s, now() - interval '3 days')", uuid.uuid4(), state, user, size)  # fmt: skip
    for _ in range(3):
        bus.setup()
        assert assert_counted(bus) == (230, 4)
        assert [of_user(bus, user) for user in ("a", "b", "")] == [(30, 2), (40, 1), (160, 1)]
    bus.query("UPDATE reelbus.usage SET bytes = 7")
    bus.query("SELECT reelbus.recount_usage()")
    assert assert_counted(bus) == (230, 4)


# -- wait, keep -----------------------------------------------------------------------------------------------------------


def test_a_user_without_room_waits_and_others_do_not(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_QUOTA_USER_BYTES=5 * SIZE // 2, REELBUS_QUOTA_USER_WARN_AT="20%")
    greedy = bus.user
    first, _ = store(bus)
    second, _ = bus.store_video(bytes=2 * SIZE)
    wait_for(lambda: error_of(bus, second) == "quota_user", "it waits for room")
    assert "ev=quota_user_near" in bus.consumer.log
    status = bus.producer.get("/api/video/status", params={"videoId": second}).json()
    assert status["storage"] == "processing" and "stored of one user is used up. Trying again" in status["message"]
    bus.user = str(uuid.uuid4())
    store(bus)
    assert bus.events("video.store_failed") == []
    bus.query("UPDATE reelbus.video SET state = 'deleted' WHERE video_id = %s", first)
    bus.wait_for_event("video.stored", second)
    assert_counted(bus)
    assert of_user(bus, greedy)[1] == 1


def test_over_the_mark_nothing_is_fetched(bus):
    bus.query("INSERT INTO reelbus.video (video_id, state, store, bucket, bytes) VALUES (%s, 'stored', 'file', 'videos', %s)", uuid.uuid4(), 2 * SIZE)
    bus.start_producer()
    bus.start_consumer(REELBUS_QUOTA_BYTES=4 * SIZE, REELBUS_QUOTA_STOP_AT="50%", REELBUS_QUOTA_WARN_AT="10%", REELBUS_QUOTA_CHECK_MS="50ms")
    video_id, _ = bus.store_video(bytes=SIZE)
    wait_for(lambda: bus.consumer.metric("reelbus_store_circuit_open", code="quota_all") == 1, "somebody is alerted")
    wait_for(lambda: bus.consumer.metric("reelbus_store_circuit_probes_total") >= 3, "it is looked at again and again")
    assert bus.consumer.metric("reelbus_transfers_started_total") == 0 and bus.consumer.metric("reelbus_quota_level") == 2
    wait_for(lambda: error_of(bus, video_id) == "quota_all", "the row says why")
    assert bus.events("video.store_failed") == []
    status = bus.producer.get("/api/video/status", params={"videoId": video_id}).json()
    assert "what may be stored in all is used up. Trying again" in status["message"]
    bus.query("DELETE FROM reelbus.video WHERE state = 'stored'")
    bus.wait_for_event("video.stored", video_id)
    assert assert_counted(bus)[1] == 1


def test_a_video_without_a_length_is_stored_until_the_mark_is_reached(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_QUOTA_USER_BYTES=SIZE // 2, REELBUS_QUOTA_THEN="keep")
    first, _ = store(bus, chunked=True)
    second, _ = bus.store_video(bytes=SIZE, chunked=True)
    assert bus.wait_for_event("video.store_failed", second)["code"] == "quota_kept"
    assert bus.consumer.metric("reelbus_transfers_started_total") == 1 and assert_counted(bus)[1] == 1


def test_a_video_without_room_may_keep_its_original_url(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_QUOTA_USER_BYTES=2 * SIZE, REELBUS_QUOTA_THEN="keep")
    store(bus)
    second, _ = bus.store_video(bytes=2 * SIZE)
    event = bus.wait_for_event("video.store_failed", second)
    row = bus.video_row(second)
    assert (event["class"], event["code"]) == (row["error_class"], row["error_code"]) == ("quota", "quota_kept")
    assert "bytes that may be stored of one user are used up" in event["message"] and "the original URL stays" in event["message"]
    assert row["video_url"] == row["source_url"] == event["source_url"] and row["status"] == "completed"
    assert len(bus.objects()) == 1 and assert_counted(bus)[1] == 1
    status = bus.producer.get("/api/video/status", params={"videoId": second}).json()
    assert (status["status"], status["storage"], status["videoUrl"]) == ("completed", "failed", row["source_url"])
    assert status["message"].startswith("The video is not stored: ")


# -- marks and the forecast -----------------------------------------------------------------------------------------------


def test_the_forecast_comes_from_the_growth_of_the_last_days(bus):
    bus.query("INSERT INTO reelbus.video (video_id, state, store, bucket, bytes) VALUES (%s, 'stored', 'file', 'videos', 4000)", uuid.uuid4())
    bus.query("UPDATE reelbus.usage_day SET day = (now() AT TIME ZONE 'UTC')::date - 4")
    bus.start_consumer(REELBUS_QUOTA_BYTES=10_000, REELBUS_QUOTA_STOP_AT="100%", REELBUS_QUOTA_CHECK_MS="50ms")
    wait_for(lambda: bus.consumer.metric("reelbus_usage_bytes") == 4000, "it has been read")
    # 4000 bytes in four days and the part of today: 6000 more in six to seven and a half.
    assert bus.consumer.metric("reelbus_quota_left_days") in (6, 7)
    assert bus.consumer.metric("reelbus_quota_level") == 0 and bus.consumer.metric("reelbus_quota_bytes") == 10_000
    assert "ev=quota level=well bytes=4000" in bus.consumer.log
    bus.query("UPDATE reelbus.video SET bytes = 9000")
    wait_for(lambda: bus.consumer.metric("reelbus_quota_level") == 1, "the warning mark is passed")
    wait_for(lambda: "ev=quota_near level=warn bytes=9000" in bus.consumer.log, "it is told")
    bus.query("UPDATE reelbus.video SET bytes = 10000")
    wait_for(lambda: bus.consumer.metric("reelbus_quota_level") == 2, "the mark is reached")
    wait_for(lambda: bus.consumer.metric("reelbus_quota_left_days") == 0 and "level=stop" in bus.consumer.log, "it is told")


def test_options_that_cannot_be_meant_stop_the_start(bus):
    place = {"REELBUS_FILE_ROOT": str(bus.store), "REELBUS_FILE_PUBLIC_URL": "http://x/"}
    same = bus.folder / "same.conf"
    same.write_text(f"file_root = {bus.folder / 'second'}\nfile_public_url = http://x/\n")
    for options, name in (
        ({"REELBUS_QUOTA_BYTES": "1GB", "REELBUS_QUOTA_WARN_AT": "99%"}, "quota_bytes"),
        ({"REELBUS_QUOTA_USER_BYTES": "1GB", "REELBUS_QUOTA_USER_STOP_AT": "2GB"}, "quota_user_bytes"),
        ({"REELBUS_QUOTA_THEN": "pray"}, "quota_then"),
        ({"REELBUS_QUOTA_THEN": "spill"}, "fallback_config"),
        ({"REELBUS_QUOTA_THEN": "cleanup", "REELBUS_QUOTA_BYTES": "1GB", "REELBUS_QUOTA_LOW_AT": "96%"}, "quota_bytes"),
        ({"REELBUS_FALLBACK_CONFIG": str(bus.folder / "none.conf")}, "fallback_config"),
        ({"REELBUS_FALLBACK_CONFIG": str(same)}, "fallback store"),
        ({"REELBUS_KEY_TEMPLATE": "../{video_id}.mp4"}, "key_template"),
    ):
        done = bus.run("reelbus-consumer", env={**place, **options})
        assert done.returncode == 2 and name in done.stderr, (options, done.stderr)


# -- cleanup --------------------------------------------------------------------------------------------------------------


def make_old(bus, video_id, days):
    bus.query("UPDATE reelbus.video SET stored_at = stored_at - %s * interval '1 day' WHERE video_id = %s", days, video_id)


def is_removed(bus, video_id):
    row = bus.video_row(video_id)
    return row["state"] == "deleted" and row["deleting_since"] is None


def test_the_oldest_videos_of_a_user_make_room(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_QUOTA_USER_BYTES=7 * SIZE // 2, REELBUS_QUOTA_USER_LOW_AT=5 * SIZE // 2, REELBUS_QUOTA_THEN="cleanup")
    user, bus.user = bus.user, str(uuid.uuid4())
    of_other, _ = store(bus)
    bus.user = user
    (first, _), (second, _), (third, _) = store(bus), store(bus), store(bus)
    for video_id, days in ((of_other, 9), (first, 3), (second, 2)):
        make_old(bus, video_id, days)
    fourth, provider_video = store(bus)
    wait_for(lambda: is_removed(bus, first), "the oldest of that user is gone")
    row, event = bus.video_row(first), bus.wait_for_event("video.deleted", first)
    assert row["video_url"] == row["source_url"] and row["status"] == "completed" and row["delete_reason"] == "quota"
    assert {name: event[name] for name in ("user_id", "reason", "store", "bucket", "object_key", "bytes")} == {
        "user_id": user, "reason": "quota", "store": "file", "bucket": "videos", "object_key": f"{user}/{first}.mp4", "bytes": row["bytes"]}  # fmt: skip
    assert bus.query("SELECT detail FROM reelbus.history WHERE video_id = %s AND what = 'deleted'", first)
    assert not bus.object_path(first).exists() and all(bus.object_path(video_id).exists() for video_id in (second, third))
    assert bus.object_path(fourth).read_bytes() == bus.source_bytes(provider_video)
    assert bus.producer.get("/api/video/status", params={"videoId": first}).json()["storage"] == "deleted"
    assert len(bus.events("video.deleted")) == 1 and bus.consumer.metric("reelbus_removed_total") == 1

    fifth, _ = bus.store_video(bytes=2 * SIZE)  # the second alone would go in vain, and the third is too young
    wait_for(lambda: error_of(bus, fifth) == "quota_user", "it waits for room")
    assert bus.object_path(second).exists() and len(bus.events("video.deleted")) == 1
    make_old(bus, third, 2)
    bus.wait_for_event("video.stored", fifth)
    wait_for(lambda: is_removed(bus, second) and is_removed(bus, third), "both are gone")
    assert of_user(bus, user)[1] == 2 and bus.video_row(of_other)["state"] == "stored"
    assert_counted(bus)


def test_a_row_that_refuses_its_original_url_keeps_no_video_from_going(bus):
    with bus.connect() as connection:
        connection.execute("""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'what is completed stays as it is';
            END $$;
            CREATE TRIGGER refuse BEFORE UPDATE ON video_history FOR EACH ROW WHEN (OLD.status = 'completed')
                EXECUTE FUNCTION refuse()""")
    bus.start_producer()
    bus.start_consumer(REELBUS_QUOTA_USER_BYTES=5 * SIZE // 2, REELBUS_QUOTA_USER_LOW_AT=5 * SIZE // 2, REELBUS_QUOTA_THEN="cleanup")
    (first, _), (second, _) = store(bus), store(bus)
    make_old(bus, first, 3)
    store(bus)
    wait_for(lambda: is_removed(bus, first), "the oldest is gone")
    row = bus.video_row(first)
    assert row["video_url"] == row["stored_url"] and bus.wait_for_event("video.deleted", first)
    assert bus.video_row(second)["state"] == "stored" and "ev=row_refuses" in bus.consumer.log


# -- many workers, and their deaths ---------------------------------------------------------------------------------------


def test_two_workers_do_not_give_the_same_room_to_two_videos(bus):
    bus.start_producer()
    options = {"REELBUS_QUOTA_USER_BYTES": 5 * SIZE + SIZE // 2, "REELBUS_QUOTA_THEN": "keep"}
    workers = [bus.start_consumer(REELBUS_GROUP_INSTANCE_ID=name, **options) for name in ("one", "two")]
    wait_for(lambda: all(worker.metric("reelbus_partitions") for worker in workers), "both have partitions")
    videos = [bus.store_video(bytes=SIZE, bytes_per_s=200_000)[0] for _ in range(12)]
    wait_for(lambda: len(bus.events("video.stored")) + len(bus.events("video.store_failed")) == len(videos), "all are settled")
    stored, kept = bus.events("video.stored"), bus.events("video.store_failed")
    assert sorted(event["video_id"] for event in stored + kept) == sorted(videos)
    assert len(stored) == 5 and {event["code"] for event in kept} == {"quota_kept"}
    assert assert_counted(bus) == (sum(event["bytes"] for event in stored), 5)


def test_a_worker_that_dies_at_any_time_does_not_miscount(bus):
    bus.start_producer()
    options = {"REELBUS_QUOTA_USER_BYTES": 10 * SIZE}
    killed_while = []
    stalls = {"stalls": [0.5]}  # the first time only
    for state, behaviour in (("held", stalls), ("stored", {}), ("stored", {}), ("held", stalls)):
        consumer = bus.start_consumer(**options)
        video_id, _ = bus.store_video(bytes=SIZE, **behaviour)
        wait_for(lambda: (lambda row: row["state"] == "stored" or (state == "held" and row["held_bytes"]))(bus.video_row(video_id)),
                 f"it is {state}")  # fmt: skip
        consumer.kill()
        killed_while.append(bus.video_row(video_id)["state"])
    assert killed_while == ["processing", "stored", "stored", "processing"]
    bus.start_consumer(**options)
    wait_for(lambda: len({event["video_id"] for event in bus.events("video.stored")}) == 4, "all are stored in the end")
    bus.wait_until_finished()
    assert assert_counted(bus)[1] == 4


# -- the fallback store ---------------------------------------------------------------------------------------------------


def test_what_has_no_room_goes_to_the_fallback_store(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_QUOTA_USER_BYTES=2 * SIZE, REELBUS_QUOTA_THEN="spill", REELBUS_FALLBACK_CONFIG=fallback(bus))
    first, _ = store(bus)
    second, provider_video = bus.store_video(bytes=2 * SIZE)
    event = bus.wait_for_event("video.stored", second)
    row = bus.video_row(second)
    assert (event["store"], event["bucket"]) == (row["store"], row["bucket"]) == ("file", "overflow")
    assert event["video_url"] == row["video_url"] == f"http://127.0.0.1:1/second/overflow/{bus.user}/{second}.mp4"
    assert in_fallback(bus, second).read_bytes() == bus.source_bytes(provider_video)
    assert bus.objects() == [f"videos/{bus.user}/{first}.mp4"]
    assert assert_counted(bus)[1] == 1 and assert_counted(bus, "overflow")[1] == 1
    assert bus.consumer.metric("reelbus_spilled_total") == 1 and "because=quota" in bus.consumer.log


def test_a_spilled_video_stays_where_it_was_sent(bus):
    bus.start_producer()
    options = {"REELBUS_QUOTA_USER_BYTES": SIZE // 2, "REELBUS_QUOTA_THEN": "spill", "REELBUS_FALLBACK_CONFIG": fallback(bus)}
    bus.start_consumer(**options)
    video_id, _ = bus.store_video(bytes=SIZE, stalls=[0.5])
    wait_for(lambda: bus.video_row(video_id)["spilled"], "it goes to the fallback store")
    bus.consumer.kill()
    bus.start_consumer(**{**options, "REELBUS_QUOTA_USER_BYTES": 100 * SIZE})
    assert bus.wait_for_event("video.stored", video_id)["bucket"] == "overflow"
    assert in_fallback(bus, video_id).exists() and bus.objects() == []


def test_a_first_store_that_is_away_for_long_does_not_stop_the_work(bus):
    bus.start_producer()
    bus.start_consumer(wait=False, REELBUS_STORE="s3", REELBUS_S3_ENDPOINT="http://127.0.0.1:1", AWS_ACCESS_KEY_ID="x",
                       AWS_SECRET_ACCESS_KEY="canary-x", REELBUS_FALLBACK_CONFIG=fallback(bus), REELBUS_FALLBACK_AFTER_MS="300ms")  # fmt: skip
    video_id, provider_video = bus.store_video(bytes=SIZE)
    event = bus.wait_for_event("video.stored", video_id)
    assert (event["store"], event["bucket"]) == ("file", "overflow")
    assert in_fallback(bus, video_id).read_bytes() == bus.source_bytes(provider_video)
    assert "ev=store_spills" in bus.consumer.log and "because=outage" in bus.consumer.log
    assert bus.consumer.metric("reelbus_store_circuit_open", code="store_away") == 1
    wait_for(bus.consumer.is_ready, "one store is enough")  # and whoever operates it can see which
    assert bus.consumer.get("/readyz").json() == {"ready": True, "kafka": True, "database": True, "store": False, "fallback": True}
    assert bus.consumer.metric("reelbus_store_up") == 0 and bus.consumer.metric("reelbus_fallback_up") == 1


def test_a_fallback_store_that_is_full_as_well_is_tried_by_probes(bus, s3_server):
    bucket = f"videos-{bus.number}-{id(bus):x}"
    s3_server.client.create_bucket(Bucket=bucket)
    proxy = s3.Proxy(s3_server.port)
    config = bus.folder / "fallback.conf"
    config.write_text(f"store = s3\nbucket = {bucket}\ns3_endpoint = http://127.0.0.1:{proxy.port}\n"
                      f"s3_access_key = {s3.ACCESS_KEY}\ns3_secret_key = {s3.SECRET_KEY}\n")  # fmt: skip
    left = proxy.rule(s3.Answer(402, s3.error_body("QuotaExceeded")), method="PUT", times=1 << 30)
    try:
        bus.start_producer()
        consumer = bus.start_consumer(REELBUS_QUOTA_USER_BYTES=2 * SIZE, REELBUS_QUOTA_THEN="spill", REELBUS_FALLBACK_CONFIG=config,
                                      REELBUS_RETRY_MAX_MS="300ms")  # fmt: skip
        value = lambda name: consumer.metric(f"reelbus_fallback_circuit_{name}")  # noqa: E731
        gauge = lambda: consumer.metric("reelbus_fallback_circuit_open", code="store_full")  # noqa: E731
        videos = [bus.store_video(bytes=2 * SIZE)[0] for _ in range(4)]
        wait_for(lambda: gauge() == 1, "somebody is alerted")
        seen = consumer.metric("reelbus_retries_total", why="outage")
        wait_for(lambda: value("probes_total") >= 3, "it is tried by probes")
        wait_for(lambda: consumer.metric("reelbus_retries_total", why="outage") >= seen + 12, "they wait")
        sent = proxy.count("PUT")
        assert sent <= len(videos) + value("probes_total")  # the others do not even begin
        bus.user = str(uuid.uuid4())  # the first store is well
        store(bus)
        assert consumer.metric("reelbus_store_circuit_open", code="store_full") == 0 and bus.events("video.store_failed") == []
        left[0] = 0
        for video_id in videos:
            assert bus.wait_for_event("video.stored", video_id)["bucket"] == bucket
        wait_for(lambda: gauge() == 0, "the alert is over")
        assert "ev=circuit_closed store=fallback" in consumer.log and assert_counted(bus, bucket)[1] == 4
    finally:
        proxy.close()


def test_what_the_first_store_has_already_is_not_stored_in_the_second_too(bus, s3_server):
    """As after a death between the object and its row."""
    bucket = f"videos-{bus.number}-{id(bus):x}"
    s3_server.client.create_bucket(Bucket=bucket)
    bus.start_producer()
    bus.start_consumer(**s3.options(s3_server.port, bucket))
    video_id, _ = store(bus)
    bus.wait_until_finished()
    bus.consumer.stop()
    bus.query("UPDATE reelbus.video SET state = 'processing', owner_topic = NULL, owner_offset = NULL, store = NULL, bucket = NULL,"
              " object_key = NULL, stored_url = NULL, bytes = NULL, sha256 = NULL WHERE video_id = %s", video_id)  # fmt: skip
    bus.query("INSERT INTO reelbus.video (video_id, state, store, bucket, bytes) VALUES (%s, 'stored', 's3', %s, %s)",
              uuid.uuid4(), bucket, 10 * SIZE)  # fmt: skip
    bus.start_consumer(**s3.options(s3_server.port, bucket, REELBUS_QUOTA_BYTES=5 * SIZE, REELBUS_QUOTA_THEN="spill",
                                    REELBUS_FALLBACK_CONFIG=fallback(bus)))  # fmt: skip
    bus.send_again(bus.records("video.webhook.received")[0])
    wait_for(lambda: bus.video_row(video_id)["state"] == "stored", "it is settled again")
    assert bus.video_row(video_id)["store"] == "s3" and not in_fallback(bus, video_id).exists()
    other, _ = bus.store_video(bytes=SIZE)
    assert bus.wait_for_event("video.stored", other)["bucket"] == "overflow" and in_fallback(bus, other).exists()


def keys_in(server, bucket):
    """Without the folders, which this server lists as well."""
    return {item["Key"] for item in server.client.list_objects_v2(Bucket=bucket)["Contents"] if "." in item["Key"]}


def test_what_a_dead_worker_had_begun_to_remove_is_removed_by_the_next(bus, s3_server):
    bucket = f"videos-{bus.number}-{id(bus):x}"
    s3_server.client.create_bucket(Bucket=bucket)
    proxy = s3.Proxy(s3_server.port)
    options = s3.options(proxy.port, bucket, REELBUS_QUOTA_BYTES=5 * SIZE // 2, REELBUS_QUOTA_WARN_AT="10%", REELBUS_QUOTA_STOP_AT="100%",
                         REELBUS_QUOTA_LOW_AT="100%", REELBUS_QUOTA_THEN="cleanup")  # fmt: skip
    try:
        bus.start_producer()
        bus.start_consumer(**options)
        (first, _), (second, _) = store(bus), store(bus)
        make_old(bus, first, 2)
        proxy.rule(s3.Answer(503, s3.error_body("SlowDown")), method="DELETE", times=1000)
        third, _ = store(bus)
        wait_for(lambda: bus.consumer.metric("reelbus_remove_failures_total") >= 1, "the store keeps it")
        bus.consumer.kill()
        row = bus.video_row(first)
        assert row["state"] == "deleted" and row["deleting_since"] is not None and row["video_url"] == row["source_url"]
        keys = {video_id: f"{bus.user}/{video_id}.mp4" for video_id in (first, second, third)}
        assert keys_in(s3_server, bucket) == set(keys.values())
        proxy.rules.clear()
        bus.query("UPDATE reelbus.video SET deleting_since = now() - interval '1 hour' WHERE deleting_since IS NOT NULL")
        bus.start_consumer(**options)
        wait_for(lambda: is_removed(bus, first), "it is taken over")
        assert keys_in(s3_server, bucket) == {keys[second], keys[third]}
        deleted = bus.events("video.deleted")
        assert len(deleted) >= 2 and {event["video_id"] for event in deleted} == {first} and len({event["event_id"] for event in deleted}) == 1
        assert assert_counted(bus, bucket)[1] == 2
    finally:
        proxy.close()


# -- keys -----------------------------------------------------------------------------------------------------------------


def test_keys_come_from_a_template(bus):
    bus.start_producer()
    bus.start_consumer(REELBUS_KEY_TEMPLATE="reels/{video_id}-of-{user_id}.mp4")
    video_id, provider_video = store(bus)
    row = bus.video_row(video_id)
    assert row["object_key"] == f"reels/{video_id}-of-{bus.user}.mp4"
    assert (bus.store / "videos" / row["object_key"]).read_bytes() == bus.source_bytes(provider_video)
