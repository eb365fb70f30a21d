"""cleanup: videos that go by rules of retention, by a command and by the running consumers."""

import concurrent.futures
import http.server
import json
import os
import sys
import threading
import uuid

import pytest
import requests
import s3
import sources
from harness import ROOT, TINY_MP4, wait_for

sys.path.insert(0, str(ROOT / "tests/fakes"))
import supabase

SIZE = len(TINY_MP4)
URL = "http://127.0.0.1:1/media/videos/"
SOURCE = "https://source.example/"


class Kept:
    """A bus with videos in its store that nobody has stored."""

    def __init__(self, bus, kind="file", bucket="videos"):
        self.bus, self.kind, self.bucket = bus, kind, bucket
        self.options = {"REELBUS_FILE_ROOT": str(bus.store), "REELBUS_FILE_PUBLIC_URL": "http://127.0.0.1:1/media/"}

    def put(self, key):
        path = self.bus.store / "videos" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(TINY_MP4)

    def fill(self, *ages, user=None):
        """A video of each age, in days, and its object; with a thumbnail beside it."""
        user = user or self.bus.user
        videos = []
        for age in ages:
            video = str(uuid.uuid4())
            for suffix in (".mp4", ".thumbnail.webp"):
                self.put(f"{user}/{video}{suffix}")
            videos.append((video, user, f"{user}/{video}", age))
        with self.bus.connect() as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO video_history (id, user_id, prompt, status, video_url) VALUES (%s, %s, 'a test', 'completed', %s)",
                               [(video, user, f"{URL}{key}.mp4") for video, user, key, _ in videos])  # fmt: skip
            cursor.executemany(
                "INSERT INTO reelbus.video (video_id, user_id, state, store, bucket, object_key, stored_url, source_url, bytes, sha256,"
                " variants, variants_bytes, attempt, stored_at) VALUES (%s, %s, 'stored', %s, %s, %s, %s, %s, %s, 'x', %s, %s,"
                " 1, now() - %s * interval '1 day')",
                [(video, user, self.kind, self.bucket, f"{key}.mp4", f"{URL}{key}.mp4", SOURCE + video, SIZE,
                  json.dumps({"thumbnail": {"object_key": f"{key}.thumbnail.webp", "bytes": SIZE}}), SIZE, age)
                 for video, user, key, age in videos])  # fmt: skip
        return [video for video, *_ in videos]

    def run(self, *arguments, status=0, **environment):
        done = self.bus.run("reelbus-consumer", "cleanup", *arguments, env={**self.options, **environment})
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def cleanup(self, *arguments, **more):
        """How many videos went by each rule, and the sums."""
        lines = [json.loads(line) for line in self.run("--json", *arguments, **more).stdout.splitlines()]
        rules = {line["rule"]: line["videos"] for line in lines if "rule" in line}
        return rules, next((line["summary"] for line in lines if "summary" in line), None)

    def orphans(self, *arguments, status=0, **environment):
        """The keys that are gone, or would go, and the sums of each bucket."""
        lines = [json.loads(line) for line in self.run("--orphans", "--json", *arguments, status=status, **environment).stdout.splitlines()]
        rows = [line["orphan"] for line in lines if "orphan" in line]
        assert {row["result"] for row in rows} <= {"would go" if "--dry-run" in arguments else "gone", "failed"}
        sums = [line["orphans"] for line in lines if "orphans" in line]
        assert sum(found["removed"] for found in sums) == sum(row["result"] != "failed" for row in rows)
        return {f"{row['bucket']}/{row['key']}" for row in rows if row["result"] != "failed"}, sums

    def left(self):
        """The videos that are stored, by their rows and by their objects."""
        rows = self.bus.query("SELECT video_id::text FROM reelbus.video WHERE state = 'stored'")
        objects = {name.rpartition("/")[2].partition(".")[0] for name in self.bus.objects()}
        assert {row["video_id"] for row in rows} == objects
        return objects

    def assert_gone(self, *videos):
        """Rows say so, the application has the original URLs, and each was announced under one id."""
        rows = self.bus.query("SELECT v.state, v.deleting_since, v.delete_reason, h.video_url FROM reelbus.video v JOIN video_history h"
                              " ON h.id = v.video_id WHERE v.video_id = ANY(%s::uuid[])", list(videos))  # fmt: skip
        assert {(row["state"], row["deleting_since"], row["delete_reason"]) for row in rows} == {("deleted", None, "retention")}
        assert {row["video_url"] for row in rows} == {SOURCE + video for video in videos}
        events = [event for event in self.bus.events("video.deleted") if event["video_id"] in videos]
        assert len({event["event_id"] for event in events}) == len({event["video_id"] for event in events}) == len(videos)
        assert {event["reason"] for event in events} == {"retention"}
        return events


