"""The Supabase store, against a stand-in that has all that surprises about the real one."""

import hashlib
import json
import re
import struct
import sys
import urllib.parse

import pytest
import requests
import s3
from harness import MP4_HEAD, ROOT, alike, wait_for
from sources import WEBM, Source

sys.path.insert(0, str(ROOT / "tests/fakes"))
import supabase
from supabase import CHUNK

MB = 1_000_000
FAST = {"REELBUS_STORE_CHECK_MS": "200ms"}


class Place:
    """A project of one test."""

    def __init__(self, bus):
        self.bus = bus
        self.server = supabase.Supabase()
        self.server.make_bucket("videos")

    def options(self, **more):
        return {
            "REELBUS_STORE": "supabase",
            "SUPABASE_URL": self.server.url,
            "SUPABASE_SERVICE_ROLE_KEY": supabase.SECRET_KEY,
            "REELBUS_SUPABASE_PUBLIC_URL": "https://ref.supabase.co",
            **more,
        }

    def start(self, **more):
        self.bus.start_producer()
        return self.bus.start_consumer(**self.options(**more))

    def setup(self, **more):
        return self.bus.run("reelbus-consumer", "setup", env={name: str(value) for name, value in self.options(**more).items()})

    def key(self, video_id):
        return f"{self.bus.user}/{video_id}.mp4"

    def keys(self):
        return sorted(key for bucket, key in self.server.objects if bucket == "videos")

    def object(self, video_id):
        return self.server.objects["videos", self.key(video_id)]

    def count(self, method, path="", status=None):
        return self.server.count(method, path, status)

    def sent(self):
        """Requests that carried a video, or began to."""
        return self.count("POST", "/object/videos/") + self.count("POST", "/upload/resumable")

    def url(self, video_id):
        return f"https://ref.supabase.co/storage/v1/object/public/videos/{self.key(video_id)}"

    def assert_stored(self, video_id, provider_video, tries=1):
        event = self.bus.wait_for_event("video.stored", video_id)
        source = self.bus.source_bytes(provider_video)
        digest = hashlib.sha256(source).hexdigest()
        found, row = self.object(video_id), self.bus.video_row(video_id)
        assert found.content.bytes() == source
        assert found.content_type == "video/mp4" and found.cache_control == "max-age=3600"
        assert found.metadata["sha256"] == digest and set(found.metadata) == {"sha256", "reelbus-put"}
        assert (row["state"], row["status"], row["store"], row["bucket"]) == ("stored", "completed", "supabase", "videos")
        assert row["bytes"] == event["bytes"] == len(source) and row["sha256"] == event["sha256"] == digest
        assert row["video_url"] == event["video_url"] == self.url(video_id)
        assert tries in (None, row["tries"])
        return event


@pytest.fixture
def place(bus):
    place = Place(bus)
    yield place
    try:
        for program in bus.started:
            for secret in (supabase.SECRET_KEY, supabase.SERVICE_KEY, supabase.JWT_SECRET):
                assert secret not in program.log
    finally:
        place.server.close()


# -- one request, or a resumable upload -------------------------------------------------------------------------------------


def test_a_small_video_is_stored_in_one_request(place):
    place.start()
    video_id, provider_video = place.bus.store_video()
    place.assert_stored(video_id, provider_video)
    assert place.keys() == [place.key(video_id)] and place.count("POST", "/object/videos/") == 1
    assert place.server.uploads == {} and place.count("POST", "/upload/resumable") == 0
    record = next(record for record in place.bus.records("video.stored") if record.key().decode() == video_id)
    trace = dict(record.headers())["traceparent"].decode()[:36]
    assert {seen[2].get("traceparent", "")[:36] for seen in place.server.seen if video_id in seen[1]} == {trace}


def test_a_large_video_is_uploaded_in_chunks_of_six_mebibytes(place):
    place.start()
    video_id, provider_video = place.bus.store_video(bytes=3 * CHUNK + 17)
    place.assert_stored(video_id, provider_video)
    sizes = [int(seen[2]["Content-Length"]) for seen in place.server.seen if seen[0] == "PATCH"]
    assert sizes == [CHUNK, CHUNK, CHUNK, 17 + 46]  # the provider adds a box of 46 bytes
    assert place.count("POST", "/object/videos/") == 0


def test_chunks_end_where_the_video_ends(place):
    place.start()
    for size, chunks in ((CHUNK, 0), (CHUNK + 1, 2), (2 * CHUNK, 2)):
        before = place.count("PATCH")
        video_id, provider_video = place.bus.store_video(bytes=size - 46)
        assert place.assert_stored(video_id, provider_video)["bytes"] == size
        assert place.count("PATCH") - before == chunks


