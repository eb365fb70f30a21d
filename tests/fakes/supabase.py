"""A stand-in for Supabase Storage (supabase/storage 1.70), with all that surprises about it: most refusals are a 400 whose body
says what is meant, some leave the body of the request unread and the connection useless, resumable uploads have rules of their
own. What it answers was recorded from the real server with its file backend; tests compare the two word by word.

With `gateway` it also does what stands before it at supabase.com: a key in the header apikey, secret keys that are no JWT, and
402 when the project is over its quota."""

import base64
import binascii
import contextlib
import datetime
import hashlib
import hmac
import http.server
import json
import re
import select
import socket
import struct
import threading
import time
import urllib.parse
import uuid

CHUNK = 6 * 1024 * 1024
UNREAD_OK = 200_000  # as much of a body may stay unread without harm
KEEP = 64 * 1024 * 1024  # larger objects are only counted and hashed
KEY = re.compile(r"^[A-Za-z0-9_/!.*'() &$=@;:+,?-]+$")
JWT_SECRET = "canary-jwt-secret-of-at-least-32-characters"
SECRET_KEY = "sb_secret_canary_0123456789abcdefghij"
PUBLISHABLE_KEY = "sb_publishable_canary_0123456789"


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    """Both alphabets, with or without padding, as Node reads it."""
    text = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def token(**claims):
    """A JWT of the project."""
    signed = b64url(b'{"alg":"HS256","typ":"JWT"}') + "." + b64url(json.dumps(claims).encode())
    return signed + "." + b64url(hmac.new(JWT_SECRET.encode(), signed.encode(), hashlib.sha256).digest())


SERVICE_KEY = token(iss="supabase", ref="canary", role="service_role", iat=1700000000, exp=4000000000)
ANON_KEY = token(iss="supabase", ref="canary", role="anon", iat=1700000000, exp=4000000000)


class Refusal(Exception):
    """meaning: statusCode of the body; status: of HTTP. unread: the rest of the body is left where it is."""

    def __init__(self, meaning, error, message, code, status=400, unread=False):
        self.status, self.unread, self.meaning, self.message = status, unread, meaning, message
        self.body = {"statusCode": str(meaning), "error": error, "message": message, "code": code}


class Plain(Exception):
    """A refusal of a resumable upload: a true status, and text."""

    def __init__(self, status, text, close=False):
        self.status, self.text, self.close = status, text, close


class Gone(Exception):
    """The other side is gone, or is to be."""


# What rules may raise beside Refusal and Plain.


class Answer(Exception):
    """Answer with this, and do nothing."""

    def __init__(self, status, body=b"", headers=()):
        self.status, self.body, self.headers = status, body, dict(headers)


class Cut(Exception):
    """Reset the connection after so many bytes of the body."""

    def __init__(self, after):
        self.after = after


class Stall(Exception):
    """Stop reading after so many bytes of the body, without a word."""

    def __init__(self, after):
        self.after = after


class Lose(Exception):
    """Do it, and reset the connection instead of answering."""


class Hold(Exception):
    """Do it, and say nothing until the other side has gone."""


def no_bucket():
    return Refusal(404, "Bucket not found", "Bucket not found", "NoSuchBucket")


def no_object():
    return Refusal(404, "not_found", "Object not found", "NoSuchKey")


def denied(message="new row violates row-level security policy"):
    return Refusal(403, "Unauthorized", message, "AccessDenied")


def duplicate(code="KeyAlreadyExists"):
    return Refusal(409, "Duplicate", "The resource already exists", code, unread=True)


def too_large():
    return Refusal(413, "Payload too large", "The object exceeded the maximum allowed size", "EntityTooLarge")


def invalid(message, error="Error"):
    return Refusal(400, error, message, "InvalidRequest")


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Content:
    """Bytes that come in: hashed, and kept when there are not too many."""

    def __init__(self):
        self.size, self.pieces, self.md5, self.sha256 = 0, [], hashlib.md5(), hashlib.sha256()

    def add(self, piece):
        self.size += len(piece)
        self.md5.update(piece)
        self.sha256.update(piece)
        if self.size <= KEEP:
            self.pieces.append(piece)
        else:
            self.pieces.clear()

    def bytes(self):
        assert self.size <= KEEP
        return b"".join(self.pieces)