class KeptInS3(Kept):
    def __init__(self, bus, server, proxy):
        super().__init__(bus, "s3", f"videos-{bus.number}-{id(bus):x}")
        self.server = server
        self.server.client.create_bucket(Bucket=self.bucket)
        self.options = s3.options(proxy.port, self.bucket)

    def put(self, key):
        self.server.client.put_object(Bucket=self.bucket, Key=key, Body=TINY_MP4)

    def keys(self):
        pages = self.server.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {item["Key"] for page in pages for item in page.get("Contents", []) if "." in item["Key"]}


@pytest.fixture
def kept(bus):
    return Kept(bus)


def test_each_rule_lets_the_oldest_go_and_nothing_that_is_young(kept):
    old, middle, young = kept.fill(10, 5, 0)
    assert kept.cleanup("--older-than", "7d", "--dry-run") == ({"age": 1}, None)
    assert kept.left() == {old, middle, young}
    rules, sums = kept.cleanup("--older-than", "7d")
    assert rules == {"age": 1} and (sums["removed"], sums["failed"], sums["bytes"]) == (1, 0, SIZE)
    assert kept.left() == {middle, young}
    assert len(kept.assert_gone(old)) == 1
    assert kept.cleanup("--older-than", "1ms")[0] == {"age": 1}  # the youngest is too young
    rules, sums = kept.cleanup("--older-than", "1ms")
    assert rules == {} and sums["removed"] == 0
    assert kept.left() == {young}
    # of one user: by videos, by bytes with what lies beside them
    many, few = [kept.fill(*range(9, 4, -1), user=str(uuid.uuid4())), kept.fill(30, 29, user=str(uuid.uuid4()))]
    assert kept.cleanup("--max-user-videos", "3")[0] == {"user": 2}
    assert kept.left() == {young, *many[2:], *few}
    assert kept.cleanup("--max-user-bytes", f"{4 * SIZE - 1}")[0] == {"user": 2 + 1}
    assert kept.left() == {young, many[4], few[1]}
    # in all: down to the low mark, or not at all
    assert kept.cleanup("--max-bytes", f"{6 * SIZE}", "--low", "1")[0] == {}
    assert kept.cleanup("--max-bytes", f"{6 * SIZE - 1}", "--low", f"{4 * SIZE}")[0] == {"total": 1}
    assert kept.left() == {young, many[4]}
    assert kept.bus.query("SELECT sum(videos) AS videos, sum(bytes) AS bytes FROM reelbus.usage") == [{"videos": 2, "bytes": 4 * SIZE}]
    kept.assert_gone(old, middle, *many[:4], *few)
    # as the options say, in words, also when the application's row refuses; and what is wrong is said
    kept.bus.query(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = '{many[4]}' THEN"
                   " RAISE 'no'; END IF; RETURN NEW; END $$")  # fmt: skip
    kept.bus.query("CREATE TRIGGER refuse BEFORE UPDATE ON video_history FOR EACH ROW EXECUTE FUNCTION refuse()")
    others = kept.fill(3, 2)
    done = kept.run(REELBUS_RETENTION_MS="1d")
    assert "3 videos, " in done.stdout and "were let go" in done.stdout and "ev=row_refuses" in done.stderr
    assert kept.left() == {young}
    kept.assert_gone(*others)
    assert kept.bus.video_row(many[4])["video_url"].startswith(URL)
    assert "more than 'max_bytes'" in kept.run("--max-bytes", "1", "--low", "2", status=2).stderr
    for nothing in (["--user", ""], ["--older-than", "0"], ["--max-bytes", "0"], ["--max-user-bytes", "0"], ["--max-user-videos", "0"], ["--no-orphans"]):
        done = kept.run(*nothing, status=2, REELBUS_RETENTION_MS="1ms", REELBUS_RETENTION_MIN_AGE_MS="0")
        assert "says nothing" in done.stderr and kept.left() == {young}
    assert "about 'orphans'" in kept.run("--orphan-age", "7d", status=2, REELBUS_RETENTION_MS="1ms").stderr
    assert "about 'orphans'" in kept.run("--orphans-most", "--older-than", "7d", status=2).stderr
    assert "more than 'retention_bytes'" in kept.run(REELBUS_RETENTION_LOW_BYTES="2", status=2).stderr