@pytest.mark.parametrize("size", [MB, 15 * MB])
def test_of_unknown_length_it_is_one_request_in_chunks(place, size):
    place.start()
    video_id, provider_video = place.bus.store_video(no_length=True, bytes=size)
    place.assert_stored(video_id, provider_video)
    request = next(seen for seen in place.server.seen if seen[0] == "POST" and "/object/videos/" in seen[1])
    assert request[2]["Transfer-Encoding"] == "chunked" and "Content-Length" not in request[2]


def test_a_secret_key_is_shown_as_apikey_only(place):
    place.start()
    for size in (MB, 8 * MB):
        place.assert_stored(*place.bus.store_video(bytes=size))
    for seen in place.server.seen:
        assert seen[2]["apikey"] == supabase.SECRET_KEY and "Authorization" not in seen[2]
        assert seen[2]["User-Agent"].startswith("reelbus/")


def test_a_jwt_is_shown_as_both(place, tmp_path):
    """And keys may come from files."""
    (tmp_path / "key").write_text(supabase.SERVICE_KEY + "\n")
    place.start(SUPABASE_SERVICE_ROLE_KEY="", SUPABASE_SERVICE_ROLE_KEY_FILE=tmp_path / "key")
    for size in (MB, 8 * MB):
        place.assert_stored(*place.bus.store_video(bytes=size))
    for seen in place.server.seen:
        assert seen[2]["apikey"] == supabase.SERVICE_KEY and seen[2]["Authorization"] == "Bearer " + supabase.SERVICE_KEY


def test_the_key_goes_to_no_host_that_an_answer_names(place):
    elsewhere = supabase.Supabase()
    place.server.location = elsewhere.url
    place.start()
    place.assert_stored(*place.bus.store_video(bytes=8 * MB))
    assert elsewhere.seen == []
    elsewhere.close()


# -- cuts -----------------------------------------------------------------------------------------------------------------


def chunks_of(place):
    """Offset and status of each. On a connection that was used before, libcurl may send one again by itself, and is told of the conflict."""
    chunks = [(int(headers["Upload-Offset"]), status) for method, _, headers, status in place.server.seen if method == "PATCH"]
    return [(offset, status) for offset, status in chunks if status != 409]


@pytest.mark.parametrize("after", alike([0, 100_000, 5 * MB]))
def test_a_cut_chunk_goes_on_where_the_store_has_it(place, after):
    place.server.rule(supabase.Cut(after), "PATCH")
    place.start()
    video_id, provider_video = place.bus.store_video(bytes=9 * MB)
    place.assert_stored(video_id, provider_video)
    assert place.count("HEAD", "/upload/resumable/") == 1 or after == 0  # then libcurl may try again by itself
    assert place.count("POST", "/upload/resumable") == 1
    assert [offset for offset, _ in chunks_of(place)][:2] == [0, after] and place.count("PATCH", status=0) == 1


def test_cut_again_and_again_it_still_arrives_once(place):
    def cut(method, path, headers):
        (upload,) = place.server.uploads.values() or [None]
        if method == "PATCH" and len(cuts) < 3 and int(headers["Upload-Offset"]) == upload.content.size:
            cuts.append(upload.content.size)
            raise supabase.Cut(MB)

    cuts = []
    place.server.rules.append(cut)
    place.start()
    video_id, provider_video = place.bus.store_video(bytes=3 * CHUNK)
    place.assert_stored(video_id, provider_video)
    assert cuts == [0, MB, 2 * MB] and place.count("PATCH", status=0) == 3 and place.count("POST", "/upload/resumable") == 1


def test_a_chunk_that_stalls_is_freed_by_asking_for_it(place):
    place.server.rule(supabase.Stall(MB), "PATCH")
    place.start(REELBUS_SUPABASE_TIMEOUT_MS="10s")
    video_id, provider_video = place.bus.store_video(bytes=9 * MB)
    place.assert_stored(video_id, provider_video)
    assert place.count("HEAD", "/upload/resumable/") >= 1 and place.count("POST", "/upload/resumable") == 1


def test_without_memory_to_keep_it_a_cut_video_comes_from_the_source_again(place):
    place.server.rule(supabase.Cut(MB), "PATCH")
    place.start(REELBUS_SUPABASE_BUFFERS_BYTES="0")
    video_id, provider_video = place.bus.store_video(bytes=9 * MB)
    place.assert_stored(video_id, provider_video, tries=2)
    wait_for(lambda: place.server.uploads.keys() and len(place.server.uploads) == 1, "the first upload is taken back")


