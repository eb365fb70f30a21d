"""An Internet in a network namespace: every address there is answers, names are what the test says, and each packet that asks
for a connection is noted. A program runs inside and cannot tell the difference; what it needs from outside is relayed.

`Internet` is for tests. Run as a program, inside of the namespace, this file is what is behind the addresses.
"""

import ipaddress
import os
import pathlib
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib

NAMESERVER = "9.9.9.9"
OWN_ADDRESS = "93.184.215.77"  # of the machine itself, and public
NEVER_SHAKES = "45.33.32.7"  # TLS handshakes with it never end
WEB = "93.184.215.14"

# What names resolve to; others resolve to WEB. A name with several lists has one after the other, the last for ever.
NAMES = {
    "foo.localhost": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "instance-data": ["169.254.169.254"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "broker-1.internal": ["10.0.0.9"],
    "printer.local": ["192.168.0.77"],
    "a10.test": ["10.0.0.5"],
    "v6mapped.test": ["::ffff:10.0.0.1"],
    "cname.test": ["loopback.cname.test"],
    "loopback.cname.test": ["127.0.0.1"],
    "many.test": [f"93.184.216.{i}" for i in range(1, 200)] + ["10.0.0.5"],
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "self.test": [OWN_ADDRESS],
    "both.test": [WEB, "fd00::7"],
    "slow-tls.test": [NEVER_SHAKES],
    "nothing.test": [],
}
CHANGING = {
    "rebinds.test": [[WEB], ["127.0.0.1"]],
    "settles.test": [["127.0.0.1"], [WEB]],
}


TRY = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo && mount --bind /etc/hosts /etc/hosts"


def can_have_namespaces():
    try:
        return subprocess.run([*namespace_command(), "sh", "-c", TRY], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def namespace_command():
    return ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


class Internet:
    """The outside of it. Gives the words that a program is started with so that it runs inside."""

    def __init__(self, folder, tiny_mp4, reachable=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.reachable = list(reachable)
        (self.folder / "tiny.mp4").write_bytes(tiny_mp4)
        self.make_certificate()
        for port in self.reachable:
            relay_unix_to_port(self.folder / f"{port}.out", port)

    def make_certificate(self):
        names = "DNS:media.test,DNS:redir.test,DNS:example.com,DNS:xn--bcher-kva.example"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", self.folder / "key.pem", "-out", self.folder / "cert.pem", "-days", "2", "-subj", "/CN=test",
                        "-addext", f"subjectAltName={names}"], check=True, capture_output=True)  # fmt: skip

    def command(self, serves):
        """Words to put before a command. `serves`: a port that the program listens on, to be reached from outside."""
        relay_port_to_unix(serves, self.folder / f"{serves}.in")
        return [*namespace_command(), sys.executable, __file__, self.folder, serves, ",".join(map(str, self.reachable))]

    def connections(self):
        """All that were asked for so far: address and port."""
        path = self.folder / "connections"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(ipaddress.ip_address(address), int(port)) for address, port in map(str.split, lines)]


# -- relays ---------------------------------------------------------------------------------------------------------------


