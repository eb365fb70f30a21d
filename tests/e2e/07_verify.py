"""verify: the store against the database, and what is missing or wrong stored again."""

import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest
import requests
import s3
from harness import ROOT, TINY_MP4, wait_for

sys.path.insert(0, str(ROOT / "tests/fakes"))
import supabase

SHA = hashlib.sha256(TINY_MP4).hexdigest()


class Checked:
    """A bus whose store is verified, and videos that are in it without anybody having stored them."""

    def __init__(self, bus):
        self.bus = bus
        self.options = {"REELBUS_FILE_ROOT": str(bus.store), "REELBUS_FILE_PUBLIC_URL": "http://127.0.0.1:1/media/"}

    def put(self, key, body, sha256=SHA):
        path = self.bus.store / "videos" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        if sha256:
            os.setxattr(path, "user.reelbus.sha256", sha256.encode())

    def row(self, key, source=None, store="file", bucket="videos", video_id=None, variants=None):
        video_id = video_id or self.bus.insert_video()
        url = f"http://127.0.0.1:1/media/{key}"
        self.bus.query("INSERT INTO reelbus.video (video_id, user_id, state, store, bucket, object_key, stored_url, bytes, sha256,"
                       " source_url, stored_at, attempt, variants) VALUES (%s, %s, 'stored', %s, %s, %s, %s, %s, %s, %s, now(), 1, %s)",
                       video_id, self.bus.user, store, bucket, key, url, len(TINY_MP4), SHA, source,
                       json.dumps(variants) if variants else None)  # fmt: skip
        self.bus.query("UPDATE video_history SET status = 'completed', video_url = %s WHERE id = %s", url, video_id)
        return video_id

    def stored(self, **more):
        video_id = self.bus.insert_video()
        key = f"{self.bus.user}/{video_id}.mp4"
        self.put(key, TINY_MP4)
        return self.row(key, video_id=video_id, **more), self.bus.store / "videos" / key

    def run(self, *arguments, status=0, **environment):
        done = self.bus.run("reelbus-consumer", "verify", *arguments, env={**self.options, **environment})
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def verify(self, *arguments, **more):
        """What was found: video to verdict; and the sums."""
        lines = [json.loads(line) for line in self.run("--json", *arguments, **more).stdout.splitlines()]
        assert "summary" in lines[-1] and all(line["video_id"] for line in lines[:-1])
        return {line["video_id"]: line for line in lines[:-1]}, lines[-1]["summary"]


@pytest.fixture
def checked(bus):
    return Checked(bus)


def test_each_difference_is_found_and_named(checked):
    good = [checked.stored() for _ in range(3)]
    missing, path = checked.stored()
    path.unlink()
    cut, path = checked.stored()
    path.write_bytes(TINY_MP4[:-1])
    other, path = checked.stored()
    os.setxattr(path, "user.reelbus.sha256", b"1" * 64)
    elsewhere = checked.row("a.mp4", bucket="another")
    beside, path = checked.stored(variants={"thumbnail": {"object_key": "t.webp", "bytes": 4, "sha256": "2" * 64}})
    found, sums = checked.verify(status=4)
    assert {video: line["verdict"] for video, line in found.items()} == {
        missing: "missing", cut: "other", other: "other", elsewhere: "unknown", beside: "missing"}  # fmt: skip
    assert found[cut]["found"]["bytes"] == len(TINY_MP4) - 1 and found[other]["found"]["sha256"] == "1" * 64
    assert found[beside]["object"]["name"] == "thumbnail" and "no store of the kind 'file'" in found[elsewhere]["error"]
    assert (sums["looked_at"], sums["same"], sums["other"], sums["missing"], sums["unknown"], sums["sent"]) == (8, 3, 2, 2, 1, 0)
    lines = checked.run(status=4).stdout
    assert f"missing  {missing} videos/" in lines and "8 looked at: 3 same, 2 other, 2 missing, 1 unknown" in lines
    assert checked.verify("--video", good[0][0])[1]["looked_at"] == 1
    assert checked.verify("--user", "nobody")[1]["looked_at"] == checked.verify("--until", "1h")[1]["looked_at"] == 0
    ids = sorted([video for video, _ in good] + list(found))
    assert checked.verify("--after", ids[3], status=4 if {missing, cut, other, beside} & set(ids[4:]) else 1)[1]["looked_at"] == 4
    assert "expected the UUID" in checked.run("--after", "x", status=2).stderr