def test_a_cut_request_is_sent_again_out_of_memory(place):
    place.server.rule(supabase.Cut(MB), "POST", "/object/videos/")
    place.start()
    video_id, provider_video = place.bus.store_video(bytes=3 * MB)
    place.assert_stored(video_id, provider_video)
    assert place.count("POST", "/object/videos/") == 2


def test_an_upload_that_has_expired_is_begun_anew(place):
    """In its first chunk everything is in memory still; later it comes from the source once more."""

    def expire(method, path, headers):
        if method == "PATCH" and headers["Upload-Offset"] == str(offset) and left:
            left.clear()
            place.server.uploads.clear()

    place.server.rules.append(expire)
    place.start()
    for offset, tries in ((0, 1), (CHUNK, 2)):
        left = [1]
        video_id, provider_video = place.bus.store_video(bytes=9 * MB)
        place.assert_stored(video_id, provider_video, tries)
        assert left == []


def test_a_store_that_forgets_every_upload_is_not_asked_without_end(place):
    """As several servers behind one address do that do not share where they keep what was begun."""

    def forget(method, path, headers):
        if method == "PATCH":
            place.server.uploads.clear()

    place.server.rules.append(forget)
    place.start()
    video_id, provider_video = place.bus.store_video(bytes=9 * MB)
    wait_for(lambda: "ev=job_waits" in place.bus.consumer.log, "it waits")
    assert "the store has forgotten the upload" in place.bus.consumer.log
    begun = place.count("POST", "/upload/resumable")
    assert begun <= 5 * (1 + place.bus.consumer.log.count("ev=job_waits"))
    place.server.rules.remove(forget)
    place.assert_stored(video_id, provider_video, tries=None)


@pytest.mark.parametrize("size, method, path", [
    (MB, "POST", "/object/videos/"),
    (9 * MB, "POST", "/upload/resumable$"),
    (9 * MB, "PATCH", ""),
    (MB, "POST", "/object/copy"),
    (9 * MB, "GET", "/object/info/"),
])  # fmt: skip
def test_an_answer_that_is_lost_stores_once(place, size, method, path):
    place.server.rule(supabase.Lose(), method, path, times=1)
    place.start()
    video_id, provider_video = place.bus.store_video(bytes=size)
    tries = None if "info" in path else 1  # on a connection that was used before, libcurl asks again by itself
    event = place.assert_stored(video_id, provider_video, tries)
    assert event["attempt"] == 1 and place.count(method, path, status=0) == 1


def test_the_answer_to_the_last_chunk_may_be_lost(place):
    def lose_last(method, path, headers):
        if method == "PATCH" and headers["Upload-Offset"] == str(CHUNK) and left:
            left.clear()
            raise supabase.Lose

    left = [1]
    place.server.rules.append(lose_last)
    place.start()
    video_id, provider_video = place.bus.store_video(bytes=9 * MB)
    place.assert_stored(video_id, provider_video)
    assert left == [] and place.server.seen[-1][3] == 200
    assert [seen[2]["Content-Length"] for seen in place.server.seen if seen[0] == "PATCH"][-1] == "0"


@pytest.mark.parametrize("status, body", alike([
    (429, {"statusCode": "429", "error": "too_many_connections", "message": "busy", "code": "SlowDown"}),
    (400, {"statusCode": "423", "error": "resource_locked", "message": "locked", "code": "ResourceLocked"}),
    (400, {"statusCode": "503", "error": "acquiring_lock_timeout", "message": "locked"}),
    (400, {"statusCode": "503", "error": "database_read_only", "message": "read only", "code": "DatabaseReadOnly"}),
    (544, {"statusCode": "544", "error": "database_timeout", "message": "slow", "code": "DatabaseTimeout"}),
    (500, {"statusCode": "500", "error": "Internal", "message": "Internal Server Error", "code": "InternalError"}),
    (502, None),
]))  # fmt: skip
@pytest.mark.parametrize("size, method, path", [(MB, "POST", "/object/videos/"), (9 * MB, "POST", "/upload/resumable"), (9 * MB, "PATCH", "")])
def test_twice_busy_then_well_is_one_try(place, size, method, path, status, body):
    text = json.dumps(body).encode() if body else b"<html>Bad Gateway</html>"
    left = place.server.rule(supabase.Answer(status, text), method, path, times=2)
    place.start()
    video_id, provider_video = place.bus.store_video(bytes=size)
    place.assert_stored(video_id, provider_video)
    assert left == [0]


