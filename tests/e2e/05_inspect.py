"""inspect: one video's whole story, as the rows, the store and its history have it."""

import json
import uuid

import s3


def inspect(bus, *arguments, status=0, **environment):
    options = {"REELBUS_FILE_ROOT": str(bus.store), "REELBUS_FILE_PUBLIC_URL": "http://127.0.0.1:1/media/", **environment}
    done = bus.run("reelbus-consumer", "inspect", *arguments, env=options)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def story(bus, video_id, **more):
    return json.loads(inspect(bus, video_id, "--json", **more).stdout)


def test_a_stored_video_is_told_from_webhook_to_object(running):
    video_id, provider_video = running.store_video()
    event, row = running.assert_stored(video_id, provider_video)
    running.wait_until_finished()
    running.consumer.stop()  # writes what it has still to note
    told = story(running, video_id)
    assert told["video_id"] == video_id and told["row"]["sha256"] == event["sha256"]
    assert told["application"] == {"user_id": running.user, "video_url": row["video_url"], "status": "completed"}
    assert told["object"] == {"verdict": "same", "bytes": event["bytes"], "sha256": event["sha256"]}
    assert told["next"] == "nothing: it is stored"
    received = next(entry for entry in told["history"] if entry["what"] == "received")
    source = (received["topic"], received["partition"], received["offset"])
    assert source == (event["source_topic"], event["source_partition"], event["source_offset"])
    announced = next(entry for entry in told["history"] if entry["what"] == "announced")
    record = running.records("video.stored")[0]
    assert (announced["topic"], announced["partition"], announced["offset"]) == (record.topic(), record.partition(), record.offset())
    lines = inspect(running, video_id).stdout
    for words in (f"video        {video_id}", "state        stored", "in the store: same", f"announced    {record.topic()}, partition"):
        assert words in lines, lines
    running.object_path(video_id).write_bytes(b"cut")
    assert story(running, video_id, status=4)["object"]["verdict"] == "other"
    running.object_path(video_id).unlink()
    assert "verify --repair" in story(running, video_id, status=4)["next"]


def test_what_waits_has_failed_or_is_unknown_says_what_comes_next(bus):
    video_id = bus.insert_video()
    assert "has not heard of it yet" in story(bus, video_id, status=4)["next"]
    bus.query("SELECT reelbus.expect_video(%s, 'openai', 'video_x1')", video_id)
    assert "who is asked again at 2" in story(bus, "video_x1")["next"]
    source = "https://user:canary@cdn.example.com/v.mp4?signature=canary"
    bus.query("UPDATE reelbus.video SET state = 'failed', error_class = 'renew', error_code = 'source_gone',"
              " error_message = E'gone\\x1b[31m', source_url = %s WHERE video_id = %s", source, video_id)  # fmt: skip
    told = story(bus, video_id)
    assert told["row"]["source_url"] == source and "it has failed (renew, source_gone)" in told["next"]
    lines = inspect(bus, video_id).stdout
    assert "https://cdn.example.com/v.mp4" in lines and "canary" not in lines and "\x1b" not in lines and "gone\\x1b[31m" in lines
    unknown = inspect(bus, str(uuid.uuid4()), status=4)
    assert "neither the application nor reelbus" in unknown.stdout
    assert "no provider's id" in inspect(bus, "video_none", status=4).stderr
    assert "needs VIDEO" in inspect(bus, status=2).stderr
    assert "no connection to Postgres" in inspect(bus, video_id, status=5, DATABASE_URL="postgresql://app@127.0.0.1:1/x").stderr


def test_the_object_is_looked_up_in_the_store_that_the_row_names(bus, s3_server):
    client, bucket, video_id = s3_server.client, f"looked-{bus.number}-{id(bus):x}", bus.insert_video()
    client.create_bucket(Bucket=bucket)
    bus.query("INSERT INTO reelbus.video (video_id, state, store, bucket, object_key, bytes, sha256)"
              " VALUES (%s, 'stored', 's3', %s, 'a/b.mp4', 3, %s)", video_id, bucket, "0" * 64)  # fmt: skip
    assert story(bus, video_id)["object"] == {"verdict": "unknown", "error": "no store of the kind 's3' with this bucket is configured"}
    options = s3.options(s3_server.port, bucket)

    def verdict(status):
        return story(bus, video_id, status=status, **options)["object"]["verdict"]

    assert verdict(4) == "missing"
    client.put_object(Bucket=bucket, Key="a/b.mp4", Body=b"abc", Metadata={"sha256": "0" * 64})
    assert verdict(0) == "same"
    client.put_object(Bucket=bucket, Key="a/b.mp4", Body=b"abc", Metadata={"sha256": "1" * 64})
    assert verdict(4) == "other"
