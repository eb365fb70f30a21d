"""Does the stand-in for Supabase Storage answer as the real server did? Requests and answers as they were recorded."""

import base64
import hashlib
import http.client
import json
import re
import socket
import sys

import pytest
from harness import ROOT, wait_for

sys.path.insert(0, str(ROOT / "tests/fakes"))
import supabase

pytestmark = pytest.mark.release_only  # there is no C in it

MB9 = bytes(range(250)) * 36_000
CHUNK = supabase.CHUNK
SERVICE = {"Authorization": "Bearer " + supabase.SERVICE_KEY}
ANON = {"Authorization": "Bearer " + supabase.ANON_KEY}
MP4 = {"Content-Type": "video/mp4"}
JSON = {"Content-Type": "application/json"}
EXPIRED = supabase.token(role="service_role", exp=1)
USER = supabase.token(role="authenticated", sub="u1", exp=4000000000)


def refusal(meaning, error, message, code):
    return {"statusCode": str(meaning), "error": error, "message": message, "code": code}


DUPLICATE = refusal(409, "Duplicate", "The resource already exists", "KeyAlreadyExists")
NO_BUCKET = refusal(404, "Bucket not found", "Bucket not found", "NoSuchBucket")
NO_OBJECT = refusal(404, "not_found", "Object not found", "NoSuchKey")
TOO_LARGE = refusal(413, "Payload too large", "The object exceeded the maximum allowed size", "EntityTooLarge")
NO_POLICY = refusal(403, "Unauthorized", "new row violates row-level security policy", "AccessDenied")
BAD_JWT = refusal(403, "Unauthorized", "Invalid Compact JWS", "AccessDenied")


@pytest.fixture
def server():
    """As it was recorded: nothing before it, one bucket that is public, one of one megabyte, one for videos only."""
    server = supabase.Supabase(gateway=False, prefix="")
    server.make_bucket("videos")
    server.make_bucket("closed", public=False)
    server.make_bucket("small", file_size_limit=1_000_000)
    server.make_bucket("typed", allowed_mime_types=["video/*"])
    server.make_bucket("own", public=False)
    yield server
    server.close()


class Reply:
    def __init__(self, answer):
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()

    def json(self):
        return json.loads(self.body)


@pytest.fixture
def ask(server):
    """One request on a connection of its own."""

    def ask(method, path, body=None, headers=(), key=SERVICE, chunked=False):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request(method, path, iter([body]) if chunked else body, {**key, **dict(headers)}, encode_chunked=chunked)
        return Reply(connection.getresponse())

    return ask


@pytest.fixture
def stored(ask):
    """An object of 9 MB."""
    assert ask("POST", "/object/videos/u1/a.mp4", MB9, MP4).status == 200


def tus(**more):
    return {"Tus-Resumable": "1.0.0", **{name.replace("_", "-"): value for name, value in more.items()}}


def pairs(**values):
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def create(ask, length=9_000_000, bucket="videos", key="u1/tus.mp4", upsert="true", **more):
    return ask("POST", "/upload/resumable", b"", tus(x_upsert=upsert, Upload_Length=str(length),
               Upload_Metadata=pairs(bucketName=bucket, objectName=key, contentType="video/mp4", cacheControl="3600",
                                     metadata='{"who":"tus"}'), **more))  # fmt: skip


def patch(ask, upload, offset, body, **more):
    return ask("PATCH", upload, body, tus(Content_Type="application/offset+octet-stream", Upload_Offset=str(offset),
                                          x_upsert="true", **more))  # fmt: skip


@pytest.fixture
def upload(ask):
    """The path of an upload of 9 MB of which nothing is there."""
    location = create(ask).headers["Location"]
    return location[location.index("/upload/") :]


# -- buckets, and who may -------------------------------------------------------------------------------------------------


def test_a_bucket_is_made_once(ask):
    body = json.dumps({"id": "new", "name": "new", "public": True})
    assert ask("POST", "/bucket", body, JSON).json() == {"name": "new"}
    again = ask("POST", "/bucket", body, JSON)
    assert again.status == 400
    assert again.json() == refusal(409, "Duplicate", "The resource already exists", "BucketAlreadyExists")
    row = ask("GET", "/bucket/new").json()
    assert row.pop("created_at") and row.pop("updated_at")
    assert row == {"id": "new", "name": "new", "owner": "", "public": True, "file_size_limit": None, "allowed_mime_types": None}


