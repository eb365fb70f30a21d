"""Sources of videos for tests that need another one than the sample provider."""

import contextlib
import http.server
import json
import threading
import time

from harness import TINY_MP4


def element(identity, body):
    return identity + (len(body) | 1 << 56).to_bytes(8, "big") + body


WEBM = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"webm")) + element(
    b"\x18\x53\x80\x67",
    element(b"\x16\x54\xae\x6b", element(b"\xae", element(b"\x83", b"\x01"))) + element(b"\x1f\x43\xb6\x75", element(b"\xa3", b"frame")),
)


@contextlib.contextmanager
def serving(handler):
    """A web server on a port of its own. Gives its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Source:
    """Serves one file: bytes as they are, and behind them as many zeros as asked for."""

    def __init__(self, head, zeros=0, with_length=True):
        size = len(head) + zeros

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                self.send_response(200)
                if with_length:
                    self.send_header("Content-Length", str(size))
                self.end_headers()
                self.wfile.write(head)
                for at in range(0, zeros, 1 << 20):
                    self.wfile.write(bytes(min(1 << 20, zeros - at)))

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass

        self.size, self.server = size, Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/video.mp4"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()


class ToldSource:
    """Answers as a test says, path by path, and remembers who asked when. What it was not told of is a video."""

    def __init__(self):
        self.answers, self.seen, self.lock = {}, [], threading.Lock()
        self.gate = threading.Event()
        self.gate.set()
        self.tickets = threading.Semaphore(0)
        self.all_of_it = False
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                path = self.path.partition("?")[0].strip("/")
                with source.lock:
                    source.seen.append((path, time.time(), self.headers.get("Authorization")))
                    answers = source.answers.get(path, [200])
                    answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if not source.gate.is_set() and (source.all_of_it or not path.startswith("api")):
                    source.tickets.acquire()
                status, body, headers = answer if isinstance(answer, tuple) else (answer, b"", {})
                if status == 200 and not body:
                    body = TINY_MP4
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, *args):
                pass  # whoever went away knows

        self.server = Listener(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path, host="127.0.0.1"):
        return f"http://{host}:{self.server.server_port}/{path}"

    def paths(self):
        with self.lock:
            return [path for path, _, _ in self.seen]

    def times(self, path):
        with self.lock:
            return [at for its_path, at, _ in self.seen if its_path == path]

    def shut(self, all_of_it=False):
        """From now on whoever asks for a video waits for a ticket; who asks the API, too, for all of it."""
        self.all_of_it = all_of_it
        self.gate.clear()

    def open(self):
        self.gate.set()
        self.tickets.release(10000)

    def close(self):
        self.open()
        self.server.shutdown()
        self.server.server_close()


def with_provider(bus, source):
    """A provider that the source plays, too, below /api."""
    path = bus.folder / "providers.json"
    api = {"kind": "generic", "url": source.url("api/{id}"), "key": "canary-provider-key", "status": "/state", "completed": ["done"],
           "failed": ["broken"], "video_url": "/url", "timeout": "20s"}  # fmt: skip
    webhook = {"scheme": "plain", "body": "generic", "secret": "canary-webhook-secret", "id": "/id", "status": "/state", "completed": ["done"],
               "video_url": "/url", "expires_at": "/until"}  # fmt: skip
    path.write_text(json.dumps({"providers": [{"name": "ours", "api": api, "webhook": webhook}]}))
    bus.common["REELBUS_PROVIDERS"] = str(path)