class Object:
    def __init__(self, content, content_type, cache_control, metadata, before=None):
        self.id = before.id if before else str(uuid.uuid4())
        self.version, self.content = str(uuid.uuid4()), content
        self.content_type, self.cache_control, self.metadata = content_type, cache_control, metadata
        self.created, self.modified = before.created if before else now(), now()

    @property
    def etag(self):
        return f'"{self.content.md5.hexdigest()}"'


class Upload:
    def __init__(self, bucket, key, length, pairs, header, upsert):
        self.bucket, self.key, self.length, self.pairs, self.header, self.upsert = bucket, key, length, pairs, header, upsert
        self.content, self.lock, self.stop = Content(), threading.Lock(), threading.Event()


class Body:
    """The body of a request, by length or in chunks."""

    def __init__(self, handler):
        self.handler = handler
        self.chunked = handler.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self.left = 0 if self.chunked else int(handler.headers.get("Content-Length") or 0)
        self.length = None if self.chunked else self.left
        self.done = not self.chunked and self.left == 0
        self.taken = 0
        self.cut = self.stall = None

    def line(self):
        line = self.handler.rfile.readline(1000)
        if not line.endswith(b"\n"):
            raise Gone
        return line.strip()

    def read(self, most=65536):
        """Some bytes; none at the end. Gone when the connection breaks before."""
        if self.done:
            return b""
        for limit, end in ((self.cut, self.handler.reset), (self.stall, self.handler.wait_for_stop)):
            if limit is not None and self.taken >= limit:
                end()
            elif limit is not None:
                most = min(most, limit - self.taken)
        if self.chunked and self.left == 0:
            self.left = int(self.line().split(b";")[0], 16)
            if self.left == 0:
                while self.line():
                    pass
                self.done = True
                return b""
        piece = self.handler.rfile.read1(min(most, self.left))
        if not piece:
            raise Gone
        self.left -= len(piece)
        self.taken += len(piece)
        if self.chunked and self.left == 0:
            self.line()
        self.done = not self.chunked and self.left == 0
        return piece

    def whole(self):
        pieces = []
        while piece := self.read():
            pieces.append(piece)
        return b"".join(pieces)