def pump(source, target):
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
    except OSError:
        pass
    for side in (source, target):
        try:
            side.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def relay(server, connect):
    def serve(inside):
        try:
            outside = connect()
        except OSError:
            return inside.close()
        threading.Thread(target=pump, args=(outside, inside), daemon=True).start()
        pump(inside, outside)

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def unix_server(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(short(path))
    server.listen(64)
    return server


def short(path):
    """Names of unix sockets are short; the tests' folders are not."""
    return f"/proc/self/fd/{os.open(path.parent, os.O_PATH)}/{path.name}"


def connect_unix(path):
    connection = socket.socket(socket.AF_UNIX)
    name = short(path)
    try:
        connection.connect(name)
    finally:
        os.close(int(name.split("/")[4]))
    return connection


def relay_unix_to_port(path, port):
    relay(unix_server(path), lambda: socket.create_connection(("127.0.0.1", port)))


def relay_port_to_unix(port, path):
    relay(socket.create_server(("127.0.0.1", port)), lambda: connect_unix(path))


# -- names ----------------------------------------------------------------------------------------------------------------


class Names:
    """A resolver, over UDP and TCP. What does not fit into a datagram is cut, as resolvers do."""

    def __init__(self):
        self.asked = {}
        self.lock = threading.Lock()

    def addresses(self, name, kind):
        if name not in CHANGING:
            return NAMES.get(name, [WEB])
        with self.lock:
            times = self.asked[name, kind] = self.asked.get((name, kind), 0) + 1
        lists = CHANGING[name]
        return lists[min(times, len(lists)) - 1]

    def records(self, name, kind):
        for text in self.addresses(name, kind):
            if text in NAMES:  # an alias
                labels = b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"
                yield b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 0, len(labels)) + labels
                for address in NAMES[text]:
                    packed = ipaddress.ip_address(address).packed
                    if kind == {4: 1, 16: 28}[len(packed)]:
                        yield labels + struct.pack(">HHIH", kind, 1, 0, len(packed)) + packed
                continue
            packed = ipaddress.ip_address(text).packed
            if kind == {4: 1, 16: 28}[len(packed)]:
                yield b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(packed)) + packed

    def answer(self, query, limit):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1").lower())
            at += 1 + query[at]
        kind = struct.unpack_from(">H", query, at + 1)[0]
        question = query[12 : at + 5]
        records = list(self.records(".".join(labels), kind))
        cut = sum(map(len, records)) > limit
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | (0x0200 if cut else 0), 1, 0 if cut else len(records), 0, 0)
        return head + question + (b"" if cut else b"".join(records))

    def serve(self):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind((NAMESERVER, 53))
        streams = socket.create_server((NAMESERVER, 53))
        threading.Thread(target=self.serve_streams, args=(streams,), daemon=True).start()
        threading.Thread(target=self.serve_datagrams, args=(datagrams,), daemon=True).start()

    def serve_datagrams(self, datagrams):
        while True:
            query, sender = datagrams.recvfrom(4096)
            datagrams.sendto(self.answer(query, 460), sender)

    def serve_streams(self, streams):
        while True:
            connection, _ = streams.accept()
            threading.Thread(target=self.serve_stream, args=(connection,), daemon=True).start()

    def serve_stream(self, connection):
        with connection, connection.makefile("rb") as queries:
            while size := queries.read(2):
                answer = self.answer(queries.read(struct.unpack(">H", size)[0]), 65000)
                connection.sendall(struct.pack(">H", len(answer)) + answer)


# -- what is noted --------------------------------------------------------------------------------------------------------