@pytest.mark.parametrize("key, message", [
    (supabase.SERVICE_KEY[:-3] + "AAA", "signature verification failed"),
    ("sb_secret_x", "Invalid Compact JWS"),
    (EXPIRED, '"exp" claim timestamp check failed'),
])  # fmt: skip
@pytest.mark.parametrize("path, method", [("/object/videos/x.mp4", "POST"), ("/upload/resumable", "POST"), ("/upload/resumable/x", "HEAD")])
def test_a_bad_jwt_is_a_400_that_means_403(ask, key, message, path, method):
    answer = ask(method, path, b"x", tus(), key={"Authorization": "Bearer " + key})
    assert answer.status == 400
    if method != "HEAD":
        assert answer.json() == refusal(403, "Unauthorized", message, "AccessDenied")


@pytest.mark.parametrize("key", [{}, {"apikey": supabase.SERVICE_KEY}])
def test_without_a_jwt_the_request_is_invalid(ask, key):
    answer = ask("POST", "/object/videos/x.mp4", b"x", MP4, key=key)
    message = "headers must have required property 'authorization'"
    assert (answer.status, answer.json()) == (400, refusal(400, "Error", message, "InvalidRequest"))


def test_a_user_may_write_where_a_policy_says_so(ask):
    user = {"Authorization": "Bearer " + USER}
    for key, path in ((ANON, "videos/x.mp4"), (user, "videos/x.mp4"), (user, "own/u2/x.mp4")):
        answer = ask("POST", "/object/" + path, b"x", MP4, key=key)
        assert (answer.status, answer.json()) == (400, NO_POLICY)
    assert ask("POST", "/object/own/u1/x.mp4", b"x", MP4, key=user).status == 200


# -- writing --------------------------------------------------------------------------------------------------------------


def test_an_object_is_made_once_and_replaced_when_asked(ask):
    path = "/object/videos/u1/a.mp4"
    first = ask("POST", path, MB9, MP4)
    assert first.status == 200 and list(first.json()) == ["Key", "Id"] and first.json()["Key"] == "videos/u1/a.mp4"
    assert re.fullmatch(r"[0-9a-f-]{36}", first.json()["Id"])
    version = ask("GET", "/object/info/videos/u1/a.mp4").json()["version"]
    for upsert in ({}, {"x-upsert": "True"}):
        again = ask("POST", path, b"x", {**MP4, **upsert})
        assert (again.status, again.json()) == (400, DUPLICATE)
    assert ask("POST", path, b"x", {**MP4, "x-upsert": "true"}).json() == first.json()
    assert ask("PUT", path, b"y", MP4).json() == first.json()
    assert ask("GET", "/object/info/videos/u1/a.mp4").json()["version"] != version
    assert ask("PUT", "/object/videos/u1/new.mp4", b"x", MP4).status == 200


@pytest.mark.parametrize("path, body, headers, expected", [
    ("none/x.mp4", b"x", {}, NO_BUCKET),
    ("videos/u1/b%C3%A9.mp4", b"x", {}, refusal(400, "InvalidKey", "Invalid key: u1/bé.mp4", "InvalidKey")),
    ("small/x.mp4", MB9, {}, TOO_LARGE),
    ("typed/x.html", b"x", {"Content-Type": "text/html"},
     refusal(415, "invalid_mime_type", "mime type text/html is not supported", "InvalidMimeType")),
    ("videos/x.mp4", b"x", {"x-metadata": base64.b64encode(b'"text"').decode()},
     refusal(400, "InvalidParameter", "invalid input syntax for type json", "InvalidParameter")),
])  # fmt: skip
def test_what_is_refused_is_a_400_that_says_what_it_means(ask, path, body, headers, expected):
    answer = ask("POST", "/object/" + path, body, {**MP4, **headers})
    assert (answer.status, answer.json()) == (400, expected)


def test_dots_and_long_names_and_bad_percents(ask):
    answer = ask("POST", "/object/videos/u1/%2e%2e/b.mp4", b"x", MP4)
    form = r"Invalid key: stub/stub/videos/u1/\.\./b\.mp4/[0-9a-f-]{36} contains dot path segment"
    assert answer.status == 400 and answer.json()["code"] == "InvalidKey" and re.fullmatch(form, answer.json()["message"])
    answer = ask("POST", "/object/videos/" + "x" * 256, b"x", MP4)
    assert (answer.status, answer.json()) == (500, refusal(500, "Internal", "Internal Server Error", "InternalError"))
    answer = ask("POST", "/object/videos/%zz", b"x", MP4)
    assert answer.status == answer.json()["statusCode"] == 400 and answer.json()["code"] == "FST_ERR_BAD_URL"
    assert ask("POST", "/object/videos/x", b"x", {**MP4, "x-metadata": "x" * 20_000}).status == 431