# -- what is there already ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [MB, 9 * MB])
def test_what_is_there_already_is_not_sent_again(place, size):
    place.start()
    video_id, provider_video = place.bus.store_video(bytes=size)
    first = place.assert_stored(video_id, provider_video)
    sent, version = place.sent(), place.object(video_id).version
    place.bus.forget(video_id)
    place.bus.send(first["source_url"], video_id, expires_s=7200)
    wait_for(lambda: len(place.bus.events("video.stored", video_id)) == 2, "announced once more")
    assert place.sent() == sent and place.object(video_id).version == version


@pytest.mark.parametrize("size", [17, 1_048_622, 9 * MB])
@pytest.mark.parametrize("length", alike([MB, 9 * MB]))
def test_what_is_there_but_is_something_else_is_replaced(place, size, length):
    place.start()
    video_id = place.bus.insert_video()
    requests.post(f"{place.server.url}/storage/v1/object/videos/{place.key(video_id)}", b"x" * size,
                  headers={"apikey": supabase.SECRET_KEY}).raise_for_status()  # fmt: skip
    provider_video = place.bus.ask_for_video(video_id, bytes=length)
    place.assert_stored(video_id, provider_video)
    written = [seen for seen in place.server.seen if seen[0] in ("PATCH", "POST") and "reelbus" in seen[2]["User-Agent"]]
    assert written and all(seen[2]["x-upsert"] == "true" for seen in written)


@pytest.mark.parametrize("size, method, path", [
    (MB, "POST", "/object/videos/"),  # all of it is on its way when the answer comes; nobody will read it
    (5 * MB, "POST", "/object/videos/"),
    (9 * MB, "POST", "/upload/resumable"),
    (9 * MB, "PATCH", ""),
])  # fmt: skip
def test_another_worker_that_was_faster_is_looked_at_and_replaced(place, size, method, path):
    """What it has stored is something else; the duplicate is only noticed when we write. The rest of our body stays unread."""

    def be_faster(its_method, its_path, headers):
        if its_method == method and re.search(path, its_path) and left:
            left.clear()
            content = supabase.Content()
            content.add(b"another")
            place.server.objects["videos", place.key(video_id)] = supabase.Object(content, "video/mp4", "no-cache", {})

    left = [1]
    place.server.rules.append(be_faster)
    place.start()
    video_id = place.bus.insert_video()
    provider_video = place.bus.ask_for_video(video_id, bytes=size)
    place.assert_stored(video_id, provider_video, tries=2)
    assert "The resource already exists" in place.bus.consumer.log


def test_without_a_copy_it_is_stored_without_its_hash(place):
    answer = supabase.Answer(404, b'{"message":"Route POST:/object/copy not found","error":"Not Found","statusCode":404}')
    place.server.rule(answer, "POST", "/object/copy", times=1 << 30)
    place.start()
    for _ in range(2):
        video_id, provider_video = place.bus.store_video()
        place.bus.wait_for_event("video.stored", video_id)
        assert place.object(video_id).content.bytes() == place.bus.source_bytes(provider_video)
        assert set(place.object(video_id).metadata) == {"reelbus-put"} and place.bus.video_row(video_id)["tries"] == 1
    assert place.count("POST", "/object/copy") == 1 and place.bus.consumer.log.count("ev=store_limited") == 1


# -- refusals -------------------------------------------------------------------------------------------------------------


def test_an_old_video_is_removed_when_its_room_is_needed(place):
    bus = place.bus
    place.start(REELBUS_QUOTA_USER_BYTES=250_000, REELBUS_QUOTA_USER_LOW_AT="100%", REELBUS_QUOTA_THEN="cleanup", REELBUS_QUOTA_CHECK_MS="50ms")
    videos = []
    for _ in range(2):
        video_id, _ = bus.store_video(bytes=100_000)
        bus.wait_for_event("video.stored", video_id)
        videos.append(video_id)
    bus.query("UPDATE reelbus.video SET stored_at = stored_at - interval '2 days' WHERE video_id = %s", videos[0])
    place.server.rule(supabase.no_object(), "DELETE")  # as to a key that may look, and may not remove
    video_id, _ = bus.store_video(bytes=100_000)
    bus.wait_for_event("video.stored", video_id)
    wait_for(lambda: "ev=remove_failed" in bus.consumer.log, "it is still there")
    assert "code=store_denied" in bus.consumer.log and place.key(videos[0]) in place.keys()
    bus.query("UPDATE reelbus.video SET deleting_since = now() - interval '1 hour' WHERE deleting_since IS NOT NULL")
    wait_for(lambda: place.keys() == sorted(place.key(video) for video in (videos[1], video_id)), "then it is removed")
    wait_for(lambda: bus.video_row(videos[0])["deleting_since"] is None, "and that is noted")
    bus.query("UPDATE reelbus.video SET deleting_since = now() - interval '1 hour' WHERE video_id = %s", videos[0])
    wait_for(lambda: bus.video_row(videos[0])["deleting_since"] is None, "what is not there counts as removed")


