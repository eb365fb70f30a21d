"""Sources of videos for tests that need another one than the sample provider."""

import contextlib
import http.server
import threading


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