def watch_packets(path):
    """Every SYN on the wire, to whatever address. On loopback each is seen twice, which does no harm."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    wire.bind(("lo", 0))

    def watch():
        with open(path, "w", buffering=1) as file:
            while True:
                packet = wire.recv(65536)
                kind = packet[12:14]
                if kind == b"\x08\x00" and packet[23] == 6:
                    address, tcp = packet[30:34], packet[14 + (packet[14] & 15) * 4 :]
                elif kind == b"\x86\xdd" and packet[20] == 6:
                    address, tcp = packet[38:54], packet[54:]
                else:
                    continue
                if tcp[13] & 0x12 == 0x02:
                    file.write(f"{ipaddress.ip_address(address)} {struct.unpack_from('>H', tcp, 2)[0]}\n")

    threading.Thread(target=watch, daemon=True).start()


# -- what answers ---------------------------------------------------------------------------------------------------------


def head(status="200 OK", *lines):
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


class Web:
    def __init__(self, folder):
        self.mp4 = (folder / "tiny.mp4").read_bytes()
        self.good = head("200 OK", "Content-Type: video/mp4", f"Content-Length: {len(self.mp4)}") + self.mp4
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def serve(self, port, tls):
        server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)

        def accept():
            while True:
                connection, _ = server.accept()
                threading.Thread(target=self.answer, args=(connection, tls), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def answer(self, connection, tls):
        connection.settimeout(120)
        try:
            if tls:
                if connection.getsockname()[0].endswith(NEVER_SHAKES):
                    connection.recv(4096)
                    return time.sleep(120)
                connection = self.context.wrap_socket(connection, server_side=True)
            request = b""
            while b"\r\n\r\n" not in request:
                piece = connection.recv(65536)
                if not piece:
                    return
                request += piece
            line, *lines = request.decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if value}
            self.reply(connection, line.split(" ")[1], fields)
        except (OSError, ssl.SSLError):
            pass
        finally:
            connection.close()

    def reply(self, connection, target, fields):
        host = fields.get("host", "").partition(":")[0]
        if host == "redir.test":
            return connection.sendall(self.redirect(target))
        if host == "media.test":
            return getattr(self, "media_" + target.strip("/").replace("-", "_"))(connection, fields)
        connection.sendall(self.good)

    def redirect(self, target):
        path, _, query = target.partition("?")
        how, _, value = urllib.parse.unquote(query).partition("=")
        to = {"/self": "/self", "/chain": f"/chain?chain={int(value) - 1}" if how == "chain" else ""}.get(path)
        if how == "altsvc":
            return head("200 OK", f"Alt-Svc: {value}", f"Content-Length: {len(self.mp4)}") + self.mp4
        if how == "chain" and value == "0":
            return self.good
        if value == "two-locations":
            return head("302 Found", "Location: http://example.com/", "Location: http://example.net/", "Content-Length: 0")
        if value.startswith("chain"):
            to = f"/chain?chain={int(value[5:]) - 1}"
        return head(f"{how if how.isdigit() else 302} Found", f"Location: {to if to is not None else value}", "Content-Length: 0")

    def media_endless(self, connection, fields):
        connection.sendall(head("200 OK") + self.mp4[:-11] + struct.pack(">I4s", 0, b"mdat"))
        while True:
            connection.sendall(b"x" * 65536)

    def media_cl_2e63(self, connection, fields):
        connection.sendall(head("200 OK", "Content-Length: 9223372036854775807") + self.mp4)

    def media_cl_short(self, connection, fields):
        connection.sendall(head("200 OK", f"Content-Length: {len(self.mp4) - 1}") + self.mp4)

    def media_cl_long(self, connection, fields):
        connection.sendall(head("200 OK", f"Content-Length: {len(self.mp4) + 9}") + self.mp4)

    def media_cl_two(self, connection, fields):
        connection.sendall(head("200 OK", f"Content-Length: {len(self.mp4)}", "Content-Length: 9") + self.mp4)

    def media_chunk_cut(self, connection, fields):
        connection.sendall(head("200 OK", "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(self.mp4), self.mp4))

    def media_chunk_huge(self, connection, fields):
        connection.sendall(head("200 OK", "Transfer-Encoding: chunked") + b"ffffffffffffffff\r\n" + self.mp4)

    def media_te_gzip_bomb(self, connection, fields):
        connection.sendall(head("200 OK", "Transfer-Encoding: gzip", "Connection: close"))
        packer = zlib.compressobj(9, wbits=31)
        for _ in range(10240):
            connection.sendall(packer.compress(bytes(1 << 20)))

    def media_ce_gzip(self, connection, fields):
        body = zlib.compress(self.mp4, wbits=31)
        connection.sendall(head("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(body)}") + body)

    def media_hdr_flood(self, connection, fields):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-Flood: 1\r\n" * 100)

    def media_hdr_1mb(self, connection, fields):
        connection.sendall(head("200 OK", "X-Long: " + "x" * (1 << 20), f"Content-Length: {len(self.mp4)}") + self.mp4)

    def media_interim_flood(self, connection, fields):
        while True:
            connection.sendall(head("103 Early Hints", "Link: </x>") * 50)

    def media_stall(self, connection, fields):
        connection.sendall(head("200 OK", "Content-Length: 1000000"))
        connection.recv(1)

    def media_trickle(self, connection, fields):
        for byte in head("200 OK", "X-Slow: " + "x" * 4000):
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    def media_html_200(self, connection, fields):
        page = b"<!doctype html><title>Sorry</title>"
        connection.sendall(head("200 OK", "Content-Type: video/mp4", f"Content-Length: {len(page)}") + page)

    def cut(self, connection, tag, *lines):
        size = len(self.mp4)
        connection.sendall(head("200 OK", f"ETag: {tag}", f"Content-Length: {size}", *lines) + self.mp4[: size // 2])

    def media_206_wrong(self, connection, fields):
        if "range" not in fields:
            return self.cut(connection, '"a"')
        size = len(self.mp4)
        connection.sendall(head("206 Partial Content", 'ETag: "a"', f"Content-Range: bytes 0-{size - 1}/{size}",
                                f"Content-Length: {size}") + self.mp4)  # fmt: skip

    def media_etag_changed(self, connection, fields):
        if "range" not in fields:
            return self.cut(connection, '"a"')
        at, size = int(fields["range"][6:-1]), len(self.mp4)
        connection.sendall(head("206 Partial Content", 'ETag: "b"', f"Content-Range: bytes {at}-{size - 1}/{size}",
                                f"Content-Length: {size - at}") + self.mp4[at:])  # fmt: skip

    def send_file(self, connection, file):
        connection.sendall(head("200 OK", "Content-Type: video/mp4", f"Content-Length: {len(file)}") + file)

    def media_mp4_size0(self, connection, fields):
        self.send_file(connection, self.mp4[:16] + struct.pack(">I4s", 0, b"free") + self.mp4[16:])

    def media_mp4_size64(self, connection, fields):
        self.send_file(connection, self.mp4[:-11] + struct.pack(">I4sQ", 1, b"mdat", 1 << 63) + b"abc")

    def media_mp4_nest(self, connection, fields):
        nest = b""
        for _ in range(4000):
            nest = struct.pack(">I4s", 8 + len(nest), b"trak") + nest
        self.send_file(connection, self.mp4[:16] + struct.pack(">I4s", 8 + len(nest), b"moov") + nest + self.mp4[16:])

    def media_sound_only(self, connection, fields):
        self.send_file(connection, self.mp4.replace(b"vide", b"soun"))

    def media_status_999(self, connection, fields):
        connection.sendall(head("999 Strange", f"Content-Length: {len(self.mp4)}") + self.mp4)

    def media_401_ntlm(self, connection, fields):
        assert "authorization" not in fields
        connection.sendall(head("401 Unauthorized", "WWW-Authenticate: NTLM", "WWW-Authenticate: Negotiate", "Content-Length: 0"))


# -- inside of the namespace ----------------------------------------------------------------------------------------------


def put_over(path, text):
    """Another text in the place of a file, for us only."""
    if path.exists():
        subprocess.run(["mount", "--bind", text, path.resolve()], check=True)


def build(folder):
    for words in ("link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo",
                  f"address add {OWN_ADDRESS}/32 dev lo"):  # fmt: skip
        subprocess.run(["ip", *words.split()], check=True)
    (folder / "resolv.conf").write_text(f"nameserver {NAMESERVER}\noptions attempts:5\n")
    (folder / "nsswitch.conf").write_text("hosts: files dns\n")
    (folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
    put_over(pathlib.Path("/etc/hosts"), folder / "hosts")
    put_over(pathlib.Path("/etc/resolv.conf"), folder / "resolv.conf")
    put_over(pathlib.Path("/etc/nsswitch.conf"), folder / "nsswitch.conf")
    put_over(pathlib.Path("/etc/ssl/certs/ca-certificates.crt"), folder / "cert.pem")


def main():
    folder, serves = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    ports = [int(port) for port in sys.argv[3].split(",") if port]
    build(folder)
    Names().serve()
    web = Web(folder)
    web.serve(80, tls=False)
    web.serve(443, tls=True)
    watch_packets(folder / "connections")
    socket.create_connection(("10.11.12.13", 80)).close()  # so that the test can see that it would see it
    relay(unix_server(folder / f"{serves}.in"), lambda: socket.create_connection(("127.0.0.1", serves)))
    for port in ports:
        relay_port_to_unix(port, folder / f"{port}.out")
    child = subprocess.Popen(sys.argv[4:])
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    sys.exit(child.wait())


if __name__ == "__main__":
    main()