@pytest.mark.parametrize("over", alike([True, "writes"]))
def test_over_quota_everything_stops_and_goes_on_by_itself(place, over):
    consumer = place.start(**FAST)
    place.server.over_quota = over
    videos = [place.bus.store_video(bytes=size) for size in (MB, 9 * MB) * 6]
    wait_for(lambda: consumer.log.count("ev=job_waits") >= 20, "all of them wait")
    assert consumer.log.count("code=store_full") >= 20 and "the project is over its quota" in consumer.log
    assert consumer.metric("reelbus_store_circuit_open", code="store_full") == 1
    if over is True:  # the first few were on their way already; after them come probes, and the look at the bucket
        objects = sum(1 for seen in place.server.seen if seen[3] == 402 and "/bucket/" not in seen[1])
        assert objects <= 12 + consumer.metric("reelbus_store_circuit_probes_total")
        wait_for(lambda: consumer.metric("reelbus_store_up") == 0, "the metric says so")
        assert consumer.get("/readyz").status_code == 503
    assert place.bus.events("video.store_failed") == [] and place.keys() == []
    place.server.over_quota = False
    for video_id, _ in videos:
        place.bus.wait_for_event("video.stored", video_id, 120)
    assert "ev=circuit_closed" in consumer.log and len(place.keys()) == 12


@pytest.mark.parametrize("break_it, mend_it, words", [
    (lambda server: server.secret_keys.clear(), lambda server: server.secret_keys.add(supabase.SECRET_KEY), "Invalid API key"),
    (lambda server: server.may.pop("service_role"),
     lambda server: server.may.update(service_role=lambda *_: True), "row-level security policy"),
])  # fmt: skip
def test_wrong_keys_and_missing_rights_are_waited_out(place, break_it, mend_it, words):
    consumer = place.start(**FAST)
    break_it(place.server)
    videos = [place.bus.store_video(bytes=size) for size in (MB, 9 * MB)]
    wait_for(lambda: consumer.log.count("ev=job_waits") >= 4, "they wait")
    wait_for(lambda: consumer.metric("reelbus_store_up") == 0, "the metric says so")
    assert "code=store_denied" in consumer.log and words in consumer.log
    assert place.bus.events("video.store_failed") == []
    mend_it(place.server)
    for video_id, _ in videos:
        place.bus.wait_for_event("video.stored", video_id, 120)


@pytest.mark.parametrize("key, words", alike([
    ("", "is not set"),
    (supabase.PUBLISHABLE_KEY, "publishable key"),
    (supabase.ANON_KEY, "of role 'anon'"),
    (supabase.token(role="service_role", exp=1), "expired"),
    ("sbp_canary_personal_access_token", "no key of a Supabase project"),
    ("eyJcanary", "is none"),
    (supabase.SECRET_KEY + "\r\nx: y", "a space or a line end"),
]))  # fmt: skip
def test_the_wrong_kind_of_key_stops_the_start_and_is_not_shown(place, key, words):
    done = place.bus.run("reelbus-consumer", env=place.options(SUPABASE_SERVICE_ROLE_KEY=key))
    assert done.returncode in (1, 2) and "supabase_key" in done.stderr and words in done.stderr
    assert "sb_secret_..." in done.stderr or "expired" in words
    assert "canary" not in done.stdout + done.stderr and (not key or key not in done.stderr)


def test_other_wrong_options_stop_the_start(place):
    for option, value in (("SUPABASE_URL", ""), ("SUPABASE_URL", "ftp://x"), ("REELBUS_SUPABASE_LINK", "secret"),
                          ("REELBUS_SUPABASE_STORAGE_URL", "x"), ("REELBUS_SUPABASE_SINGLE_MAX_BYTES", "7MiB")):  # fmt: skip
        done = place.bus.run("reelbus-consumer", env=place.options(**{option: value}))
        assert done.returncode in (1, 2) and option.removeprefix("REELBUS_").lower() in done.stderr


