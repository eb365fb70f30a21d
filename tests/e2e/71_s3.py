"""The S3 store, against a server that checks signatures, read back with boto3."""

import hashlib
import os
import struct
import sys
import time

import pytest
import s3
from harness import MP4_HEAD, ROOT, alike, wait_for
from sources import Source

sys.path.insert(0, str(ROOT / "tests/fakes"))
import aws_keys

MB = 1_000_000
PARTS = {"REELBUS_S3_SINGLE_MAX_BYTES": "5MiB", "REELBUS_S3_PART_BYTES": "5MiB"}


class Place:
    """A bucket of one test, and a proxy before the server."""

    def __init__(self, server, bus):
        self.server, self.bus = server, bus
        self.bucket = f"videos-{bus.number}-{id(bus):x}"
        self.client = server.client
        self.client.create_bucket(Bucket=self.bucket)
        self.proxy = s3.Proxy(server.port)

    def options(self, **more):
        return s3.options(self.proxy.port, self.bucket, **more)

    def start(self, **more):
        self.bus.start_producer()
        return self.bus.start_consumer(**self.options(**more))

    def key(self, video_id):
        return f"{self.bus.user}/{video_id}.mp4"

    def keys(self):
        """All objects; s3proxy shows its folders and its parts too."""
        rows = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return sorted(row["Key"] for row in rows if "." in row["Key"] and not row["Key"].startswith(".mpus-"))

    def uploads(self):
        return self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])

    def assert_stored(self, video_id, provider_video):
        event = self.bus.wait_for_event("video.stored", video_id)
        source = self.bus.source_bytes(provider_video)
        digest = hashlib.sha256(source).hexdigest()
        found = self.client.get_object(Bucket=self.bucket, Key=self.key(video_id))
        row = self.bus.video_row(video_id)
        assert found["Body"].read() == source
        assert found["ContentType"] == "video/mp4" and found["Metadata"]["sha256"] == digest
        assert (row["state"], row["status"], row["store"], row["bucket"]) == ("stored", "completed", "s3", self.bucket)
        assert row["bytes"] == event["bytes"] == len(source) and row["sha256"] == event["sha256"] == digest
        assert row["video_url"] == event["video_url"] == f"https://media.example.com/{self.bucket}/{self.key(video_id)}"
        assert self.key(video_id) not in [upload["Key"] for upload in self.uploads()]
        return event


@pytest.fixture
def place(s3_server, bus):
    place = Place(s3_server, bus)
    yield place
    place.proxy.close()


def test_a_small_video_is_stored_in_one_request(place):
    place.start()
    video_id, provider_video = place.bus.store_video()
    place.assert_stored(video_id, provider_video)
    assert place.keys() == [place.key(video_id)] and place.proxy.count("PUT") == 1
    record = next(record for record in place.bus.records("video.stored") if record.key().decode() == video_id)
    _, trace, span, flags = dict(record.headers())["traceparent"].decode().split("-")
    (seen,) = {request.headers.get("traceparent") for request in place.proxy.seen if video_id in request.path}
    assert seen.startswith(f"00-{trace}-") and seen.endswith(f"-{flags}") and span not in seen  # of a part of that span


def test_a_large_video_is_stored_in_parts(place):
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(bytes=17 * MB)
    place.assert_stored(video_id, provider_video)
    assert place.proxy.count("PUT", part=True) == place.proxy.count("PUT") == 4


def test_what_a_store_calls_its_parts_is_given_back_as_it_came(place):
    """Some send ETags of parts without quotes, and know them in no other way."""
    place.proxy.bare_etags = set()
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(bytes=17 * MB)
    assert place.assert_stored(video_id, provider_video)["tries"] == 1
    assert len(place.proxy.bare_etags) == 4 and place.proxy.count("POST", 400) == 0


def test_a_cut_download_goes_on_in_the_same_upload(place):
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(bytes=17 * MB, etag='"one"', cuts=[0.2, 0.45, 0.9])
    event = place.assert_stored(video_id, provider_video)
    assert event["tries"] == 1 and place.proxy.count("PUT", part=True) == place.proxy.count("PUT") == 4