@pytest.mark.parametrize("key", ["u1//b", "/u1/b", "u1/", "a%2Fb", "a%20+%3F%3A%3B%2C%40%26%24%3D%21%27%28%29%2Ab"])
def test_odd_keys_that_are_taken(ask, key):
    assert ask("POST", "/object/videos/" + key, b"x", MP4).status == 200


@pytest.mark.parametrize("char", "~#%[]\x01é")
def test_characters_that_are_not(ask, char):
    answer = ask("POST", "/object/videos/a" + "".join(f"%{byte:02X}" for byte in char.encode()), b"x", MP4)
    assert answer.status == 400 and answer.json()["code"] == "InvalidKey"


def test_types_lengths_and_chunks(ask):
    assert ask("POST", "/object/typed/x.mp4", b"x", {"Content-Type": "video/mp4; codecs=avc1"}).status == 200
    assert ask("POST", "/object/videos/untyped", b"x").status == 200
    assert ask("GET", "/object/info/videos/untyped").json()["content_type"] == "application/octet-stream"
    assert ask("POST", "/object/videos/empty", b"", MP4).status == 200
    assert ask("GET", "/object/info/videos/empty").json()["size"] == 0
    assert ask("POST", "/object/small/x.mp4", MB9, {**MP4, "Transfer-Encoding": "chunked"}, chunked=True).status == 200
    assert ask("GET", "/object/info/small/x.mp4").json()["size"] == 9_000_000  # in chunks nobody counts
    answer = ask("POST", "/object/videos/x", b"1\r\nx\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked", "Content-Length": "11"})
    assert (answer.status, answer.json()) == (400, {"error": "Bad Request", "message": "Client Error", "statusCode": 400})


def test_nobody_checks_a_digest(ask):
    assert ask("POST", "/object/videos/x", b"x", {**MP4, "Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}).status == 200


def test_creation_is_no_mutex(ask, server):
    """Both are told 200; the last to finish wins."""
    connections = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=30) for _ in range(2)]
    for connection in connections:
        connection.putrequest("POST", "/object/videos/race")
        for name, value in {**SERVICE, **MP4, "Content-Length": "2"}.items():
            connection.putheader(name, value)
        connection.endheaders(b"x")
    wait_for(lambda: server.begun == 2, "both are being written")
    ids = []
    for connection, byte in zip(connections, (b"1", b"2")):
        connection.send(byte)
        answer = Reply(connection.getresponse())
        assert answer.status == 200
        ids.append(answer.json()["Id"])
    assert ids[0] == ids[1] and server.objects["videos", "race"].content.bytes() == b"x2"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_cut_body_leaves_what_was_there(ask, server, stored, chunked):
    before, begun = server.objects["videos", "u1/a.mp4"].version, server.begun
    for key in ("u1/a.mp4", "u1/cut.mp4"):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 9000000"
            connection.sendall(f"POST /object/videos/{key} HTTP/1.1\r\nHost: x\r\nx-upsert: true\r\n{length}\r\n"
                               f"Authorization: {SERVICE['Authorization']}\r\n\r\n".encode() + b"FFFF\r\n" + b"x" * 3000)  # fmt: skip
    wait_for(lambda: server.begun == begun + 2, "both were begun")
    assert ask("GET", "/object/info/videos/u1/cut.mp4").json() == NO_OBJECT
    assert ask("GET", "/object/info/videos/u1/a.mp4").json()["version"] == before