def test_bytes_are_read_when_their_hash_is_asked_for(checked):
    _, (rotten, path) = checked.stored(), checked.stored()
    with path.open("r+b") as file:  # as many as before, and what was noted beside them stays
        file.seek(-1, os.SEEK_END)
        file.write(b"X")
    assert checked.verify()[1]["same"] == 2
    found, sums = checked.verify("--hash", status=4)
    assert list(found) == [rotten] and found[rotten]["verdict"] == "other" and sums["bytes"] == len(TINY_MP4)
    assert found[rotten]["found"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_missing_or_wrong_is_stored_again_from_its_source(running, source):
    checked = Checked(running)
    url = source.url("v.mp4")
    (good, _), (missing, gone), (rotten, path) = (checked.stored(source=url) for _ in range(3))
    gone.unlink()
    path.write_bytes(TINY_MP4[:-1] + b"X")
    os.setxattr(path, "user.reelbus.sha256", SHA.encode())
    unknown = checked.row("no-source.mp4")
    found, sums = checked.verify("--hash", "--repair", status=4)
    assert sums["sent"] == 2 and sums["unsent"] == 1 and set(found) == {missing, rotten, unknown}
    assert found[missing]["repair"] == "sent to be stored again" and "not sent" in found[unknown]["repair"]
    for video_id in (missing, rotten):
        event = running.wait_for_event("video.stored", video_id)
        row = running.video_row(video_id)
        assert event["attempt"] == row["attempt"] == 2 and event["sha256"] == SHA and event["source_url"] == url
        assert running.object_path(video_id).read_bytes() == TINY_MP4 and row["video_url"] == event["video_url"]
        assert [one["scheme"] for one in running.events("video.webhook.received", video_id)] == ["verify"]
    assert running.video_row(good)["attempt"] == 1 and running.events("video.stored", good) == []
    running.query("DELETE FROM reelbus.video WHERE video_id = %s", unknown)
    assert checked.verify("--hash")[1]["same"] == 3


def test_a_repair_that_was_killed_is_finished_by_the_next(checked):
    """The row was set back, the record never sent."""
    bus, start = checked.bus, "00000000-0000-0000-0000-000000000000"
    for how in (signal.SIGINT, signal.SIGKILL):
        bus.query("DELETE FROM reelbus.video")
        video_id = checked.row("lost.mp4", source="http://127.0.0.1:1/v.mp4")
        process = subprocess.Popen([bus.programs / "reelbus-consumer", "verify", "--repair"], stderr=subprocess.PIPE, text=True,
                                   stdout=subprocess.PIPE, env={**os.environ, **bus.common, **checked.options,
                                                                "REELBUS_KAFKA_BROKERS": "127.0.0.1:1"})  # fmt: skip
        wait_for(lambda: bus.video_row(video_id)["state"] == "processing", "it is set back")
        process.send_signal(how)
        said = process.communicate(timeout=60)[1]
        assert how == signal.SIGKILL or f"go on with --after {start}" in said
    row = bus.video_row(video_id)
    assert row["video_url"] == row["source_url"] and bus.events("video.webhook.received") == []
    found, _ = checked.verify(status=4)
    assert found[video_id]["set_back"] is True and bus.events("video.webhook.received") == []
    for count in (1, 2):  # whoever runs it again sends it again, and consumers pass it over
        assert checked.verify("--repair", status=4)[1]["sent"] == 1
        events = bus.events("video.webhook.received", video_id)
        assert len(events) == count and events[0]["video_url"] == row["source_url"] and events[0]["user_id"] == bus.user


def test_objects_in_s3_are_looked_at_and_read(bus, s3_server):
    checked, client, bucket = Checked(bus), s3_server.client, f"verified-{bus.number}-{id(bus):x}"
    client.create_bucket(Bucket=bucket)
    checked.options = s3.options(s3_server.port, bucket)
    rows = {name: checked.row(f"{name}.mp4", store="s3", bucket=bucket) for name in ("good", "rotten", "missing")}
    for name, body in (("good", TINY_MP4), ("rotten", TINY_MP4[:-1] + b"X")):
        client.put_object(Bucket=bucket, Key=f"{name}.mp4", Body=body, Metadata={"sha256": SHA})
    found, sums = checked.verify(status=4)
    assert list(found) == [rows["missing"]] and sums["same"] == 2
    found, sums = checked.verify("--hash", "--at-once", "1", status=4)
    assert set(found) == {rows["missing"], rows["rotten"]} and sums["same"] == 1 and sums["bytes"] == len(TINY_MP4)
    assert found[rows["rotten"]]["found"]["bytes"] == len(TINY_MP4)
    denied = checked.verify(status=1, REELBUS_S3_SECRET_KEY="wrong", AWS_SECRET_ACCESS_KEY="wrong")
    assert {line["verdict"] for line in denied[0].values()} == {"unknown"} and denied[1]["unknown"] == 3
    wrong = s3.options(s3_server.port, f"{bucket}-gone")
    bus.query("UPDATE reelbus.video SET bucket = %s", f"{bucket}-gone")
    assert "no bucket" in checked.run("--repair", status=1, **wrong).stderr  # another store than it was has lost nothing
    assert bus.query("SELECT count(*) AS count FROM reelbus.video WHERE state <> 'stored'")[0]["count"] == 0


def test_objects_in_supabase_are_looked_at_and_read(bus):
    checked, server = Checked(bus), supabase.Supabase()
    try:
        server.make_bucket("videos")
        checked.options = {"REELBUS_STORE": "supabase", "SUPABASE_URL": server.url, "SUPABASE_SERVICE_ROLE_KEY": supabase.SECRET_KEY}
        rows = {name: checked.row(f"{name}.mp4", store="supabase") for name in ("good", "rotten", "missing")}
        for name, body in (("good", TINY_MP4), ("rotten", TINY_MP4[:-1] + b"X")):
            requests.post(f"{server.url}/storage/v1/object/videos/{name}.mp4", body, headers={"apikey": supabase.SECRET_KEY}).raise_for_status()
        found, sums = checked.verify(status=4)
        assert {line["verdict"] for line in found.values()} == {"missing"} and sums["same"] == 2
        found, sums = checked.verify("--hash", status=4)
        assert found[rows["rotten"]]["verdict"] == "other" and found[rows["missing"]]["verdict"] == "missing" and sums["same"] == 1
    finally:
        server.close()


def test_it_is_ended_by_ctrl_c_and_says_how_to_go_on(checked):
    (first, _), (second, _) = sorted(checked.stored() for _ in range(2))
    bus = checked.bus
    with bus.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE reelbus.video IN ACCESS EXCLUSIVE MODE")
        process = subprocess.Popen([bus.programs / "reelbus-consumer", "verify", "--after", first], text=True,
                                   env={**os.environ, **bus.common, **checked.options, "REELBUS_DB_TIMEOUT_MS": "10m"},
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        waiting = "SELECT count(*) AS count FROM pg_stat_activity WHERE application_name LIKE 'reelbus-consumer command' AND wait_event_type = 'Lock'"
        wait_for(lambda: bus.query(waiting)[0]["count"] == 1, "it waits for the table")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        connection.execute("ROLLBACK")
    assert process.returncode == 130 and f"go on with --after {first}" in err and "0 looked at" in out
    assert checked.verify("--after", first)[1]["looked_at"] == 1 and second > first