def test_a_cleanup_that_is_killed_anywhere_is_finished_by_the_next(failing):
    kept = Kept(failing)
    videos = kept.fill(*[9] * 300, 0)
    for fail in ("removal_noted:30:kill", "removal_announced:60:kill", "removal_done:1:kill", "removal_done:70:kill"):
        kept.run("--older-than", "1d", status=-9, REELBUS_FAIL=fail)
        rows = failing.query("UPDATE reelbus.video SET deleting_since = now() - interval '1 hour' WHERE deleting_since IS NOT NULL RETURNING 1")
        assert rows
    kept.run("--older-than", "1d")
    assert kept.left() == {videos[-1]}
    assert len(kept.assert_gone(*videos[:-1])) >= 300


def test_one_of_the_running_consumers_does_what_the_options_say(kept):
    """And goes on where one has died that did so before."""
    bus, videos = kept.bus, kept.fill(*[9] * 100, 0)
    bus.query("INSERT INTO reelbus.lease (name, holder, until) VALUES ('retention', 'dead', now() - interval '1 second')")
    consumers = [bus.start_consumer(REELBUS_RETENTION_MS="1d", REELBUS_GROUP_INSTANCE_ID="", REELBUS_LOG_LEVEL="notice") for _ in range(2)]
    wait_for(lambda: bus.query("SELECT 1 FROM reelbus.lease WHERE ended_at IS NOT NULL"), "one of them is through")
    assert kept.left() == {videos[-1]}
    assert len(kept.assert_gone(*videos[:-1])) == 100
    removed = sorted((consumer.metric("reelbus_removed_total"), consumer.metric("reelbus_retention_runs_total")) for consumer in consumers)
    assert removed == [(0, 0), (100, 1)]
    assert sum("ev=retained videos=100" in consumer.log and "age=100" in consumer.log for consumer in consumers) == 1


def stalling(go_on):
    """Keeps the last byte back until that is set."""

    class Slow(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(SIZE))
            self.end_headers()
            self.wfile.write(TINY_MP4[:-1])
            go_on.wait(600)
            self.wfile.write(TINY_MP4[-1:])

    return Slow