class Supabase:
    def __init__(self, gateway=True, prefix="/storage/v1", lock_s=0.2):
        self.gateway, self.prefix, self.lock_s = gateway, prefix, lock_s
        self.buckets, self.objects, self.uploads = {}, {}, {}
        self.lock = threading.RLock()
        self.rules, self.seen = [], []
        self.begun = 0  # objects whose bytes are or were taken in
        self.over_quota = False  # True, or "writes"
        self.size_limit = 524288000
        self.may = {"service_role": lambda bucket, key, sub: True}  # role -> may it touch this object?
        self.may["authenticated"] = lambda bucket, key, sub: bucket == "own" and key.startswith(f"{sub}/")
        self.secret_keys = {SECRET_KEY}
        self.location = None  # what stands before the path in Location, when it is somewhere else

        class Handler(_Handler):
            server_ = self

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args):
                pass

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.port = self.listener.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def close(self):
        self.listener.shutdown()
        self.listener.server_close()

    def make_bucket(self, name, public=True, file_size_limit=None, allowed_mime_types=None):
        self.buckets[name] = {"id": name, "name": name, "owner": "", "public": public, "file_size_limit": file_size_limit,
                              "allowed_mime_types": allowed_mime_types, "created_at": now(), "updated_at": now()}  # fmt: skip

    def rule(self, what, method=None, path="", times=1):
        """Raise `what` for the next `times` requests of a method whose path has this in it."""
        left = [times]

        def apply(its_method, its_path, headers):
            if method in (None, its_method) and re.search(path, its_path) and left[0] > 0:
                left[0] -= 1
                raise what

        self.rules.append(apply)
        return left

    def count(self, method, path="", status=None):
        with self.lock:
            return sum(1 for seen in self.seen if seen[0] == method and re.search(path, seen[1]) and status in (None, seen[3]))


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_ = None

    def log_message(self, *args):
        pass

    # -- answers ----------------------------------------------------------------------------------------------------------

    def see(self, status):
        if not self.was_seen:
            self.was_seen = True
            with self.server_.lock:
                self.server_.seen.append((self.command, self.path, dict(self.headers.items()), status))

    def reset(self):
        self.see(0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        raise Gone

    def wait_for_stop(self):
        """Read nothing until another request for the same upload comes, or the other side closes."""
        while not (self.running and self.running.stop.wait(0.02)):
            if self.is_closed():
                raise Gone
        raise _Stopped

    def is_closed(self):
        poll = select.poll()
        poll.register(self.connection, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        return bool(poll.poll(0))

    def reply(self, status, body=b"", headers=(), content_type=None, close=False):
        while self.hold:
            if self.is_closed():
                raise Gone
            time.sleep(0.02)
        if self.lose:
            self.reset()
        self.see(status)
        if isinstance(body, (dict, list)):
            body, content_type = json.dumps(body).encode(), "application/json; charset=utf-8"
        self.send_response_only(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Connection", "close" if close else "keep-alive")
        self.close_connection = self.close_connection or close
        if status not in (204, 304):
            if self.command != "HEAD" or "Content-Length" not in dict(headers):
                self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def tus_reply(self, status, headers=(), text="", close=False):
        headers = {"Tus-Resumable": "1.0.0", **dict(headers)}
        self.reply(status, text.encode(), headers, "text/plain; charset=utf-8" if text else None, close)

    def leave_unread(self):
        """The rest of the body stays in the socket. A small rest does no harm; a larger one, and nothing is read again."""
        if self.body.left <= UNREAD_OK and not self.body.chunked:
            self.body.whole()
            return
        while not self.is_closed():
            time.sleep(0.02)
        raise Gone

    def handle_expect_100(self):
        self.send_response_only(100)  # always, and refused only afterwards
        self.end_headers()
        return True

    # -- who asks ---------------------------------------------------------------------------------------------------------

    def pass_gateway(self):
        """What stands before the server at supabase.com. Gives the Authorization that the server sees."""
        authorization, key = self.headers.get("Authorization"), self.headers.get("apikey")
        if not self.server_.gateway:
            return authorization
        if self.server_.over_quota is True:
            raise Answer(402, b'{"message":"Service for this project is restricted due to the following violations: exceed_storage_size_quota."}',
                         {"Content-Type": "application/json"})  # fmt: skip
        if "/object/public/" in self.path or "/object/sign/" in self.path and self.command == "GET":
            return authorization
        if not key:
            raise Answer(401, b'{"message":"No API key found in request","hint":"No `apikey` request header or url param was found."}',
                         {"Content-Type": "application/json"})  # fmt: skip
        if key.startswith("sb_"):
            if key not in self.server_.secret_keys or "Mozilla" in self.headers.get("User-Agent", ""):
                raise Answer(401, b'{"message":"Invalid API key"}', {"Content-Type": "application/json"})
            if authorization and authorization != f"Bearer {key}" and not authorization.startswith("Bearer eyJ"):
                raise Answer(401, b'{"message":"Invalid API key"}', {"Content-Type": "application/json"})
            return authorization or "Bearer " + SERVICE_KEY
        return authorization

    def claims_of(self, jwt):
        try:
            head, claims, signature = jwt.split(".")
            right = b64url(hmac.new(JWT_SECRET.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest())
            claims = json.loads(unb64(claims))
        except (ValueError, binascii.Error):
            raise denied("Invalid Compact JWS") from None
        if not hmac.compare_digest(right, signature):
            raise denied("signature verification failed")
        if claims.get("exp", 1 << 40) <= time.time():
            raise denied('"exp" claim timestamp check failed')
        return claims

    def log_in(self):
        authorization = self.pass_gateway()
        if not authorization:
            raise invalid("headers must have required property 'authorization'")
        claims = self.claims_of(authorization.removeprefix("Bearer "))
        self.role, self.sub = claims.get("role", "anon"), claims.get("sub")

    def may(self, bucket, key):
        return self.server_.may.get(self.role, lambda *_: False)(bucket, key, self.sub)

    # -- the way of a request -----------------------------------------------------------------------------------------------

    def do(self):
        self.was_seen, self.lose, self.hold, self.running, self.role, self.sub = False, False, False, None, None, None
        with contextlib.suppress(Gone):
            self.answer_request()
            return
        self.close_connection = True

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = do

    def apply_rules(self):
        try:
            for rule in list(self.server_.rules):
                rule(self.command, self.path, self.headers)
        except Cut as told:
            self.body.cut = told.after
        except Stall as told:
            self.body.stall = told.after
        except Lose:
            self.lose = True
        except Hold:
            self.hold = True

    def answer_request(self):
        if self.headers.get("Transfer-Encoding") and self.headers.get("Content-Length"):
            return self.reply(400, {"error": "Bad Request", "message": "Client Error", "statusCode": 400}, close=True)
        self.body = Body(self)
        try:
            self.apply_rules()
            self.check_head()
            self.route()
        except Refusal as refusal:
            if refusal.unread:
                self.reply(refusal.status, refusal.body)
                return self.leave_unread()
            self.reply(refusal.status, refusal.body)
        except Plain as plain:
            self.tus_reply(plain.status, {}, plain.text, plain.close)
        except Answer as answer:
            self.reply(answer.status, answer.body, answer.headers)
        while self.body.read():
            pass

    def check_head(self):
        if sum(len(name) + len(value) + 4 for name, value in self.headers.items()) + len(self.path) > 16384:
            raise Answer(431)
        if re.search(r"%(?![0-9A-Fa-f]{2})", self.path):
            body = {"error": "Bad Request", "code": "FST_ERR_BAD_URL",
                    "message": f"'{self.path}' is not a valid url component", "statusCode": 400}  # fmt: skip
            raise Answer(400, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def route(self):
        path, _, query = self.path.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))
        if not path.startswith(self.server_.prefix):
            raise Answer(404, b'{"message":"no such route"}')
        path = path[len(self.server_.prefix) :]
        for methods, form, name in ROUTES:
            match = re.fullmatch(form, path)
            if match and self.command in methods:
                return getattr(self, name)(*(urllib.parse.unquote(part) for part in match.groups()))
        body = {"message": f"Route {self.command}:{path} not found", "error": "Not Found", "statusCode": 404}
        raise Answer(404, json.dumps(body).encode(), {"Content-Type": "application/json"})

    # -- objects ----------------------------------------------------------------------------------------------------------

    def check_key(self, bucket, key):
        if not KEY.match(key):
            raise Refusal(400, "InvalidKey", f"Invalid key: {key}", "InvalidKey", unread=True)
        if any(part in (".", "..") for part in key.split("/")):
            message = f"Invalid key: stub/stub/{bucket}/{key}/{uuid.uuid4()} contains dot path segment"
            raise Refusal(400, "InvalidKey", message, "InvalidKey", unread=True)

    def check_writable(self, bucket, key, upsert):
        self.check_key(bucket, key)
        if bucket not in self.server_.buckets:
            raise no_bucket()
        if self.server_.over_quota == "writes":
            raise Answer(402, b'{"statusCode":"402","error":"exceed_storage_size_quota","message":"over quota"}')
        if not self.may(bucket, key):
            raise denied()
        if not upsert and (bucket, key) in self.server_.objects:
            raise duplicate()
        if any(len(part.encode()) > 255 for part in key.split("/")):
            raise Refusal(500, "Internal", "Internal Server Error", "InternalError", status=500)

    def check_type(self, bucket, content_type):
        allowed = self.server_.buckets[bucket]["allowed_mime_types"]
        kind = content_type.split(";")[0].strip()
        if allowed and not any(kind == type_ or type_.endswith("/*") and kind.startswith(type_[:-1]) for type_ in allowed):
            raise Refusal(415, "invalid_mime_type", f"mime type {content_type} is not supported", "InvalidMimeType")

    def limit_of(self, bucket):
        return min(self.server_.buckets[bucket]["file_size_limit"] or 1 << 60, self.server_.size_limit)

    def read_metadata(self):
        """What cannot be read is dropped without a word; a bare text is refused by the database, later."""
        try:
            value = json.loads(unb64(self.headers.get("x-metadata", "")))
        except (ValueError, binascii.Error):
            return {}
        if not isinstance(value, dict):
            raise Refusal(400, "InvalidParameter", "invalid input syntax for type json", "InvalidParameter", unread=True)
        return dict(sorted(value.items(), key=lambda pair: (len(pair[0].encode()), pair[0])))

    def write_object(self, bucket, key):
        self.log_in()
        upsert = self.command == "PUT" or self.headers.get("x-upsert") == "true"
        self.check_writable(bucket, key, upsert)
        content_type = self.headers.get("Content-Type", "application/octet-stream")
        self.check_type(bucket, content_type)
        if self.body.length is not None and self.body.length > self.limit_of(bucket):  # in chunks nobody counts
            raise too_large()
        metadata, content = self.read_metadata(), Content()
        with self.server_.lock:
            self.server_.begun += 1
        while piece := self.body.read():
            content.add(piece)
        stored = self.store(bucket, key, content, content_type, self.headers.get("Cache-Control", "no-cache"), metadata)
        self.reply(200, {"Key": f"{bucket}/{key}", "Id": stored.id})

    def store(self, bucket, key, content, content_type, cache_control, metadata):
        """The last one wins, whatever was asked for."""
        with self.server_.lock:
            before = self.server_.objects.get((bucket, key))
            stored = Object(content, content_type, cache_control, metadata, before)
            self.server_.objects[bucket, key] = stored
            return stored

    def find(self, bucket, key, public_ok=True):
        row = self.server_.buckets.get(bucket)
        if not (public_ok and row and row["public"]):
            if not self.headers.get("Authorization") and not self.headers.get("apikey"):
                raise no_bucket()
            self.log_in()
            if row is None:
                raise no_bucket()
            if not self.may(bucket, key):
                raise no_object()
        else:
            self.pass_gateway()
        stored = self.server_.objects.get((bucket, key))
        if stored is None:
            raise no_object()
        return stored

    def info(self, bucket, key):
        stored = self.find(bucket, key)
        body = {"id": stored.id, "name": key, "version": stored.version, "bucket_id": bucket, "size": stored.content.size,
                "content_type": stored.content_type, "cache_control": stored.cache_control, "etag": stored.etag,
                "metadata": stored.metadata, "last_modified": stored.modified, "created_at": stored.created}  # fmt: skip
        self.reply(200, body, {"ETag": stored.etag, "Cache-Control": "no-cache"})

    def serve(self, stored):
        headers = {"ETag": stored.etag, "Accept-Ranges": "bytes", "Cache-Control": stored.cache_control, "X-Robots-Tag": "none"}
        size, spec = stored.content.size, self.headers.get("Range")
        if self.headers.get("If-None-Match") == stored.etag:
            return self.reply(304, headers=headers)
        if self.command == "HEAD":
            return self.reply(200, headers={**headers, "Content-Length": str(size)}, content_type=stored.content_type)
        if spec is None:
            return self.reply(200, stored.content.bytes(), headers, stored.content_type)
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", spec)
        first, last = (match[1], match[2]) if match else ("", "")
        if first == last == "" or first and int(first) >= size:
            raise Refusal(416, "invalid_range", "invalid range provided", "InvalidRange", status=416)
        first, last = (int(first), min(int(last or size), size - 1)) if first else (max(size - int(last), 0), size - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self.reply(206, stored.content.bytes()[first : last + 1], headers, stored.content_type)

    def read_object(self, bucket, key):
        self.serve(self.find(bucket, key, public_ok=False))

    def read_public(self, bucket, key):
        if not self.server_.buckets.get(bucket, {}).get("public"):
            raise no_bucket()
        if (bucket, key) not in self.server_.objects:
            raise no_object()
        self.serve(self.server_.objects[bucket, key])

    def sign(self, bucket, key):
        self.log_in()
        body = self.read_json()
        if not isinstance(body.get("expiresIn"), int) or body["expiresIn"] < 1:
            raise invalid("body/expiresIn must be >= 1")
        self.find(bucket, key)
        signature = token(url=f"{bucket}/{key}", iat=int(time.time()), exp=int(time.time()) + body["expiresIn"])
        self.reply(200, {"signedURL": f"/object/sign/{bucket}/{key}?token={signature}"})

    def read_signed(self, bucket, key):
        try:
            claims = self.claims_of(self.query.get("token", ""))
        except Refusal as refusal:
            raise Refusal(400, "InvalidJWT", refusal.message, "InvalidJWT") from None
        if claims.get("url") != f"{bucket}/{key}":
            raise Refusal(400, "InvalidSignature", "The signature is not valid", "InvalidSignature")
        self.serve(self.server_.objects[bucket, key])

    def read_json(self):
        body = self.body.whole()
        if not body:
            raise invalid("Body cannot be empty when content-type is set to 'application/json'", "FastifyError")
        return json.loads(body)

    def copy(self):
        self.log_in()
        body = self.read_json()
        bucket, key = body["bucketId"], body["sourceKey"]
        to = (body.get("destinationBucket") or bucket, body["destinationKey"])
        source = self.server_.objects.get((bucket, key))
        if source is None or not self.may(bucket, key):
            raise no_object()
        self.check_writable(*to, self.headers.get("x-upsert") == "true")
        metadata = source.metadata if body.get("copyMetadata", True) else self.read_metadata()
        stored = self.store(*to, source.content, source.content_type, source.cache_control, metadata)
        self.reply(200, {"Id": stored.id, "Key": "/".join(to), "id": stored.id, "name": to[1]})

    def delete_object(self, bucket, key):
        self.log_in()
        if self.headers.get("Content-Type") == "application/json":
            self.read_json()
        if (bucket, key) not in self.server_.objects or not self.may(bucket, key):
            raise no_object()
        del self.server_.objects[bucket, key]
        self.reply(200, {"message": "Successfully deleted"})

    def delete_objects(self, bucket):
        self.log_in()
        keys = self.read_json()["prefixes"]
        if not keys:
            raise invalid("body/prefixes must NOT have fewer than 1 items")
        gone = [key for key in keys if (bucket, key) in self.server_.objects and self.may(bucket, key)]
        rows = []
        for key in gone:
            stored = self.server_.objects.pop((bucket, key))
            rows.append({"name": key, "bucket_id": bucket, "owner": None, "owner_id": None, "version": stored.version,
                         "id": stored.id, "updated_at": stored.modified, "created_at": stored.created,
                         "last_accessed_at": stored.modified, "user_metadata": stored.metadata,
                         "metadata": {"eTag": stored.etag, "size": stored.content.size, "mimetype": stored.content_type}})  # fmt: skip
        self.reply(200, rows)

    # -- buckets ----------------------------------------------------------------------------------------------------------

    def create_bucket(self):
        self.log_in()
        body = self.read_json()
        if self.role != "service_role":
            raise denied()
        name = body.get("id") or body["name"]
        if name in self.server_.buckets:
            raise duplicate("BucketAlreadyExists")
        self.server_.make_bucket(name, body.get("public", False), body.get("file_size_limit"), body.get("allowed_mime_types"))
        self.reply(200, {"name": name})

    def read_bucket(self, name):
        self.log_in()
        if name not in self.server_.buckets or not self.may(name, ""):
            raise no_bucket()
        self.reply(200, self.server_.buckets[name])

    # -- resumable uploads --------------------------------------------------------------------------------------------------

    def tus_check(self, bucket, key, upsert):
        try:
            self.check_writable(bucket, key, upsert)
        except Refusal as refusal:
            raise Plain(refusal.meaning, refusal.message) from None

    def tus_options(self):
        self.reply(204, headers={"Tus-Resumable": "1.0.0", "Tus-Version": "1.0.0", "Tus-Max-Size": str(self.server_.size_limit),
                                 "Tus-Extension": "creation,creation-with-upload,creation-defer-length,termination,expiration"})  # fmt: skip

    def tus_begin(self):
        """What every request but OPTIONS has to have."""
        self.log_in()
        if self.headers.get("Tus-Resumable") != "1.0.0":
            raise Plain(412, "Tus-Resumable Required")

    def tus_create(self):
        self.tus_begin()
        header = self.headers.get("Upload-Metadata")
        if not header:
            raise Plain(400, "Metadata header is required")
        try:
            pairs = {name: unb64(value).decode() for name, value in (pair.split(" ") for pair in header.split(","))}
        except (ValueError, binascii.Error):
            raise Plain(400, "Invalid upload-metadata") from None
        length = self.headers.get("Upload-Length")
        if length is None and self.headers.get("Upload-Defer-Length") != "1":
            raise Plain(400, "Upload-Length or Upload-Defer-Length header required")
        bucket, key = pairs.get("bucketName", ""), pairs.get("objectName", "")
        upsert = self.headers.get("x-upsert") == "true"
        self.tus_check(bucket, key, upsert)
        if length is not None and int(length) > self.limit_of(bucket):
            raise Plain(413, "Maximum size exceeded")
        try:
            self.check_type(bucket, pairs.get("contentType", "application/octet-stream"))
        except Refusal as refusal:
            raise Plain(415, refusal.message) from None
        upload = Upload(bucket, key, None if length is None else int(length), pairs, header, upsert)
        name = b64url(f"{bucket}/{key}/{uuid.uuid4()}".encode())
        self.server_.uploads[name] = upload
        headers = {"Location": (self.server_.location or self.server_.url) + f"{self.server_.prefix}/upload/resumable/{name}"}
        if self.headers.get("Content-Type") == "application/offset+octet-stream":
            self.tus_take(upload)
            headers["Upload-Offset"] = str(upload.content.size)
        if upload.length == upload.content.size:
            self.tus_finish(upload)
            headers["Tus-Complete"] = "1"
        self.tus_reply(201, headers)

    def tus_find(self, name):
        if name not in self.server_.uploads:
            raise Plain(404, "The file for this url was not found")
        return self.server_.uploads[name]

    @contextlib.contextmanager
    def tus_lock(self, upload):
        """Whoever comes stops the one that is at it, and waits for it to let go."""
        if not upload.lock.acquire(timeout=0.001):
            time.sleep(self.server_.lock_s)
            upload.stop.set()
            if not upload.lock.acquire(timeout=5):
                raise Plain(500, "acquiring lock timeout")
        upload.stop.clear()
        try:
            yield
        finally:
            upload.lock.release()

    def tus_head(self, name):
        self.log_in()
        upload = self.tus_find(name)
        with self.tus_lock(upload):
            length = {"Upload-Defer-Length": "1"} if upload.length is None else {"Upload-Length": str(upload.length)}
            self.tus_reply(200, {"Upload-Offset": str(upload.content.size), **length, "Upload-Metadata": upload.header,
                                 "Cache-Control": "no-store"})  # fmt: skip

    def tus_take(self, upload):
        """As much as comes, until the end, a cut, or somebody else's request."""
        room = (1 << 60) if upload.length is None else upload.length - upload.content.size
        if (self.body.length or 0) > room:
            raise Plain(413, "upload's size exceeded", close=True)
        self.running = upload
        while not upload.stop.is_set():
            if not self.rfile_ready():
                continue
            piece = self.body.read()
            if not piece:
                return True
            upload.content.add(piece)
        return False

    def rfile_ready(self):
        """Is there something to read, soon? What the reader has in store counts."""
        if self.body.done or self.body.stall is not None or self.body.cut is not None or self.rfile.peek_ready():
            return True
        return bool(select.select([self.connection], [], [], 0.02)[0])

    def check_chunk(self, upload, offset):
        """At supabase.com chunks have one size, but for the last."""
        end = offset + (self.body.length or 0)
        if self.server_.gateway and self.body.length not in (0, CHUNK) and end != upload.length:
            raise Plain(400, f"a chunk has {CHUNK} bytes, this one {self.body.length}", close=True)

    def tus_patch(self, name):
        self.tus_begin()
        if self.headers.get("Content-Type") != "application/offset+octet-stream":
            raise Plain(400, "Invalid content-type")
        upload = self.tus_find(name)
        self.tus_check(upload.bucket, upload.key, self.headers.get("x-upsert") == "true")
        offset = int(self.headers["Upload-Offset"])
        with self.tus_lock(upload):
            if offset != upload.content.size:
                raise Plain(409, "Upload-Offset conflict", close=True)
            if upload.length is None and "Upload-Length" in self.headers:
                upload.length = int(self.headers["Upload-Length"])
            self.check_chunk(upload, offset)
            try:
                whole = self.tus_take(upload)
            except _Stopped:
                whole = False
            headers = {"Upload-Offset": str(upload.content.size)}
            if upload.length == upload.content.size:
                self.tus_finish(upload)
                headers["Tus-Complete"] = "1"
            self.tus_reply(204, headers, close=not whole)
            if not whole:
                raise Gone

    def tus_finish(self, upload):
        seconds = upload.pairs.get("cacheControl", "")
        try:
            metadata = json.loads(upload.pairs["metadata"])
        except (KeyError, ValueError):
            metadata = None
        self.store(upload.bucket, upload.key, upload.content, upload.pairs.get("contentType", "application/octet-stream"),
                   f"max-age={seconds}" if re.fullmatch(r"-?\d+", seconds) else "no-cache", metadata)  # fmt: skip

    def tus_delete(self, name):
        self.tus_begin()
        upload = self.tus_find(name)
        with self.tus_lock(upload):
            del self.server_.uploads[name]
            for place, stored in list(self.server_.objects.items()):
                if stored.content is upload.content:  # of a finished one it takes the bytes, whoever needs them
                    del self.server_.objects[place]
            self.tus_reply(204)

    # -- reading the socket -------------------------------------------------------------------------------------------------

    def setup(self):
        super().setup()
        self.rfile = _Reader(self.connection)


class _Stopped(Exception):
    """Another request has come for this upload."""


class _Reader:
    """What http.server needs of a file, and whether there is something in its store."""

    def __init__(self, connection):
        self.connection, self.store, self.closed = connection, b"", False

    def peek_ready(self):
        return bool(self.store)

    def fill(self):
        try:
            piece = self.connection.recv(262144)
        except OSError:
            piece = b""
        self.store += piece
        return piece

    def readline(self, limit=65537):
        while b"\n" not in self.store and len(self.store) < limit:
            if not self.fill():
                break
        end = self.store.find(b"\n") + 1 or len(self.store)
        line, self.store = self.store[: min(end, limit)], self.store[min(end, limit) :]
        return line

    def read1(self, most):
        if not self.store:
            self.fill()
        piece, self.store = self.store[:most], self.store[most:]
        return piece

    def flush(self):
        pass

    def close(self):
        self.closed = True


OBJECT = r"/([^/]+)/(.+)"
ROUTES = [
    (("POST",), r"/object/copy", "copy"),
    (("POST",), r"/object/sign" + OBJECT, "sign"),
    (("GET", "HEAD"), r"/object/sign" + OBJECT, "read_signed"),
    (("GET", "HEAD"), r"/object/public" + OBJECT, "read_public"),
    (("GET",), r"/object/info" + OBJECT, "info"),
    (("GET", "HEAD"), r"/object/authenticated" + OBJECT, "read_object"),
    (("POST", "PUT"), r"/object" + OBJECT, "write_object"),
    (("GET", "HEAD"), r"/object" + OBJECT, "read_object"),
    (("DELETE",), r"/object" + OBJECT, "delete_object"),
    (("DELETE",), r"/object/([^/]+)", "delete_objects"),
    (("POST",), r"/bucket", "create_bucket"),
    (("GET",), r"/bucket/([^/]+)", "read_bucket"),
    (("OPTIONS",), r"/upload/resumable/?", "tus_options"),
    (("POST",), r"/upload/resumable/?", "tus_create"),
    (("HEAD",), r"/upload/resumable/([^/]+)", "tus_head"),
    (("PATCH",), r"/upload/resumable/([^/]+)", "tus_patch"),
    (("DELETE",), r"/upload/resumable/([^/]+)", "tus_delete"),
]