def early(server, path, body, headers=()):
    """Send a head and a body of a size, as far as it is taken, and read the answer."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.settimeout(0.5)
    lines = "".join(f"{name}: {value}\r\n" for name, value in {**SERVICE, **MP4, **dict(headers)}.items())
    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {body}\r\n{lines}\r\n".encode())
    answer = connection.recv(65536) if headers and "Expect" in headers else b""
    sent = 0
    try:
        while sent < body:
            sent += connection.send(b"x" * min(65536, body - sent))
    except TimeoutError:
        pass
    while b"}" not in answer:
        answer += connection.recv(65536)
    return connection, sent, answer


def answers_again(connection):
    connection.sendall(b"GET /bucket/videos HTTP/1.1\r\nHost: x\r\nAuthorization: " + SERVICE["Authorization"].encode() + b"\r\n\r\n")
    try:
        return connection.recv(65536).startswith(b"HTTP/1.1 200")
    except TimeoutError:
        return False


@pytest.mark.parametrize("path, headers", [
    ("/object/videos/u1/a.mp4", {}),
    ("/object/videos/b%C3%A9", {}),
    ("/object/videos/x", {"x-metadata": base64.b64encode(b'"text"').decode()}),
])  # fmt: skip
def test_after_these_the_body_stays_unread_and_the_connection_is_of_no_use(server, stored, path, headers):
    connection, sent, answer = early(server, path, 40_000_000, headers)
    assert b" 400 " in answer and b"keep-alive" in answer and sent < 40_000_000
    connection.close()
    connection, sent, answer = early(server, path, 1_000_000, headers)
    assert sent == 1_000_000 and not answers_again(connection)
    connection.close()
    connection, sent, answer = early(server, path, 200_000, headers)
    assert answers_again(connection)
    connection.close()


@pytest.mark.parametrize("path, headers", [
    ("/object/none/x", {}),
    ("/object/small/x", {}),
    ("/object/typed/x", {"Content-Type": "text/html"}),
    ("/object/videos/x", {"Authorization": "Bearer x"}),
])  # fmt: skip
def test_after_others_it_is_read_to_its_end(server, path, headers):
    connection, sent, answer = early(server, path, 40_000_000, headers)
    assert b" 400 " in answer and sent == 40_000_000 and answers_again(connection)
    connection.close()


def test_who_expects_to_be_told_is_always_told_to_go_on(server, stored):
    connection, _, answer = early(server, "/object/videos/u1/a.mp4", 1000, {"Expect": "100-continue"})
    assert answer.startswith(b"HTTP/1.1 100 ") and b"HTTP/1.1 400 " in answer
    connection.close()


# -- reading --------------------------------------------------------------------------------------------------------------


def test_info_says_what_is_known(ask, stored):
    answer = ask("GET", "/object/info/videos/u1/a.mp4", key={})
    body, etag = answer.json(), f'"{hashlib.md5(MB9).hexdigest()}"'
    assert answer.headers["etag"] == body["etag"] == etag and answer.headers["content-type"] == "application/json; charset=utf-8"
    assert list(body) == ["id", "name", "version", "bucket_id", "size", "content_type", "cache_control", "etag", "metadata",
                          "last_modified", "created_at"]  # fmt: skip
    assert (body["name"], body["bucket_id"], body["size"], body["content_type"]) == ("u1/a.mp4", "videos", 9_000_000, "video/mp4")
    assert body["cache_control"] == "no-cache" and body["metadata"] == {}
    assert ask("GET", "/object/info/videos/u1/a.mp4", key={"Authorization": "Bearer x"}).status == 200


def test_info_of_what_is_not_there_or_not_shown(ask):
    assert ask("POST", "/object/closed/x", b"x", MP4).status == 200
    for path, key, expected in (("videos/none", SERVICE, NO_OBJECT), ("closed/x", ANON, NO_OBJECT), ("closed/x", {}, NO_BUCKET)):
        answer = ask("GET", "/object/info/" + path, key=key)
        assert (answer.status, answer.json()) == (400, expected)


def test_heads_ranges_and_conditions(ask, stored):
    head = ask("HEAD", "/object/videos/u1/a.mp4")
    assert head.status == 200 and head.headers["content-length"] == "9000000" and head.headers["x-robots-tag"] == "none"
    assert ask("HEAD", "/object/videos/none").status == 400
    path = "/object/public/videos/u1/a.mp4"
    for spec, first, last in (("0-99", 0, 99), ("-5000", 8_995_000, 8_999_999), ("8990000-", 8_990_000, 8_999_999),
                              ("8990000-99999999", 8_990_000, 8_999_999)):  # fmt: skip
        part = ask("GET", path, headers={"Range": "bytes=" + spec}, key={})
        assert part.status == 206 and part.headers["content-range"] == f"bytes {first}-{last}/9000000"
        assert part.body == MB9[first : last + 1]
    for spec in ("bytes=9000000-", "bytes=0-1,5-6", "rubbish"):
        part = ask("GET", path, headers={"Range": spec}, key={})
        assert part.status == 416 and "content-range" not in part.headers
        assert part.json() == refusal(416, "invalid_range", "invalid range provided", "InvalidRange")
    assert ask("GET", path, headers={"If-None-Match": head.headers["etag"]}, key={}).status == 304


def test_metadata_is_read_leniently_and_dropped_silently(ask):
    wanted = {"n": 7, "clé": "é", "owner": "u1", "nested": {"a": [1, 2]}}
    text = json.dumps({"owner": "u1", "n": 7, "nested": {"a": [1, 2]}, "clé": "é"}).encode()
    for encoded in (base64.b64encode(text), base64.urlsafe_b64encode(text).rstrip(b"=")):
        ask("PUT", "/object/videos/x", b"x", {**MP4, "x-metadata": encoded.decode(), "Cache-Control": "max-age=3600"})
        info = ask("GET", "/object/info/videos/x").json()
        assert json.dumps(info["metadata"]) == json.dumps(wanted) and info["cache_control"] == "max-age=3600"
    for headers in ({"x-metadata": "no base64!"}, {"x-metadata": base64.b64encode(b"{").decode()}, {}):
        assert ask("PUT", "/object/videos/x", b"x", {**MP4, **headers}).status == 200
        assert ask("GET", "/object/info/videos/x").json()["metadata"] == {}


def test_deleting(ask, stored):
    assert ask("POST", "/object/videos/u1/new.mp4", b"x", MP4).status == 200
    many = lambda keys, bucket="videos", key=SERVICE: ask("DELETE", f"/object/{bucket}", json.dumps({"prefixes": keys}), JSON, key)
    rows = many(["u1/new.mp4", "u1/none.mp4"]).json()
    assert [row["name"] for row in rows] == ["u1/new.mp4"] and rows[0]["metadata"]["mimetype"] == "video/mp4"
    for answer in (many(["u1/none"]), many(["u1"]), many(["x"], "none"), many(["u1/a.mp4"], key=ANON), many(["x"] * 1001)):
        assert (answer.status, answer.json()) == (200, [])
    answer = many([])
    assert answer.json() == refusal(400, "Error", "body/prefixes must NOT have fewer than 1 items", "InvalidRequest")
    answer = ask("DELETE", "/object/videos/u1/a.mp4", b"", JSON)
    message = "Body cannot be empty when content-type is set to 'application/json'"
    assert answer.json() == refusal(400, "FastifyError", message, "InvalidRequest")
    assert ask("DELETE", "/object/videos/u1/a.mp4").json() == {"message": "Successfully deleted"}
    assert ask("DELETE", "/object/videos/u1/a.mp4").json() == NO_OBJECT


# -- resumable uploads ----------------------------------------------------------------------------------------------------


def test_what_the_server_can(ask):
    answer = ask("OPTIONS", "/upload/resumable")
    extensions = "creation,creation-with-upload,creation-defer-length,termination,expiration"
    assert (answer.status, answer.headers["tus-extension"], answer.headers["tus-max-size"]) == (204, extensions, "524288000")


def test_an_upload_in_two_chunks(ask, server):
    made = create(ask)
    location = made.headers["location"]
    path = location[location.index("/upload/") :]
    assert (made.status, made.body, made.headers["tus-resumable"]) == (201, b"", "1.0.0")
    name = base64.urlsafe_b64decode(path.rsplit("/")[-1] + "==").decode()
    assert re.fullmatch(r"videos/u1/tus\.mp4/[0-9a-f-]{36}", name) and location.startswith(server.url)
    head = ask("HEAD", path)
    assert (head.status, head.headers["upload-offset"], head.headers["upload-length"]) == (200, "0", "9000000")
    assert head.headers["cache-control"] == "no-store" and "upload-metadata" in head.headers
    first = patch(ask, path, 0, MB9[:CHUNK])
    assert (first.status, first.headers["upload-offset"], "tus-complete" in first.headers) == (204, str(CHUNK), False)
    assert ask("GET", "/object/info/videos/u1/tus.mp4").json() == NO_OBJECT
    second = patch(ask, path, CHUNK, MB9[CHUNK:])
    assert (second.status, second.headers["upload-offset"], second.headers["tus-complete"]) == (204, "9000000", "1")
    info = ask("GET", "/object/info/videos/u1/tus.mp4").json()
    assert info["metadata"] == {"who": "tus"} and info["cache_control"] == "max-age=3600" and info["size"] == 9_000_000
    assert ask("HEAD", path).headers["upload-offset"] == "9000000"
    again = patch(ask, path, 9_000_000, b"")
    assert (again.status, again.headers["tus-complete"]) == (204, "1")
    assert ask("GET", "/object/public/videos/u1/tus.mp4", key={}).body == MB9


def test_metadata_of_an_upload_without_any_is_null(ask):
    metadata = pairs(bucketName="videos", objectName="x")
    assert ask("POST", "/upload/resumable", b"", tus(Upload_Length="0", Upload_Metadata=metadata)).headers["tus-complete"] == "1"
    assert ask("GET", "/object/info/videos/x").json()["metadata"] is None


@pytest.mark.parametrize("offset", [0, CHUNK + 1])
def test_the_wrong_offset_is_a_conflict(ask, upload, offset):
    assert patch(ask, upload, 0, MB9[:CHUNK]).status == 204
    answer = patch(ask, upload, offset, b"x")
    assert (answer.status, answer.body, answer.headers["connection"]) == (409, b"Upload-Offset conflict", "close")


def test_each_request_is_checked_for_what_exists_by_now(ask, upload):
    plain = tus(Content_Type="application/offset+octet-stream", Upload_Offset="0")
    assert ask("PATCH", upload, MB9[:CHUNK], plain).status == 204
    assert ask("POST", "/object/videos/u1/tus.mp4", b"x", MP4).status == 200
    answer = ask("PATCH", upload, b"x", {**plain, "Upload-Offset": str(CHUNK)})
    assert (answer.status, answer.body) == (409, b"The resource already exists")
    assert patch(ask, upload, CHUNK, MB9[CHUNK:]).status == 204
    answer = create(ask, upsert="false")
    assert (answer.status, answer.body, answer.headers["content-type"].split(";")[0]) == (409, b"The resource already exists", "text/plain")


@pytest.mark.parametrize("more, status, text", [
    ({"bucket": "none"}, 404, "Bucket not found"),
    ({"key": "a~b"}, 400, "Invalid key: a~b"),
    ({"length": 600_000_000}, 413, "Maximum size exceeded"),
    ({"Authorization": "Bearer " + USER}, 403, "new row violates row-level security policy"),
    ({"Upload_Metadata": ""}, 400, "Metadata header is required"),
    ({"Upload_Metadata": "bucketName !"}, 400, "Invalid upload-metadata"),
    ({"Tus_Resumable": ""}, 412, "Tus-Resumable Required"),
])  # fmt: skip
def test_uploads_are_refused_with_true_statuses_and_text(ask, more, status, text):
    headers = {name.replace("_", "-"): value for name, value in more.items() if name[0].isupper()}
    known = {name: value for name, value in more.items() if not name[0].isupper()}
    metadata = pairs(bucketName=known.get("bucket", "videos"), objectName=known.get("key", "x"))
    answer = ask("POST", "/upload/resumable", b"", {**tus(Upload_Length=str(known.get("length", 9)), Upload_Metadata=metadata), **headers})
    assert (answer.status, answer.body.decode()) == (status, text)


def test_an_upload_without_a_length_has_to_say_so(ask):
    metadata = pairs(bucketName="videos", objectName="x")
    answer = ask("POST", "/upload/resumable", b"", tus(Upload_Metadata=metadata))
    assert (answer.status, answer.body) == (400, b"Upload-Length or Upload-Defer-Length header required")
    answer = ask("POST", "/upload/resumable", b"", tus(Upload_Metadata=metadata, Upload_Defer_Length="1"))
    path = answer.headers["location"][answer.headers["location"].index("/upload/") :]
    assert answer.status == 201 and patch(ask, path, 0, b"xyz", Upload_Length="3").headers["tus-complete"] == "1"


def test_other_refusals_of_uploads(ask, upload):
    answer = patch(ask, upload, 0, MB9 + b"x")
    assert (answer.status, answer.body) == (413, b"upload's size exceeded")
    assert ask("HEAD", upload).headers["upload-offset"] == "0"
    answer = ask("PATCH", upload, b"x", tus(Content_Type="video/mp4", Upload_Offset="0"))
    assert (answer.status, answer.body) == (400, b"Invalid content-type")
    assert ask("HEAD", "/upload/resumable/none").status == 404
    answer = patch(ask, "/upload/resumable/none", 0, b"x")
    assert (answer.status, answer.body) == (404, b"The file for this url was not found")


def test_creation_with_upload(ask):
    headers = {"Content-Type": "application/offset+octet-stream"}
    metadata = pairs(bucketName="videos", objectName="x")
    answer = ask("POST", "/upload/resumable", b"xyz", {**tus(Upload_Length="3", Upload_Metadata=metadata), **headers})
    assert (answer.status, answer.headers["upload-offset"], answer.headers["tus-complete"]) == (201, "3", "1")


def test_an_upload_can_be_taken_back(ask, upload):
    assert ask("DELETE", upload, headers=tus()).status == 204
    assert ask("HEAD", upload).status == 404


def begin_patch(server, upload, sent):
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.settimeout(30)
    connection.sendall(f"PATCH {upload} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\nTus-Resumable: 1.0.0\r\nx-upsert: true\r\n"
                       f"Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n"
                       f"Authorization: {SERVICE['Authorization']}\r\n\r\n".encode() + MB9[:sent])  # fmt: skip
    name = upload.rsplit("/")[-1]
    wait_for(lambda: server.uploads[name].content.size == sent, "it is there")
    return connection


def test_a_cut_chunk_is_there_as_far_as_it_came(ask, server, upload):
    begin_patch(server, upload, 2_031_616).close()
    assert ask("HEAD", upload).headers["upload-offset"] == "2031616"
    assert patch(ask, upload, 2_031_616, MB9[2_031_616:]).headers["tus-complete"] == "1"
    assert ask("GET", "/object/public/videos/u1/tus.mp4", key={}).body == MB9


def test_who_asks_while_a_chunk_is_coming_stops_it(ask, server, upload):
    connection = begin_patch(server, upload, 3_000_000)
    assert ask("HEAD", upload).headers["upload-offset"] == "3000000"
    answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 204") and b"Upload-Offset: 3000000" in answer and b"Connection: close" in answer
    connection.close()


def test_location_may_name_another_host(ask, server):
    server.location = "https://elsewhere.example"
    assert create(ask).headers["location"].startswith("https://elsewhere.example/upload/resumable/")


# -- what stands before it at supabase.com -----------------------------------------------------------------------------------


@pytest.fixture
def hosted():
    server = supabase.Supabase()
    server.make_bucket("videos")
    yield server
    server.close()


@pytest.mark.parametrize("headers, status, text", [
    ({"apikey": supabase.SECRET_KEY}, 200, "Key"),
    ({"apikey": supabase.SERVICE_KEY, "Authorization": "Bearer " + supabase.SERVICE_KEY}, 200, "Key"),
    ({"apikey": supabase.SECRET_KEY, "Authorization": "Bearer " + supabase.SECRET_KEY}, 400, "Invalid Compact JWS"),
    ({"apikey": supabase.SECRET_KEY, "User-Agent": "Mozilla/5.0"}, 401, "Invalid API key"),
    ({"apikey": supabase.PUBLISHABLE_KEY}, 401, "Invalid API key"),
    ({"apikey": supabase.SERVICE_KEY}, 400, "authorization"),
    ({"Authorization": "Bearer " + supabase.SERVICE_KEY}, 401, "No API key"),
])  # fmt: skip
def test_keys_at_the_gateway(hosted, headers, status, text):
    connection = http.client.HTTPConnection("127.0.0.1", hosted.port, timeout=30)
    connection.request("POST", "/storage/v1/object/videos/x.mp4", b"x", {**headers, **MP4})
    answer = Reply(connection.getresponse())
    assert answer.status == status and text in answer.body.decode()


def test_over_quota_is_402_for_everything(hosted):
    hosted.over_quota = True
    for method, path in (("GET", "/bucket/videos"), ("POST", "/object/videos/x.mp4"), ("POST", "/upload/resumable")):
        connection = http.client.HTTPConnection("127.0.0.1", hosted.port, timeout=30)
        connection.request(method, "/storage/v1" + path, b"", {"apikey": supabase.SECRET_KEY})
        answer = Reply(connection.getresponse())
        assert answer.status == 402 and b"exceed_storage_size_quota" in answer.body