def test_parts_end_where_the_video_ends(place):
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(bytes=2 * 5 * 1024 * 1024 - 46)  # the provider adds a box of 46 bytes
    event = place.assert_stored(video_id, provider_video)
    assert event["bytes"] == 2 * 5 * 1024 * 1024 and place.proxy.count("PUT", part=True) == 2


def test_of_unknown_length_a_small_one_is_one_request_and_no_copy(place):
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(no_length=True)
    place.assert_stored(video_id, provider_video)
    assert place.proxy.count("PUT") == 1 and place.proxy.count("PUT", copy=True) == 0


def test_of_unknown_length_large_ones_share_the_buffers(place, request):
    """There are three for eight of them."""
    consumer = place.start(**PARTS)
    before = s3.memory(consumer.process.pid)
    videos = [place.bus.store_video(no_length=True, bytes=6 * MB) for _ in range(8)]
    for video in videos:
        place.assert_stored(*video)
    assert place.proxy.count("PUT", part=True) == place.proxy.count("PUT") == 16
    if request.config.getoption("--build") == "release":
        assert s3.memory(consumer.process.pid) - before < 32 << 20


def test_wrong_keys_are_waited_out_and_never_a_failure_of_the_video(place):
    place.bus.start_producer()
    consumer = place.bus.start_consumer(wait=False, **place.options(AWS_SECRET_ACCESS_KEY="canary-wrong"))
    video_id, _ = place.bus.store_video()
    wait_for(lambda: consumer.log.count("ev=job_waits") >= 2, "it waits")
    assert "code=store_denied" in consumer.log and "SignatureDoesNotMatch" in consumer.log
    assert consumer.get("/readyz").status_code == 503 and consumer.get("/readyz").json()["store"] is False
    assert consumer.metric("reelbus_store_up") == 0
    assert place.bus.events("video.store_failed") == [] and place.bus.video_row(video_id)["state"] != "failed"
    consumer.stop()
    place.bus.start_consumer(**place.options())
    place.bus.wait_for_event("video.stored", video_id)


def test_the_wrong_region_is_named(place):
    body = s3.error_body("AuthorizationHeaderMalformed", extra="<Region>eu-north-1</Region>")
    place.proxy.rule(s3.Answer(400, body), method="PUT", times=2)
    place.start()
    video_id, provider_video = place.bus.store_video()
    place.assert_stored(video_id, provider_video)
    assert "the bucket is in region 'eu-north-1', option 's3_region' says 'us-east-1'" in place.bus.consumer.log