def test_a_server_that_takes_no_secret_keys_says_so(place):
    place.server.gateway = False
    consumer = place.bus.start_consumer(wait=False, **place.options())
    wait_for(lambda: "ev=store_down" in consumer.log, "it says so")
    assert "takes no sb_secret_ keys; use the service_role JWT" in consumer.log


def test_a_missing_bucket_is_waited_for(place):
    del place.server.buckets["videos"]
    place.bus.start_producer()
    consumer = place.bus.start_consumer(wait=False, **place.options(**FAST))
    videos = [place.bus.store_video(bytes=size) for size in (MB, 9 * MB)]
    wait_for(lambda: consumer.log.count("ev=job_waits") >= 4, "they wait")
    assert "there is no bucket 'videos'" in consumer.log and "code=store_refused" in consumer.log
    place.server.make_bucket("videos")
    for video in videos:
        place.bus.wait_for_event("video.stored", video[0])
    wait_for(consumer.is_ready, "it is ready")


@pytest.mark.parametrize("size", [900_000, 9 * MB])
def test_what_is_too_large_for_the_bucket_is_a_failure_of_the_video(place, size):
    place.server.buckets["videos"]["file_size_limit"] = 500_000
    place.start()
    video_id, _ = place.bus.store_video(bytes=size)
    event = place.bus.wait_for_event("video.store_failed", video_id)
    assert event["code"] == "too_large" and place.keys() == []


# -- nothing half ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", [{"bytes": 17 * MB}, {"bytes": 17 * MB, "no_length": True}, {"bytes": 3 * MB}])
def test_what_is_cut_at_the_source_leaves_no_object_and_no_upload(place, behaviour):
    place.start(REELBUS_RETRY_FIRST_MS="1s", REELBUS_RETRY_MAX_MS="2s")
    video_id, _ = place.bus.store_video(cut_at=0.7, expires_s=4, **behaviour)
    event = place.bus.wait_for_event("video.store_failed", video_id)
    assert event["code"] == "expired" and place.keys() == []
    wait_for(lambda: place.server.uploads == {}, "all uploads are taken back")


@pytest.mark.parametrize("size", [MB, 9 * MB])
@pytest.mark.parametrize("length", [True, False])
def test_a_page_that_calls_itself_a_video_is_never_seen(place, size, length):
    """All of its bytes come, as many as were announced; only the last look at them says that it is none."""
    place.start()
    with Source(b"\0\0\0\x10ftypisom\0\0\0\0" + struct.pack(">I4s", size, b"free"), size - 8, length) as source:
        video_id = place.bus.send(source.url, expires_s=2)
        place.bus.wait_for_event("video.store_failed", video_id)
        assert place.keys() == []
        wait_for(lambda: place.server.uploads == {}, "all uploads are taken back")


def test_stopping_takes_back_what_was_begun(place):
    place.start(REELBUS_SHUTDOWN_MS="500ms")
    video_id, provider_video = place.bus.store_video(bytes=20 * MB, stalls=[0.5])  # the first time only
    wait_for(lambda: place.count("PATCH") > 0, "the first chunk is there")
    place.bus.consumer.stop()
    assert place.server.uploads == {} and place.keys() == []
    place.bus.start_consumer(**place.options())
    place.bus.wait_for_event("video.stored", video_id)


@pytest.mark.parametrize("size", [MB, 9 * MB])
def test_what_may_be_stored_by_now_is_not_taken_back(place, size):
    """Taking back an upload that is complete would take the bytes of the object."""

    def hold_last(method, path, headers):
        if left and (method == "PATCH" and headers["Upload-Offset"] == str(CHUNK) or "/object/videos/" in path):
            left.clear()
            raise supabase.Hold

    left = [1]
    place.server.rules.append(hold_last)
    place.start(REELBUS_SHUTDOWN_MS="500ms")
    video_id, provider_video = place.bus.store_video(bytes=size)
    wait_for(place.keys, "the store has it all, and does not say so")
    place.bus.consumer.stop()
    assert place.keys() == [place.key(video_id)] and place.count("DELETE") == 0
    place.bus.start_consumer(**place.options())
    place.assert_stored(video_id, provider_video, tries=None)


def test_kill_in_the_middle_stores_once(place):
    place.start()
    video_id, provider_video = place.bus.store_video(bytes=20 * MB, stalls=[0.5])
    wait_for(lambda: place.count("PATCH") > 0, "the first chunk is there")
    place.bus.consumer.kill()
    assert place.keys() == [] and len(place.server.uploads) == 1
    place.bus.start_consumer(**place.options())
    place.bus.wait_for_event("video.stored", video_id)
    assert place.keys() == [place.key(video_id)]
    done = place.bus.run("reelbus-consumer", "cleanup", env=place.options())
    assert done.returncode == 0 and "by itself" in done.stdout


