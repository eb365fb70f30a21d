"""An S3 server that checks signatures, a proxy that stands before it and misbehaves, and how tests look at both."""

import collections
import contextlib
import http.client
import http.server
import io
import re
import socket
import struct
import threading
import urllib.parse

import boto3
import botocore.client
import harness

ACCESS_KEY = "AKIDREELBUS"
SECRET_KEY = "canary-s3-secret"
JARS = harness.ROOT / ".run/s3proxy-jars"


def client(port, access_key=ACCESS_KEY, secret_key=SECRET_KEY):
    """boto3: shares no code with what it reads back."""
    config = botocore.client.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1},
                                    request_checksum_calculation="when_required", response_checksum_validation="when_required")
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", config=config,
                        aws_access_key_id=access_key, aws_secret_access_key=secret_key)  # fmt: skip


class Server:
    """s3proxy, with files behind it. One for all tests; each test has a bucket of its own. virtual_host: the same files,
    with buckets in the name of this host."""

    def __init__(self, stack, virtual_host=None):
        self.port = harness.local.free_ports()["provider"]
        folder = stack.folder / "s3"
        (folder / "data").mkdir(parents=True, exist_ok=True)
        config = folder / f"{virtual_host or 's3proxy'}.conf"
        config.write_text(f"""\
s3proxy.authorization=aws-v4
s3proxy.endpoint=http://127.0.0.1:{self.port}
s3proxy.identity={ACCESS_KEY}
s3proxy.credential={SECRET_KEY}
{'s3proxy.virtual-host=' + virtual_host if virtual_host else ''}
s3proxy.ignore-unknown-headers=true
jclouds.provider=filesystem
jclouds.filesystem.basedir={folder / 'data'}
jclouds.identity=none
jclouds.credential=none
""")
        (folder / "logback.xml").write_text('<configuration><appender name="S" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%d %msg%n%ex</pattern></encoder>'
                                            '</appender><root level="WARN"><appender-ref ref="S"/></root></configuration>')
        command = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m",
                   f"-Dlogback.configurationFile={folder / 'logback.xml'}", "-cp", f"{JARS}/*",
                   "org.gaul.s3proxy.Main", "--properties", config]  # fmt: skip
        self.process = stack.start("s3proxy", lambda: stack.spawn("s3proxy", command),
                                   lambda: harness.local.port_is_open(self.port))  # fmt: skip
        self.client = client(self.port)

    def stop(self):
        self.process.stop()


Seen = collections.namedtuple("Seen", "method path query headers status")


class Answer(Exception):
    """Raised by a rule: answer with this, and let nothing through."""

    def __init__(self, status, body=b"", headers=()):
        self.status, self.body, self.headers = status, body, dict(headers)


class Cut(Exception):
    """Raised by a rule: reset the connection after so many bytes of the body."""

    def __init__(self, after):
        self.after = after


class Stall(Exception):
    """Raised by a rule: read so many bytes of the body, and not one more before it is over; answer nothing."""

    def __init__(self, after):
        self.after, self.over = after, threading.Event()


class Lose(Exception):
    """Raised by a rule: let the request through, and reset the connection instead of answering."""


def error_body(code, message="as told", extra=""):
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message>{extra}</Error>'.encode()