def test_a_clock_that_is_wrong_is_named(place):
    answer = s3.Answer(403, s3.error_body("RequestTimeTooSkewed"), {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"})
    place.proxy.rule(answer, method="PUT", times=1)
    place.start()
    video_id, provider_video = place.bus.store_video()
    place.assert_stored(video_id, provider_video)
    assert "RequestTimeTooSkewed: this machine's clock is" in place.bus.consumer.log


def test_a_missing_bucket_is_waited_for(place):
    place.client.delete_bucket(Bucket=place.bucket)
    place.bus.start_producer()
    consumer = place.bus.start_consumer(wait=False, **place.options(REELBUS_STORE_CHECK_MS="200ms"))
    video_id, provider_video = place.bus.store_video()
    wait_for(lambda: "code=store_refused" in consumer.log and "ev=job_waits" in consumer.log, "it waits")
    assert f"there is no bucket '{place.bucket}'" in consumer.log
    place.client.create_bucket(Bucket=place.bucket)
    place.assert_stored(video_id, provider_video)
    wait_for(consumer.is_ready, "it is ready")
    assert consumer.metric("reelbus_store_up") == 1


@pytest.mark.parametrize("behaviour", [{"bytes": 17 * MB}, {"bytes": 17 * MB, "no_length": True}, {"bytes": 3 * MB}])
def test_what_is_cut_leaves_no_object_and_no_upload(place, behaviour):
    place.start(**PARTS, REELBUS_RETRY_FIRST_MS="1s", REELBUS_RETRY_MAX_MS="2s")
    video_id, _ = place.bus.store_video(cut_at=0.7, expires_s=4, **behaviour)
    event = place.bus.wait_for_event("video.store_failed", video_id)
    assert event["code"] == "expired" and place.keys() == []
    wait_for(lambda: place.uploads() == [], "all uploads are taken back")
    assert (place.proxy.count("POST") > 0) == (behaviour["bytes"] > 5 * MB)


def test_a_page_that_calls_itself_a_video_is_never_seen(place):
    """All of its bytes come, as many as were announced; only the last look at them says that it is none."""
    place.start()
    with Source(b"\0\0\0\x10ftypisom\0\0\0\0" + struct.pack(">I4s", MB, b"free"), MB - 8) as source:
        video_id = place.bus.send(source.url, expires_s=2)
        place.bus.wait_for_event("video.store_failed", video_id)
        assert place.keys() == [] and place.proxy.count("PUT", status=200) == 0


def test_stopping_takes_back_what_was_begun(place):
    place.start(**PARTS, REELBUS_SHUTDOWN_MS="500ms")
    video_id, provider_video = place.bus.store_video(bytes=12 * MB, stalls=[0.6])  # the first time only
    wait_for(lambda: place.proxy.count("PUT", part=True) > 0, "the first part is there")
    place.bus.consumer.stop()
    assert place.uploads() == []
    place.bus.start_consumer(**place.options(**PARTS))
    place.assert_stored(video_id, provider_video)


def test_kill_in_the_middle_stores_once_and_the_rest_is_swept(place):
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(bytes=12 * MB, stalls=[0.6])
    wait_for(lambda: place.proxy.count("PUT", part=True) > 0, "the first part is there")
    place.bus.consumer.kill()
    left = place.uploads()
    assert [upload["Key"] for upload in left] == [place.key(video_id)]
    place.bus.start_consumer(**place.options(**PARTS))
    place.bus.wait_for_event("video.stored", video_id)
    assert [upload["UploadId"] for upload in place.uploads()] == [left[0]["UploadId"]]
    cleanup = lambda **more: place.bus.run("reelbus-consumer", "cleanup", env=place.options(**more))
    assert "0 unfinished removed" in cleanup().stdout  # it is young
    assert "0 unfinished removed" in cleanup(REELBUS_CLEANUP_UPLOADS_MS="0", REELBUS_CLEANUP_PREFIX="somebody/").stdout
    assert "1 unfinished removed" in cleanup(REELBUS_CLEANUP_UPLOADS_MS="0", REELBUS_CLEANUP_PREFIX=place.bus.user).stdout
    place.assert_stored(video_id, provider_video)
    assert "0 unfinished removed" in cleanup(REELBUS_CLEANUP_UPLOADS_MS="0").stdout


@pytest.mark.parametrize("no_length", [False, True])
def test_what_is_there_already_is_not_sent_again(place, no_length):
    place.start()
    video_id, provider_video = place.bus.store_video(no_length=no_length)
    first = place.assert_stored(video_id, provider_video)
    sent = place.proxy.count("PUT")
    place.bus.forget(video_id)
    place.bus.send(first["source_url"], video_id, expires_s=7200)
    wait_for(lambda: len(place.bus.events("video.stored", video_id)) == 2, "announced once more")
    assert place.bus.video_row(video_id)["sha256"] == first["sha256"]
    assert place.proxy.count("PUT") == sent and place.proxy.count("PUT", copy=True) == (0 if no_length else 1)


@pytest.mark.parametrize("same_size", [False, True])
def test_what_is_there_but_is_something_else_is_replaced(place, same_size):
    place.start()
    video_id = place.bus.insert_video()
    size = 1_048_622 if same_size else 17
    place.client.put_object(Bucket=place.bucket, Key=place.key(video_id), Body=b"x" * size, Metadata={"sha256": "0" * 64})
    provider_video = place.bus.ask_for_video(video_id)
    place.assert_stored(video_id, provider_video)
    assert not any("if-none-match" in {name.lower() for name in seen.headers} for seen in place.proxy.seen)


@pytest.mark.parametrize("may_list", [True, False])
def test_another_worker_that_was_faster_is_not_overwritten_unseen(place, may_list):
    """Who may not list is told 403 of what is not there: that does not mean that there is something to replace."""
    place.start()
    video_id = place.bus.insert_video()
    left = [1]

    def be_faster(method, path, query, headers):
        if method == "HEAD" and path.endswith(".mp4") and left and not may_list:
            raise s3.Answer(403)
        if method == "PUT" and left:
            left.clear()
            assert headers["if-none-match"] == "*"
            place.client.put_object(Bucket=place.bucket, Key=place.key(video_id), Body=b"another")
            raise s3.Answer(412, s3.error_body("PreconditionFailed"))

    place.proxy.rules.append(be_faster)
    provider_video = place.bus.ask_for_video(video_id)
    place.assert_stored(video_id, provider_video)
    assert "PreconditionFailed" in place.bus.consumer.log and place.bus.video_row(video_id)["tries"] == 2


@pytest.mark.parametrize("behaviour", [{}, {"bytes": 8 * MB}])
def test_what_another_put_in_its_place_does_not_get_our_hash(place, behaviour):
    place.start(**PARTS)
    video_id = place.bus.insert_video()
    left = [1]

    def be_later(method, path, query, headers):
        if headers.get("x-amz-copy-source") and left:
            left.clear()
            place.client.put_object(Bucket=place.bucket, Key=place.key(video_id), Body=b"another")

    place.proxy.rules.append(be_later)
    provider_video = place.bus.ask_for_video(video_id, **behaviour)
    place.assert_stored(video_id, provider_video)
    assert place.proxy.count("PUT", status=412, copy=True) == 1 and place.bus.video_row(video_id)["tries"] == 2


@pytest.mark.parametrize("status, code", alike([(503, "SlowDown"), (500, "InternalError")]))
def test_twice_busy_then_well_is_one_try(place, status, code):
    """And not before the store asks for it."""
    tried_at = []
    place.proxy.rules.append(lambda method, *_: tried_at.append(time.monotonic()) if method == "PUT" else None)
    place.proxy.rule(s3.Answer(status, s3.error_body(code), {"Retry-After": "1"}), method="PUT", times=2)
    place.start()
    video_id, provider_video = place.bus.store_video()
    place.assert_stored(video_id, provider_video)
    assert tried_at[1] - tried_at[0] > 0.99 and tried_at[2] - tried_at[1] > 0.99  # clocks of milliseconds
    assert place.bus.video_row(video_id)["tries"] == 1
    assert place.proxy.count("PUT", status=status) == 2 and place.proxy.count("PUT", status=200) == 1


def test_twice_busy_in_the_parts_is_one_try(place):
    for number in ("1", "3"):
        place.proxy.rule(s3.Answer(503, s3.error_body("SlowDown")), method="PUT", times=2, partNumber=number)
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(bytes=17 * MB)
    place.assert_stored(video_id, provider_video)
    assert place.bus.video_row(video_id)["tries"] == 1 and place.proxy.count("PUT", status=200) == 4


def test_what_is_refused_of_one_video_does_not_stop_the_others(place):
    """One for a reason that is the object's own; one for a reason that nobody knows, while the store takes all others."""
    consumer = place.start(REELBUS_RETRY_MAX_MS="300ms", REELBUS_STORE_PROBE_FIRST_MS="20ms", REELBUS_STORE_PROBE_MAX_MS="200ms")
    named, unnamed = place.bus.insert_video(), place.bus.insert_video()
    answers = {named: "KeyTooLongError", unnamed: "InvalidArgument"}

    def refuse(method, path, query, headers):
        code = next((code for video_id, code in answers.items() if video_id in path), None)
        if method == "PUT" and code:
            raise s3.Answer(400, s3.error_body(code))

    place.proxy.rules.append(refuse)
    place.bus.ask_for_video(named)
    event = place.bus.wait_for_event("video.store_failed", named)
    assert (event["class"], event["code"]) == ("storage", "object_refused") and "KeyTooLongError" in event["message"]
    assert "ev=circuit_opened" not in consumer.log
    place.bus.ask_for_video(unnamed)
    waits = lambda: sum("ev=job_waits" in line and "code=store_answer" in line for line in consumer.log.splitlines())  # noqa: E731
    for _ in range(2):  # it is not given up as long as nothing else proves that the store is well
        seen = waits()
        wait_for(lambda seen=seen: waits() > seen, "it waits")
        assert place.bus.video_row(unnamed)["state"] != "failed"
        place.assert_stored(*place.bus.store_video())
    event = place.bus.wait_for_event("video.store_failed", unnamed)
    assert event["code"] == "object_refused" and "InvalidArgument" in event["message"]
    place.bus.wait_until_finished()
    headers = [{name.lower() for name in seen.headers} for seen in place.proxy.seen if (seen.method, seen.status) == ("PUT", 200)]
    assert ["if-none-match" in names for names in headers if "x-amz-copy-source" not in names] == [True, True] and "ev=store_limited" not in consumer.log  # it was not for the condition


def test_an_error_in_a_200_is_an_error(place):
    place.proxy.rule(s3.Answer(200, b"  \n" + s3.error_body("InternalError")), method="POST", times=2, uploadId=None)
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(bytes=8 * MB)
    place.assert_stored(video_id, provider_video)
    assert place.bus.video_row(video_id)["tries"] == 1 and place.proxy.count("POST") == 4


def test_an_error_in_a_200_that_stays_is_waited_out(place):
    left = place.proxy.rule(s3.Answer(200, s3.error_body("QuotaExceeded")), method="POST", times=1 << 30, uploadId=None)
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(bytes=8 * MB)
    wait_for(lambda: place.bus.consumer.log.count("code=store_full") >= 2, "it waits")
    assert place.keys() == [] and place.bus.events("video.store_failed") == []
    left[0] = 0
    place.assert_stored(video_id, provider_video)


def test_a_part_that_is_cut_is_sent_again(place):
    place.proxy.rule(s3.Cut(100_000), method="PUT", partNumber="2")
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(bytes=8 * MB)
    place.assert_stored(video_id, provider_video)
    assert place.bus.video_row(video_id)["tries"] == 2  # its bytes are gone: they come from the source once more


def test_an_upload_that_stalls_is_broken_off_and_tried_again(place):
    stall = s3.Stall(100_000)
    place.proxy.rule(stall, method="PUT")
    place.start(REELBUS_S3_TIMEOUT_MS="1s")
    video_id, provider_video = place.bus.store_video(bytes=8 * MB)
    place.assert_stored(video_id, provider_video)
    stall.over.set()
    assert "nothing has moved for 1000 ms" in place.bus.consumer.log
    assert place.bus.video_row(video_id)["tries"] > 1  # its bytes are gone: they come from the source once more


def test_a_buffered_part_that_is_cut_is_one_try(place):
    place.proxy.rule(s3.Cut(100_000), method="PUT", partNumber="2")
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(bytes=8 * MB, no_length=True)
    place.assert_stored(video_id, provider_video)
    assert place.bus.video_row(video_id)["tries"] == 1


@pytest.mark.parametrize("behaviour, rule", [
    ({}, {"method": "PUT"}),
    ({"no_length": True}, {"method": "PUT"}),
    ({"bytes": 8 * MB}, {"method": "POST", "uploads": None}),
    ({"bytes": 8 * MB}, {"method": "POST", "uploadId": None}),
    ({"bytes": 8 * MB, "no_length": True}, {"method": "PUT", "partNumber": "1"}),
])  # fmt: skip
def test_an_answer_that_is_lost_stores_once(place, behaviour, rule):
    place.proxy.rule(s3.Lose(), **rule)
    place.start(**PARTS)
    video_id, provider_video = place.bus.store_video(**behaviour)
    event = place.bus.wait_for_event("video.stored", video_id)
    for upload in place.uploads():  # one whose id was never heard of
        place.client.abort_multipart_upload(Bucket=place.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    place.assert_stored(video_id, provider_video)
    assert place.bus.video_row(video_id)["tries"] == 1 and event["attempt"] == 1
    assert place.proxy.count("PUT", status=0) + place.proxy.count("POST", status=0) == 1


@pytest.mark.parametrize("status, code", alike([(400, "InvalidArgument"), (501, "NotImplemented")]))
def test_a_server_without_conditions_or_copies_is_served_all_the_same(place, status, code):
    def refuse(method, path, query, headers):
        if headers.get("if-none-match") or headers.get("x-amz-copy-source"):
            raise s3.Answer(status, s3.error_body(code))

    place.proxy.rules.append(refuse)
    place.start(**PARTS)
    for behaviour in ({}, {"bytes": 8 * MB}, {}):
        video_id, provider_video = place.bus.store_video(**behaviour)
        place.bus.wait_for_event("video.stored", video_id)
        found = place.client.get_object(Bucket=place.bucket, Key=place.key(video_id))
        assert found["Body"].read() == place.bus.source_bytes(provider_video)
        assert set(found["Metadata"]) == {"reelbus-put"} and place.bus.video_row(video_id)["tries"] == 1
    assert place.bus.consumer.log.count("ev=store_limited") == 2
    assert place.proxy.count("PUT", status=status) == 1 and place.proxy.count("PUT", status=status, copy=True) == 1


def test_bytes_that_arrive_otherwise_are_noticed(place):
    """A proxy on the way turns one bit. Over plain http nothing else would notice."""
    place.proxy.spoil = 1
    place.start()
    video_id, provider_video = place.bus.store_video()
    place.assert_stored(video_id, provider_video)
    assert "the store names another MD5" in place.bus.consumer.log


# -- keys -----------------------------------------------------------------------------------------------------------------


def only_with_token(token):
    """A rule: whoever shows another session token is told that it has expired."""

    def check(method, path, query, headers):
        if headers.get("x-amz-security-token") != token[0]:
            raise s3.Answer(400, s3.error_body("ExpiredToken"))

    return check


NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


@pytest.fixture
def keys():
    keys = aws_keys.Keys(s3.ACCESS_KEY, s3.SECRET_KEY)
    yield keys
    keys.close()


def write_profile(path, token):
    path.write_text(f"""[default]
aws_access_key_id = AKIDOTHER
aws_secret_access_key = canary-other
[reels]
# a comment
aws_access_key_id = {s3.ACCESS_KEY}
aws_secret_access_key={s3.SECRET_KEY}
aws_session_token = {token}
""")


def test_keys_of_a_file_that_have_expired_are_read_anew(place, tmp_path):
    token, path = ["canary-first"], tmp_path / "credentials"
    write_profile(path, token[0])
    place.proxy.rules.append(only_with_token(token))
    place.start(AWS_SHARED_CREDENTIALS_FILE=path, AWS_PROFILE="reels", **NO_KEYS)
    place.assert_stored(*place.bus.store_video())
    token[0] = "canary-second"
    write_profile(path, token[0])
    video_id, provider_video = place.bus.store_video()
    place.assert_stored(video_id, provider_video)
    assert place.bus.video_row(video_id)["tries"] == 1


@pytest.mark.parametrize("source", ["sts", "container", "instance"])
def test_keys_come_from_where_the_platform_has_them(place, keys, tmp_path, source):
    (tmp_path / "jwt").write_text(aws_keys.JWT + "\n")
    settings = {
        "sts": {"AWS_WEB_IDENTITY_TOKEN_FILE": tmp_path / "jwt", "AWS_ROLE_ARN": aws_keys.ROLE, "AWS_ENDPOINT_URL_STS": keys.url},
        "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": keys.url + "/container",
                      "AWS_CONTAINER_AUTHORIZATION_TOKEN": aws_keys.CONTAINER_TOKEN},
        "instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": keys.url},
    }[source]  # fmt: skip
    token = ["canary-session-1"]
    place.proxy.rules.append(only_with_token(token))
    place.start(HOME=tmp_path, **NO_KEYS, **settings)
    place.assert_stored(*place.bus.store_video())
    assert keys.asked == [source]
    token[0] = "canary-session-2"  # the store has had enough of the first
    place.assert_stored(*place.bus.store_video())
    assert keys.asked == [source] * 2


def test_keys_are_fetched_before_they_expire(place, keys, tmp_path):
    keys.lasts_s = 8
    place.start(HOME=tmp_path, AWS_EC2_METADATA_SERVICE_ENDPOINT=keys.url, **NO_KEYS)
    wait_for(lambda: len(keys.asked) >= 3, "fetched again and again, although nobody asks for them")
    place.assert_stored(*place.bus.store_video())


def test_keys_that_cannot_be_had_are_waited_for(place, keys, tmp_path):
    (tmp_path / "jwt").write_text("canary-wrong")
    place.bus.start_producer()
    consumer = place.bus.start_consumer(wait=False, **place.options(
        HOME=tmp_path, AWS_WEB_IDENTITY_TOKEN_FILE=tmp_path / "jwt", AWS_ROLE_ARN=aws_keys.ROLE, AWS_ENDPOINT_URL_STS=keys.url, **NO_KEYS))  # fmt: skip
    video_id, provider_video = place.bus.store_video()
    wait_for(lambda: "ev=job_waits" in consumer.log, "it waits")
    assert "no keys for the store from 'web_identity': STS answers InvalidIdentityToken" in consumer.log
    (tmp_path / "jwt").write_text(aws_keys.JWT)
    place.assert_stored(video_id, provider_video)


# -- the operator -----------------------------------------------------------------------------------------------------------


def test_setup_checks_the_bucket_and_makes_it_when_told_to(place):
    setup = lambda **more: place.bus.run("reelbus-consumer", "setup", env=place.options(**more))
    done = setup()
    assert done.returncode == 0 and "can be written" in done.stdout
    place.client.delete_bucket(Bucket=place.bucket)
    done = setup()
    assert done.returncode == 1 and f"there is no bucket '{place.bucket}'" in done.stderr
    done = setup(REELBUS_S3_MAKE_BUCKET="true")
    assert done.returncode == 0 and "made, can be written" in done.stdout
    assert place.keys() == [] and place.uploads() == []
    done = setup(AWS_SECRET_ACCESS_KEY="canary-wrong")
    assert done.returncode == 1 and "403" in done.stderr and "canary" not in done.stdout + done.stderr


def test_setup_and_cleanup_look_after_a_fallback_store_too(place, tmp_path):
    second, config = f"{place.bucket}-second", tmp_path / "fallback.conf"
    config.write_text(f"""\
store = s3
bucket = {second}
s3_endpoint = http://127.0.0.1:{place.server.port}
s3_access_key = {s3.ACCESS_KEY}
s3_secret_key = {s3.SECRET_KEY}
s3_make_bucket = true
""")  # what is to be removed is said once, for both
    env = place.options(REELBUS_FALLBACK_CONFIG=str(config), REELBUS_CLEANUP_UPLOADS_MS="0")
    done = place.bus.run("reelbus-consumer", "setup", "--topic-partitions", "3", env=env)
    said = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert f"store {place.bucket} can be written" in said and f"store {second} made, can be written" in said, done
    for bucket in (place.bucket, second):
        place.client.create_multipart_upload(Bucket=bucket, Key="left/over.mp4")
    done = place.bus.run("reelbus-consumer", "cleanup", env={**env, "REELBUS_CLEANUP_PREFIX": "right/"})
    assert done.stdout.count(" 0 unfinished removed") == 2, done
    done = place.bus.run("reelbus-consumer", "cleanup", env=env)
    said = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for bucket in (place.bucket, second):
        assert f"uploads {bucket} 1 unfinished removed" in said, done
        assert "Uploads" not in place.client.list_multipart_uploads(Bucket=bucket)
    place.client.create_multipart_upload(Bucket=second, Key="left/over.mp4")
    for command, words in (("setup", "can be written"), ("cleanup", "1 unfinished removed")):  # the first fails
        done = place.bus.run("reelbus-consumer", command, env={**env, "AWS_SECRET_ACCESS_KEY": "canary-wrong"})
        said = [" ".join(line.split()) for line in done.stdout.splitlines()]
        assert done.returncode == 1 and any(line.endswith(f"{second} {words}") for line in said), done
        assert f"reelbus-consumer {command}: store '{place.bucket}': " in done.stderr and second not in done.stderr, done


@pytest.mark.parametrize("option, value, words", alike([
    ("REELBUS_STORE", "s4", "expected one of: file, s3"),
    ("REELBUS_S3_ENDPOINT", "ftp://x", "s3_endpoint"),
    ("REELBUS_S3_PATH_STYLE", "maybe", "s3_path_style"),
    ("REELBUS_S3_SSE", "rot13", "s3_sse"),
    ("REELBUS_S3_SSE_KMS_KEY_ID", "key", "s3_sse"),
    ("REELBUS_S3_CREDENTIALS", "guess", "s3_credentials"),
    ("REELBUS_S3_CREDENTIALS", "container", "s3_credentials"),
    ("REELBUS_S3_BUFFERS_BYTES", "5MiB", "s3_buffers_bytes"),
]))  # fmt: skip
def test_wrong_options_are_told_at_the_start(place, option, value, words):
    done = place.bus.run("reelbus-consumer", env=place.options(**{option: value}))
    assert done.returncode == 2 and words in done.stderr


@pytest.fixture
def by_host(stack):
    server = s3.Server(stack, virtual_host="localhost")
    proxy = s3.Proxy(server.port)
    yield proxy
    proxy.close()
    server.stop()


def test_a_bucket_in_the_name_of_the_host(by_host, place):
    place.proxy.close()
    place.proxy = by_host
    place.start(REELBUS_S3_ENDPOINT=f"http://localhost:{place.proxy.port}", REELBUS_S3_PATH_STYLE="false", REELBUS_S3_PUBLIC_URL="")
    video_id, provider_video = place.bus.store_video()
    event = place.bus.wait_for_event("video.stored", video_id)
    assert event["video_url"] == f"http://{place.bucket}.localhost:{place.proxy.port}/{place.key(video_id)}"
    assert {seen.path for seen in place.proxy.seen if seen.method == "PUT"} == {f"/{place.key(video_id)}"}
    found = place.client.get_object(Bucket=place.bucket, Key=place.key(video_id))
    assert found["Body"].read() == place.bus.source_bytes(provider_video)


def test_the_url_that_people_get_has_the_form_that_is_asked_for(place):
    place.start(REELBUS_S3_PUBLIC_URL="https://cdn.example.com/a{b/{key}?from={bucket}")
    video_id, _ = place.bus.store_video()
    event = place.bus.wait_for_event("video.stored", video_id)
    assert event["video_url"] == f"https://cdn.example.com/a{{b/{place.key(video_id)}?from={place.bucket}"


def test_how_objects_are_kept_is_told_each_time(place):
    place.start(REELBUS_S3_STORAGE_CLASS="STANDARD_IA", REELBUS_S3_SSE="AES256", **PARTS)
    for behaviour in ({}, {"bytes": 8 * MB}):
        place.assert_stored(*place.bus.store_video(**behaviour))
    for name, value in {"x-amz-storage-class": "STANDARD_IA", "x-amz-server-side-encryption": "AES256"}.items():
        told = [seen for seen in place.proxy.seen if seen.headers.get(name) == value]
        assert [(seen.method, seen.query) for seen in told] == [("PUT", ""), ("PUT", ""), ("POST", "uploads="), ("PUT", "")], name


# -- size -------------------------------------------------------------------------------------------------------------------


@pytest.mark.release_only
def test_memory_is_flat_whatever_the_size(place, request):
    """REELBUS_TEST_5GIB=1 takes ten times as much."""
    size = (10 if os.environ.get("REELBUS_TEST_5GIB") else 1) << 29
    head = MP4_HEAD
    box = struct.pack(">I4sQ", 1, b"mdat", size - len(head))
    place.bus.start_producer()
    consumer = place.bus.start_consumer(**s3.options(place.server.port, place.bucket, REELBUS_VIDEO_MAX_BYTES="8GiB",
                                                     REELBUS_S3_MD5="false", REELBUS_S3_HASH_MAX_BYTES="0"))  # fmt: skip
    with Source(head + box, size - len(head) - len(box)) as source:
        video_id = place.bus.send(source.url, expires_s=7200)
        event = place.bus.wait_for_event("video.stored", video_id, 900)
    assert event["bytes"] == size
    assert place.client.head_object(Bucket=place.bucket, Key=place.key(video_id))["ContentLength"] == size
    place.client.delete_object(Bucket=place.bucket, Key=place.key(video_id))
    if request.config.getoption("--build") == "release":
        assert s3.memory(consumer.process.pid) < 64 << 20