@pytest.mark.release_only
def test_memory_is_flat_whatever_the_size(place, request):
    size = 1 << 30
    place.server.size_limit = 8 << 30
    head = MP4_HEAD
    box = struct.pack(">I4sQ", 1, b"mdat", size - len(head))
    consumer = place.start(REELBUS_VIDEO_MAX_BYTES="8GiB")
    with Source(head + box, size - len(head) - len(box)) as source:
        video_id = place.bus.send(source.url, expires_s=7200)
        event = place.bus.wait_for_event("video.stored", video_id, 900)
    found = place.object(video_id)
    assert event["bytes"] == found.content.size == size and event["sha256"] == found.content.sha256.hexdigest()
    if request.config.getoption("--build") == "release":
        assert s3.memory(consumer.process.pid) < 64 << 20


# -- links ----------------------------------------------------------------------------------------------------------------


def test_signed_links_work_for_as_long_as_told(place):
    place.server.make_bucket("videos", public=False)
    place.start(REELBUS_SUPABASE_LINK="signed", REELBUS_SUPABASE_LINK_MS="7d", REELBUS_SUPABASE_PUBLIC_URL=place.server.url)
    for size in (MB, 9 * MB):
        video_id, provider_video = place.bus.store_video(bytes=size)
        event = place.bus.wait_for_event("video.stored", video_id)
        url = event["video_url"]
        assert place.bus.video_row(video_id)["video_url"] == url
        assert url.startswith(f"{place.server.url}/storage/v1/object/sign/videos/{place.key(video_id)}?token=")
        assert requests.get(url).content == place.bus.source_bytes(provider_video)
        assert requests.get(url[:-1] + "x").status_code == 400
        claims = json.loads(supabase.unb64(urllib.parse.urlsplit(url).query.split(".")[1]))
        assert claims["exp"] - claims["iat"] == 7 * 86400
        assert "token=" not in place.bus.consumer.log


def test_a_video_that_was_there_gets_a_signed_link_too(place):
    place.start(REELBUS_SUPABASE_LINK="signed")
    video_id, provider_video = place.bus.store_video()
    first = place.bus.wait_for_event("video.stored", video_id)
    place.bus.forget(video_id)
    place.bus.send(first["source_url"], video_id, expires_s=7200)
    wait_for(lambda: len(place.bus.events("video.stored", video_id)) == 2, "announced once more")
    assert "/object/sign/" in place.bus.video_row(video_id)["video_url"] and place.count("POST", "/object/videos/") == 1


def test_links_for_users_with_a_token(place):
    place.server.make_bucket("videos", public=False)
    place.start(REELBUS_SUPABASE_LINK="authenticated")
    video_id, _ = place.bus.store_video()
    expected = f"https://ref.supabase.co/storage/v1/object/authenticated/videos/{place.key(video_id)}"
    assert place.bus.wait_for_event("video.stored", video_id)["video_url"] == expected


def test_public_links_into_a_private_bucket_are_not_handed_out(place):
    place.server.make_bucket("videos", public=False)
    place.bus.start_producer()
    consumer = place.bus.start_consumer(wait=False, **place.options(**FAST))
    wait_for(lambda: "ev=store_down" in consumer.log, "it says so")
    video_id, _ = place.bus.store_video()
    wait_for(lambda: "ev=job_waits" in consumer.log, "it waits")
    assert "make it public, or set supabase_link to signed or authenticated" in consumer.log
    assert place.keys() == []
    place.server.make_bucket("videos")
    place.bus.wait_for_event("video.stored", video_id)


def test_public_links_into_a_private_bucket_of_the_fallback_store_are_not_handed_out_either(place):
    config = place.bus.folder / "fallback.conf"
    config.write_text(f"store = supabase\nbucket = videos\nsupabase_url = {place.server.url}\nsupabase_key = {supabase.SECRET_KEY}\n"
                      f"supabase_public_url = https://ref.supabase.co\n")  # fmt: skip
    place.server.make_bucket("videos", public=False)
    place.bus.start_producer()
    consumer = place.bus.start_consumer(wait=False, REELBUS_STORE="s3", REELBUS_S3_ENDPOINT="http://127.0.0.1:1", AWS_ACCESS_KEY_ID="x",
                                        AWS_SECRET_ACCESS_KEY="canary-x", REELBUS_FALLBACK_CONFIG=config,
                                        REELBUS_FALLBACK_AFTER_MS="300ms", **FAST)  # fmt: skip
    video_id, _ = place.bus.store_video()
    wait_for(lambda: "ev=job_spilled" in consumer.log, "it is to go to the second store")
    wait_for(lambda: re.search("ev=job_waits .*public links to it lead nowhere", consumer.log), "it waits")
    assert place.keys() == []
    place.server.make_bucket("videos")
    place.bus.wait_for_event("video.stored", video_id)