class Proxy:
    """Counts what goes through to a server, and does to it what rules say. A rule is a function of (method, path, query,
    headers), called before the body is read."""

    def __init__(self, port):
        self.rules, self.seen, self.lock = [], [], threading.Lock()
        self.spoil = 0  # bodies of PUTs in which a bit is turned
        self.bare_etags = None  # as a set: those of parts come without quotes, and are taken back only so
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def handle_expect_100(self):
                return True  # said when the rules have spoken

            def apply_rules(self):
                path, _, query = self.path.partition("?")
                query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
                for rule in list(proxy.rules):
                    rule(self.command, path, query, self.headers)

            def see(self, status):
                path, _, query = self.path.partition("?")
                with proxy.lock:
                    proxy.seen.append(Seen(self.command, path, query, dict(self.headers.items()), status))

            def reply(self, status, headers, body):
                self.see(status)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def reset(self):
                self.see(0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

            def stall(self, stall, length):
                self.rfile.read(min(stall.after, length))
                stall.over.wait(2 * harness.WAIT_S)
                self.reset()

            def do(self):
                length = int(self.headers.get("Content-Length") or 0)
                cut, stall, lose = None, None, False
                try:
                    self.apply_rules()
                except Answer as answer:
                    self.close_connection = self.close_connection or length > 0
                    return self.reply(answer.status, answer.headers, answer.body)
                except Cut as told:
                    cut = told.after
                except Stall as told:
                    stall = told
                except Lose:
                    lose = True
                if self.headers.get("Expect"):
                    self.send_response_only(100)
                    self.end_headers()
                if cut is not None:
                    self.rfile.read(min(cut, length))
                    return self.reset()
                if stall is not None:
                    return self.stall(stall, length)
                return self.forward(length, lose)

            def forward(self, length, lose):
                source = self.rfile
                if proxy.bare_etags is not None and self.command == "POST" and "uploadId=" in self.path:
                    source = io.BytesIO(self.rfile.read(length))
                    if not set(re.findall("<ETag>(.*?)</ETag>", source.getvalue().decode())) <= proxy.bare_etags:
                        return self.reply(400, {}, error_body("InvalidChecksum"))
                with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as server:
                    server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in self.headers.items():
                        if name.lower() != "expect":
                            server.putheader(name, value)
                    server.endheaders()
                    while length > 0:
                        piece = source.read(min(length, 65536))
                        if not piece:
                            return self.reset()
                        if proxy.spoil > 0 and self.command == "PUT":
                            proxy.spoil -= 1
                            piece = piece[:-1] + bytes([piece[-1] ^ 1])
                        server.send(piece)
                        length -= len(piece)
                    answer = server.getresponse()
                    body = answer.read()
                    if lose:
                        return self.reset()
                    self.see(answer.status)
                    self.send_response_only(answer.status)
                    for name, value in answer.getheaders():
                        if name.lower() == "etag" and proxy.bare_etags is not None and "partNumber=" in self.path:
                            value = value.strip('"')
                            proxy.bare_etags.add(value)
                        if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                            self.send_header(name, value)
                    size = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
                    self.send_header("Content-Length", size or "0")
                    self.end_headers()
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args):
                pass  # whoever cut the connection knows

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def rule(self, what, method=None, times=1, **query):
        """Raise `what` for the next `times` requests of a method and a query. Value None: there, whatever it says."""
        left = [times]

        def apply(its_method, path, its_query, headers):
            fits = method in (None, its_method) and all(
                name in its_query and wanted in (None, its_query[name]) for name, wanted in query.items())
            if fits and left[0] > 0:
                left[0] -= 1
                raise what

        self.rules.append(apply)
        return left

    def count(self, method, status=None, part=None, copy=False):
        """Requests for an object: PUTs are those that carry the bytes, unless copies are asked for."""
        with self.lock:
            return sum(1 for seen in self.seen if seen.method == method and status in (None, seen.status)
                       and copy == ("x-amz-copy-source" in {name.lower() for name in seen.headers})
                       and part in (None, "partNumber" in seen.query))  # fmt: skip

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def memory(pid):
    """Largest resident memory that a process has had, in bytes."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def options(port, bucket, **more):
    """The options of a consumer that stores at a port."""
    return {
        "REELBUS_STORE": "s3",
        "REELBUS_BUCKET": bucket,
        "REELBUS_S3_ENDPOINT": f"http://127.0.0.1:{port}",
        "REELBUS_S3_PUBLIC_URL": "https://media.example.com",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
        **more,
    }