def test_what_is_stored_while_its_row_is_being_deleted_goes_again(kept):
    """The statement that says so has seen the row as its own, and waits for the one that deletes it."""
    bus, go_on = kept.bus, threading.Event()
    with sources.serving(stalling(go_on)) as source:
        bus.start_consumer(REELBUS_QUOTA_CHECK_MS="100ms", REELBUS_LOW_SPEED_MS="10m")
        video = bus.insert_video()
        bus.send_webhook_event(video, f"{source}/a.mp4")
        wait_for(lambda: bus.consumer.metric("reelbus_transfers") == 1, "it is being fetched")
        with bus.connect() as connection, connection.transaction():
            connection.execute("UPDATE reelbus.video SET state = 'deleted', delete_reason = 'request', deleted_at = now(),"
                               " claim_epoch = claim_epoch + 1 WHERE video_id = %s", (video,))  # fmt: skip
            go_on.set()
            wait_for(lambda: bus.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%late AS%%'"), "it waits")
            assert len(bus.objects()) == 1
        wait_for(lambda: bus.objects() == [], "what came too late goes, too")
        bus.wait_until_finished()
    assert bus.events("video.stored") == []


def test_nothing_is_left_of_a_user_who_wants_to_be_forgotten(kept):
    """Neither of what is stored, nor of what is being stored just now, nor of what went before; and no record brings it back."""
    bus, go_on = kept.bus, threading.Event()
    other = str(uuid.uuid4())
    (theirs,) = kept.fill(1, user=other)
    stored, gone, failed = kept.fill(8, 9, 0)
    kept.cleanup("--max-user-videos", "2")
    bus.query("UPDATE reelbus.video SET state = 'failed', error_message = 'https://secret.example/', owner_topic = 't', owner_partition = 1,"
              " owner_offset = 1 WHERE video_id = %s", failed)  # fmt: skip
    with sources.serving(stalling(go_on)) as source:
        bus.start_consumer(REELBUS_QUOTA_CHECK_MS="100ms", REELBUS_LOW_SPEED_MS="10m")
        fetched, unheard = bus.insert_video(), bus.insert_video()
        bus.send_webhook_event(fetched, f"{source}/a.mp4")
        wait_for(lambda: bus.consumer.metric("reelbus_transfers") == 1, "it is being fetched")
        assert kept.cleanup("--user", bus.user, "--dry-run") == ({"erase": 3}, None)
        assert "stands alone" in kept.run("--user", bus.user, "--older-than", "1d", status=2).stderr
        rules, sums = kept.cleanup("--user", bus.user)
        assert rules == {"erase": 3} and (sums["removed"], sums["failed"]) == (3, 0)
        go_on.set()
        wait_for(lambda: any(event["object_key"] for event in bus.events("video.deleted", fetched)), "what came too late goes, too")
        videos = (stored, gone, failed, fetched, unheard)
        for video in videos:  # as a replay would
            bus.send_webhook_event(video, f"{source}/b.mp4")
        bus.wait_until_finished()
    wait_for(lambda: not bus.query("SELECT 1 FROM reelbus.video WHERE deleting_since IS NOT NULL"), "all of it is gone")
    assert sorted(bus.objects()) == [f"videos/{other}/{theirs}{suffix}" for suffix in (".mp4", ".thumbnail.webp")]
    for video in videos:
        row = bus.video_row(video)
        assert row["state"] == "deleted" and row["delete_reason"] == "request"
        known = ("video_url", "source_url", "stored_url", "user_id", "object_key", "variants", "superseded", "error_message")
        assert {name: row[name] for name in known if row[name]} == {}
    assert bus.query("SELECT 1 FROM reelbus.usage WHERE user_id = %s", bus.user) == []
    assert bus.query("SELECT 1 FROM reelbus.history WHERE detail LIKE '%%http%%' OR detail LIKE %s", f"%{bus.user}%") == []
    reasons = {event["video_id"]: event["reason"] for event in bus.events("video.deleted")}
    assert reasons == {stored: "request", gone: "retention", failed: "request", fetched: "request"}
    assert bus.events("video.stored") == [] and kept.cleanup("--user", bus.user)[1]["removed"] == 0
    assert "nobody knows" in kept.run("--user", str(uuid.uuid4()), status=4).stderr
    # what is going for another reason is forgotten, too, and not said to be gone before it is
    (going,) = kept.fill(1)
    bus.query("UPDATE reelbus.video SET state = 'deleted', delete_reason = 'retention', deleted_at = now(), deleting_since = now(),"
              " bucket = 'elsewhere' WHERE video_id = %s", going)  # fmt: skip
    assert "1 videos of the user are not gone yet, 1 of them in stores that are not" in kept.run("--user", bus.user, status=1).stderr
    assert bus.video_row(going)["object_key"] and bus.video_row(going)["source_url"] is None
    bus.query("UPDATE reelbus.video SET deleting_since = now() - interval '1 hour', bucket = 'videos' WHERE video_id = %s", going)
    wait_for(lambda: bus.video_row(going)["deleting_since"] is None, "it is taken over")
    row = bus.video_row(going)
    assert (row["user_id"], row["object_key"], row["variants"], row["delete_reason"]) == (None, None, None, "request")


def test_s3_is_asked_to_remove_many_at_once_and_what_it_keeps_one_by_one(bus, s3_server):
    proxy = s3.Proxy(s3_server.port)
    try:
        kept = KeptInS3(bus, s3_server, proxy)
        many = lambda: sum(1 for seen in proxy.seen if seen.method == "POST" and "delete" in seen.query)  # noqa: E731
        first = kept.fill(*[9] * 20)
        assert kept.cleanup("--older-than", "1d")[1]["removed"] == 20 and kept.keys() == set()
        assert 1 <= many() < 20 and proxy.count("DELETE") == 0
        second = kept.fill(*[9] * 4)
        errors = "".join(f"<Error><Key>{bus.user}/{video}.mp4</Key><Code>InternalError</Code></Error>" for video in second)
        proxy.rule(s3.Answer(200, f"<DeleteResult>{errors}</DeleteResult>".encode()), method="POST", times=9, delete=None)
        assert kept.cleanup("--older-than", "1d")[1]["removed"] == 4 and kept.keys() == set()
        assert proxy.count("DELETE") == 8
        proxy.rules.clear()
        third = kept.fill(*[9] * 4)
        proxy.rule(s3.Answer(501, s3.error_body("NotImplemented")), method="POST", times=9, delete=None)
        assert kept.cleanup("--older-than", "1d")[1]["removed"] == 4 and kept.keys() == set()
        assert proxy.count("DELETE") == 16
        proxy.rules.clear()
        kept.fill(*[9] * 4)
        proxy.rule(s3.Answer(503, s3.error_body("SlowDown")), method="POST", times=9, delete=None)
        sums = kept.cleanup("--older-than", "1d", status=1)[1]
        assert (sums["removed"], sums["failed"]) == (0, 4) and len(kept.keys()) == 8
        kept.assert_gone(*first, *second, *third)
    finally:
        proxy.close()


def test_supabase_is_asked_to_remove_many_at_once(bus):
    server = supabase.Supabase()
    server.make_bucket("videos")
    kept = Kept(bus, "supabase")
    kept.options = {"REELBUS_STORE": "supabase", "SUPABASE_URL": server.url, "SUPABASE_SERVICE_ROLE_KEY": supabase.SECRET_KEY}
    kept.put = lambda key: requests.post(f"{server.url}/storage/v1/object/videos/{key}", data=TINY_MP4, timeout=60,
                                         headers={"apikey": supabase.SECRET_KEY, "Content-Type": "video/mp4"}).raise_for_status()  # fmt: skip
    videos = kept.fill(*[9] * 10)
    del server.objects["videos", f"{bus.user}/{videos[3]}.mp4"]
    assert kept.cleanup("--older-than", "1d")[1]["removed"] == 10 and server.objects == {}
    assert 1 <= server.count("DELETE", "/object/videos") - server.count("DELETE", "/object/videos/") < 10
    kept.assert_gone(*videos)
    (video,) = kept.fill(9)
    server.rule(supabase.no_bucket(), path="/object/", times=9)  # nothing is gone from a bucket that is not there
    assert kept.cleanup("--older-than", "1d", status=1)[1]["failed"] == 1
    assert bus.video_row(video)["deleting_since"] is not None
    server.close()


def test_objects_that_no_row_has_are_removed_once_they_are_old(kept):
    bus = kept.bus
    objects = lambda: {name for name in bus.objects() if not name.startswith(".partial")}  # noqa: E731
    assert "knows of no video" in kept.run("--orphans", status=2).stderr  # as another database would not
    (stored,), (deleted,), (working,), (failed,), (moved,), (spilled,) = (kept.fill(1) for _ in range(6))
    bus.query("UPDATE reelbus.video SET state = 'processing', object_key = NULL WHERE video_id = %s", working)
    bus.query("UPDATE reelbus.video SET state = 'failed', object_key = NULL, variants = NULL WHERE video_id = %s", failed)
    bus.query("UPDATE reelbus.video SET state = 'deleted' WHERE video_id = %s", deleted)
    bus.query("UPDATE reelbus.video SET store = 'supabase', bucket = 'before' WHERE video_id = %s", moved)
    bus.query("UPDATE reelbus.video SET bucket = 'spare' WHERE video_id = %s", spilled)
    bus.query("UPDATE video_history SET video_url = NULL WHERE id = ANY(%s::uuid[])", [deleted, failed, moved, spilled])
    unknown, shown = str(uuid.uuid4()), bus.insert_video()
    bus.query("UPDATE video_history SET video_url = %s WHERE id = %s", f"{URL}{bus.user}/{shown}.mp4", shown)
    gone = [f"{bus.user}/{deleted}.mp4", f"{bus.user}/{deleted}.thumbnail.webp", f"{bus.user}/{unknown}.webm", f"{bus.user}/{stored}.webm"]
    stay = [f"{bus.user}/{shown}.mp4", f"{unknown}.mp4", f"{bus.user}/{unknown}.txt.mp4", f"{bus.user}/{unknown}/a.mp4", f"{bus.user}/readme.mp4"]
    old = lambda: [os.utime(path, (path.stat().st_mtime - 2 * 86400,) * 2) for path in (bus.store / "videos").rglob("*.*")]  # noqa: E731
    for key in {*gone, *stay}:
        kept.put(key)
    old()
    for _ in range(1100):
        kept.put(f"{bus.user}/{uuid.uuid4()}.mp4")
    partial = bus.store / ".partial" / "left.part"
    partial.parent.mkdir(exist_ok=True)
    partial.write_bytes(TINY_MP4)
    before, gone = objects(), {f"videos/{key}" for key in gone}
    assert kept.orphans("--dry-run")[0] == gone and objects() == before
    assert kept.orphans("--dry-run", "--orphan-age", "3d")[0] == set()
    assert "not looked for" in kept.run("--uploads", "--dry-run").stdout and partial.exists()
    found, (sums,) = kept.orphans()
    assert (found, sums["bytes"], sums["looked_at"]) == (gone, len(gone) * SIZE, len(before))
    assert before - objects() == gone and not partial.exists()
    assert "0 of 1,1" in kept.run("--orphans").stdout
    # what the row says to lie in the other store is another object
    (bus.store / "spare").mkdir()
    config = bus.folder / "spare.conf"
    config.write_text(f"store = file\nbucket = spare\nfile_root = {bus.store}\nfile_public_url = http://127.0.0.1:1/media/\n")
    spilled = {f"videos/{bus.user}/{spilled}{suffix}" for suffix in (".mp4", ".thumbnail.webp")}
    partial.write_bytes(TINY_MP4)
    assert kept.orphans("--dry-run", REELBUS_FALLBACK_CONFIG=str(config))[0] == spilled and partial.exists()
    assert kept.orphans(REELBUS_FALLBACK_CONFIG=str(config))[0] == spilled
    # most of it is another one's: then all of it stays
    old()
    before = objects()
    for more in ([], ["--dry-run"]):
        done = kept.run("--orphans", *more, status=4)
        assert "share this bucket" in done.stderr and objects() == before
    assert done.stdout.count("would go") == 1100 + 1
    assert len(kept.orphans("--orphans-most")[0]) == 1100 and f"videos/{bus.user}/{failed}.mp4" in objects()


@pytest.mark.release_only
def test_orphans_in_s3_are_found_on_all_pages(bus, s3_server):
    proxy = s3.Proxy(s3_server.port)
    kept = KeptInS3(bus, s3_server, proxy)
    (stored,) = kept.fill(1)
    videos = [str(uuid.uuid4()) for _ in range(1020)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(kept.put, [f"{bus.user}/{video}.mp4" for video in videos]))
    look = ("--orphan-age", "1ms", "--orphans-most")
    done = kept.run("--orphans", "--orphan-age", "1ms", "--dry-run", status=4)
    assert "1,020 of 1,02" in done.stdout and f"{kept.bucket}/{bus.user}/{videos[7]}.mp4, " in done.stdout
    kept.orphans(*look, REELBUS_CLEANUP_PREFIX=f"{bus.user}/0")
    left = kept.keys()
    assert f"{bus.user}/{stored}.mp4" in left and not any(key.startswith(f"{bus.user}/0") and stored not in key for key in left)

    # those that are claimed while others are removed stay
    def claim(method, path, query, headers):
        if method == "POST" and "delete" in query:
            bus.query("INSERT INTO reelbus.video (video_id, state) SELECT unnest(%s::uuid[]), 'processing' ON CONFLICT DO NOTHING", videos)

    proxy.rules.append(claim)
    assert len(kept.orphans(*look)[0]) == len(left) - len(kept.keys()) == 100
    bus.query("DELETE FROM reelbus.video WHERE state = 'processing'")
    proxy.rules.clear()
    # a store that removes nothing, one that tells no age, one that lists in a circle
    left = kept.keys()
    proxy.rule(s3.Answer(501, s3.error_body("NotImplemented")), method="POST", times=9, delete=None)
    proxy.rule(s3.Answer(403, s3.error_body("AccessDenied")), method="DELETE", times=99)
    assert kept.orphans(*look, status=1)[1][0]["failed"] == proxy.count("DELETE") == 20
    row = f"<Contents><Key>{bus.user}/{videos[-1]}.mp4</Key><Size>1</Size></Contents>"
    for page, status in ((row, 0), (f"{row}<NextContinuationToken>a</NextContinuationToken><IsTruncated>true</IsTruncated>", 1),
                         ("<IsTruncated>true</IsTruncated>", 1), ("<IsTruncated>false</IsTruncated><NextContinuationToken>a</NextContinuationToken>", 0)):  # fmt: skip
        proxy.rules.clear()
        proxy.rule(s3.Answer(200, f"<ListBucketResult>{page}</ListBucketResult>".encode()), method="GET", times=99, **{"list-type": "2"})
        kept.run("--orphans", "--orphan-age", "0", status=status)
    assert kept.keys() == left
    proxy.close()