# -- WebM -----------------------------------------------------------------------------------------------------------------


def test_webm_gets_its_own_key_type_and_signed_link(place):
    del place.server.buckets["videos"]
    options = {"REELBUS_FORMATS": "mp4,webm", "REELBUS_SUPABASE_LINK": "signed"}
    assert place.setup(**options).returncode == 0
    assert place.server.buckets["videos"]["allowed_mime_types"] == ["video/mp4", "video/webm"]
    place.start(**options)
    with Source(WEBM) as source:
        video_id = place.bus.send(source.url, expires_s=7200)
        event = place.bus.wait_for_event("video.stored", video_id)
    key = f"{place.bus.user}/{video_id}.webm"
    assert event["object_key"] == key and event["content_type"] == "video/webm"
    assert event["video_url"].startswith(f"https://ref.supabase.co/storage/v1/object/sign/videos/{key}?token=")
    found = place.server.objects["videos", key]
    assert found.content.bytes() == WEBM and found.content_type == "video/webm"


def test_a_bucket_that_takes_no_webm_is_told_of_at_once(place):
    place.server.make_bucket("videos", allowed_mime_types=["video/mp4"])
    done = place.setup(REELBUS_FORMATS="mp4,webm")
    assert done.returncode == 1 and "does not take video/webm; add it to the bucket's allowed types" in done.stderr


# -- setup ----------------------------------------------------------------------------------------------------------------


def test_setup_makes_the_bucket_once_and_tries_it(place):
    del place.server.buckets["videos"]
    done = place.setup(REELBUS_SUPABASE_MAKE_BUCKET="false")
    assert done.returncode == 1 and "there is no bucket 'videos'" in done.stderr
    done = place.setup()
    assert done.returncode == 0 and "made, can be written" in done.stdout
    assert "not in this database: run deploy/sql/supabase" in done.stdout
    made = place.server.buckets["videos"]
    assert made["public"] is True and made["allowed_mime_types"] == ["video/mp4"] and made["file_size_limit"] is None
    done = place.setup()
    assert done.returncode == 0 and "can be written" in done.stdout and "made" not in done.stdout.split("store")[-1]
    assert place.server.uploads == {} and place.server.objects == {}
    del place.server.buckets["videos"]
    assert place.setup(REELBUS_SUPABASE_LINK="signed").returncode == 0
    assert place.server.buckets["videos"]["public"] is False


@pytest.mark.parametrize("bucket, key, words", alike([
    ({"allowed_mime_types": ["image/*"]}, None, "does not take video/mp4; add it to the bucket's allowed types"),
    ({"public": False}, None, "make it public, or set supabase_link"),
    ({}, "sb_secret_canary_other", "Invalid API key"),
]))  # fmt: skip
def test_setup_says_what_to_change(place, bucket, key, words):
    place.server.make_bucket("videos", **bucket)
    done = place.setup(**({"SUPABASE_SERVICE_ROLE_KEY": key} if key else {}))
    assert done.returncode == 1 and words in done.stderr and "canary" not in done.stdout + done.stderr


@pytest.mark.parametrize("types", alike([None, [], ["video/mp4"], ["video/*"], ["image/png", "video/mp4"]]))
def test_buckets_that_fit(place, types):
    place.server.make_bucket("videos", allowed_mime_types=types, file_size_limit=52428800)
    done = place.setup()
    assert done.returncode == 0 and "takes videos of up to 50MiB" in done.stdout


def test_a_role_of_ones_own_may_be_enough(place):
    """A key that may write videos and nothing else."""
    key = supabase.token(role="reelbus_writer", exp=4000000000)
    place.server.make_bucket("other")
    place.server.may["reelbus_writer"] = lambda bucket, key, sub: bucket == "videos"
    assert place.setup(SUPABASE_SERVICE_ROLE_KEY=key).returncode == 0
    assert place.setup(SUPABASE_SERVICE_ROLE_KEY=key, REELBUS_BUCKET="other").returncode == 1
    place.start(SUPABASE_SERVICE_ROLE_KEY=key)
    for size in (MB, 9 * MB):
        place.assert_stored(*place.bus.store_video(bytes=size))
