"""Where the server listens: several addresses, unix sockets, sockets of the service manager; and TLS."""

import contextlib
import os
import random
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading

import pytest
import requests
from harness import ROOT, SECRET, Program, local, wait_for

URL = "https://media.example.com/v.mp4"
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def ask_unix(path):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(REQUEST)
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
        return answer


def serves_unix(path):
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):  # bound, and not listening yet
        return ask_unix(path).startswith(b"HTTP/1.1 200 ")


@pytest.fixture
def short(tmp_path_factory):
    """A folder whose path fits into the address of a unix socket."""
    folder = tmp_path_factory.mktemp("s", numbered=True)
    yield folder
    shutil.rmtree(folder)


def test_several_addresses_are_served_at_once(bus, short):
    first, second = local.free_port(), local.free_port()
    path = short / "http"
    bus.producer = bus.start("reelbus-producer", first, {
        "REELBUS_LISTEN": f"127.0.0.1:{first}, [::1]:{second},unix:{path}",
        "REELBUS_LISTEN_MODE": "0600",
        "VIDEO_WEBHOOK_SECRET": SECRET,
    }, True)  # fmt: skip
    assert requests.get(f"http://[::1]:{second}/healthz", timeout=60).status_code == 200
    assert ask_unix(path).startswith(b"HTTP/1.1 200 ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    bus.producer.stop()
    assert not path.exists()


def free_port_of_any():
    """A port that is nobody's on any address; not of those that clients get, who would take it at any moment."""
    while True:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", random.randrange(20000, 32000)))
            return probe.getsockname()[1]


def test_any_address_is_both_ipv4_and_ipv6(bus):
    port = free_port_of_any()
    bus.start_producer(REELBUS_LISTEN=f"*:{port}", wait=False)
    bus.producer.port = port
    wait_for(bus.producer.is_ready, "ready")
    assert requests.get(f"http://[::1]:{port}/healthz", timeout=60).status_code == 200
    video_id = bus.insert_video()
    assert bus.webhook({"videoId": video_id, "videoUrl": URL, "status": "x"}).status_code == 400
    assert "client=127.0.0.1" in bus.producer.log  # not ::ffff:127.0.0.1


WITHOUT_IPV6 = """
printf '127.0.0.1 both\\n::1 both\\n' > "$1" && mount --bind "$1" /etc/hosts || exit 77
ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 || exit 77
exec "$2" --listen both:8080
"""


def test_a_name_with_an_address_that_the_machine_lacks_is_listened_to_at_the_others(bus):
    """As localhost is in a container without IPv6."""
    command = ["unshare", "-nm", "sh", "-c", WITHOUT_IPV6, "sh", bus.folder / "hosts", bus.programs / "reelbus-producer"]
    producer = Program(bus, f"bus/{bus.folder.name}/without-ipv6", command, {**bus.common, "VIDEO_WEBHOOK_SECRET": SECRET}, 1)
    bus.started.append(producer)
    wait_for(lambda: "ev=ready" in producer.log or not producer.process.alive(), "it listens, or does not")
    if not producer.process.alive() and producer.process.status != 2 and "ev=start" not in producer.log:
        pytest.skip("this machine gives nobody a network of his own")
    assert "ev=listening address=both:8080" in producer.log


def test_the_socket_file_of_a_killed_server_is_replaced_and_nothing_else_is(bus, short):
    path = short / "http"
    bus.start_producer(REELBUS_LISTEN=f"unix:{path}", wait=False)
    wait_for(lambda: serves_unix(path), "served")
    other = bus.run("reelbus-producer", "--listen", f"unix:{path}", env={"VIDEO_WEBHOOK_SECRET": SECRET})
    assert other.returncode == 1 and "Address already in use" in other.stderr
    bus.producer.kill()
    assert path.exists()
    bus.start_producer(REELBUS_LISTEN=f"unix:{path}", wait=False)
    wait_for(lambda: "ev=ready" in bus.producer.log, "the file that was left behind is replaced")
    assert ask_unix(path).startswith(b"HTTP/1.1 200 ")
    bus.producer.stop()
    path.write_text("mine")
    other = bus.run("reelbus-producer", "--listen", f"unix:{path}", env={"VIDEO_WEBHOOK_SECRET": SECRET})
    assert other.returncode == 1 and path.read_text() == "mine"


@pytest.mark.parametrize("listen, word", [("nowhere", "host:port"), ("unix:http", "absolute path"), (":80", "host:port"),
                                          ("systemd", "service manager"), ("127.0.0.1:0,x:y", "x:y")])  # fmt: skip
def test_a_wrong_address_is_named(bus, listen, word):
    done = bus.run("reelbus-producer", "--listen", listen, env={"VIDEO_WEBHOOK_SECRET": SECRET})
    assert done.returncode == 2 and word in done.stderr


def start_activated(bus, sockets, listen, port, **options):
    env = {**bus.common, "VIDEO_WEBHOOK_SECRET": SECRET, "REELBUS_LISTEN": listen, **options}
    command = [sys.executable, ROOT / "tests/fakes/activate", *sockets, "--", bus.programs / "reelbus-producer"]
    bus.producer = Program(bus, f"bus/{bus.folder.name}/activated", command, env, port)
    bus.started.append(bus.producer)
    return bus.producer


def test_sockets_of_the_service_manager_are_taken_by_name(bus, short):
    other, web = local.free_port(), local.free_port()
    path = short / "http"
    producer = start_activated(bus, [f"other={other}", f"web={web}", f"web={path}"], "systemd:web", web)
    wait_for(producer.is_ready, "ready")
    assert ask_unix(path).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(("127.0.0.1", other), timeout=1) as unserved:
        unserved.sendall(REQUEST)
        with pytest.raises(TimeoutError):
            unserved.recv(1)
    producer.stop()
    assert path.exists()  # it is the manager's


def test_a_name_that_the_service_manager_does_not_have_is_told(bus):
    producer = start_activated(bus, [f"web={local.free_port()}"], "systemd:we", 1)
    wait_for(lambda: not producer.process.alive(), "ends")
    assert producer.process.status == 2 and "systemd:we" in producer.log


# -- TLS --------------------------------------------------------------------------------------------------------------


def make_certificate(folder, name):
    """A certificate for 127.0.0.1 that signs itself. Gives the files of certificate and key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)  # fmt: skip
    return cert, key


def put(pair, folder):
    """Install a pair as an operator does: each file in one step."""
    for source, name in zip(pair, ("cert.pem", "key.pem")):
        shutil.copy(source, folder / "new")
        os.replace(folder / "new", folder / name)


class Tls:
    """A producer with TLS, and a client that trusts all certificates of the test."""

    def __init__(self, bus, folder):
        self.bus = bus
        self.folder = folder
        self.pairs = {name: make_certificate(folder, name) for name in ("one", "two")}
        self.trust = folder / "trust.pem"
        self.trust.write_text("".join(cert.read_text() for cert, _ in self.pairs.values()))
        put(self.pairs["one"], folder)

    def options(self):
        return {"REELBUS_TLS_CERT": self.folder / "cert.pem", "REELBUS_TLS_KEY": self.folder / "key.pem"}

    def start(self, **options):
        self.bus.start_producer(wait=False, **self.options(), **options)
        self.port = self.bus.producer.port
        self.url = f"https://127.0.0.1:{self.port}"
        wait_for(lambda: "ev=ready" in self.bus.producer.log, "ready")

    def session(self):
        session = requests.Session()
        session.verify = str(self.trust)
        session.trust_env = False  # or a variable of this machine would have the last word
        return session

    def connect(self, **settings):
        context = ssl.create_default_context(cafile=self.trust)
        for name, value in settings.items():
            setattr(context, name, value)
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        return context.wrap_socket(connection, server_hostname="127.0.0.1")

    def name_in_use(self):
        with self.connect() as connection:
            return dict(part[0] for part in connection.getpeercert()["subject"])["commonName"]


@pytest.fixture
def tls(bus, tmp_path):
    return Tls(bus, tmp_path)


def test_tls_serves_and_only_tls(tls, short):
    path = short / "http"
    plain = local.free_port()
    tls.bus.store.mkdir(exist_ok=True)
    content = os.urandom(3_000_000)
    (tls.bus.store / "file").write_bytes(content)
    port = local.free_port()
    tls.start(REELBUS_LISTEN=f"127.0.0.1:{port},plain:127.0.0.1:{plain},unix:{path}")
    tls.port, tls.url = port, f"https://127.0.0.1:{port}"
    with tls.session() as session:
        wait_for(lambda: session.get(tls.url + "/readyz", timeout=60).status_code == 200, "it takes webhooks")
        assert session.get(tls.url + "/media/file", timeout=60).content == content
        wait_for(lambda: session.get(tls.url + "/readyz", timeout=60).status_code == 200, "Kafka is there")
        video_id = tls.bus.insert_video()
        answer = session.post(tls.url + "/api/webhook/video-complete", headers={"x-webhook-secret": SECRET}, timeout=60,
                              json={"videoId": video_id, "videoUrl": URL, "status": "completed", "more": "x" * 8000})  # fmt: skip
        assert answer.status_code == 200, answer.text
    assert requests.get(f"http://127.0.0.1:{plain}/healthz", timeout=60).status_code == 200
    assert ask_unix(path).startswith(b"HTTP/1.1 200 ")
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/healthz", timeout=60)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with tls.connect(minimum_version=version, maximum_version=version) as connection:
            connection.sendall(REQUEST)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert [event["video_id"] for event in tls.bus.events("video.webhook.received")] == [video_id]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_of_tls_are_refused(tls):
    tls.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        context.wrap_socket(socket.create_connection(("127.0.0.1", tls.port), timeout=60))
    assert tls.name_in_use() == "one"


def test_a_wrong_certificate_stops_the_start_and_names_the_option(tls):
    env = {"VIDEO_WEBHOOK_SECRET": SECRET}
    one, two = tls.pairs["one"], tls.pairs["two"]
    for cert, key, option in ((one[0], two[1], "tls_key"), (one[1], one[1], "tls_cert"), (one[0], one[0], "tls_key"),
                              (tls.folder / "none", one[1], "tls_cert"), (one[0], "", "tls_key")):  # fmt: skip
        arguments = ["--listen", "127.0.0.1:0", "--tls-cert", cert, *(["--tls-key", key] if key else [])]
        done = tls.bus.run("reelbus-producer", *arguments, env=env)
        assert done.returncode == 2 and f"'{option}'" in done.stderr, done.stderr
    done = tls.bus.run("reelbus-producer", "--listen", "127.0.0.1:0", "--tls-cert", tls.folder / "none", "--tls-key", one[1], env=env)
    assert "No such file or directory" in done.stderr


def test_a_certificate_is_changed_under_a_stream_of_requests(tls):
    """Old connections go on, new ones get the new certificate, and no request fails."""
    tls.start()
    ended = threading.Event()
    counts, failures = {"kept": 0, "fresh": 0}, []

    def ask(kind):
        with tls.session() as session:
            while not ended.is_set():
                try:
                    with contextlib.nullcontext(session) if kind == "kept" else tls.session() as client:
                        assert client.get(tls.url + "/healthz", timeout=60).status_code == 200
                    counts[kind] += 1
                except Exception as failure:
                    failures.append(failure)

    threads = [threading.Thread(target=ask, args=(kind,)) for kind in ("kept", "fresh", "fresh")]
    for thread in threads:
        thread.start()

    def served():
        before = dict(counts)
        wait_for(lambda: failures or all(counts[kind] > before[kind] + 5 for kind in counts), "requests go on")

    with tls.connect() as old:
        for name in ("two", "one", "two"):
            served()
            put(tls.pairs[name], tls.folder)
            tls.bus.producer.process.send(signal.SIGHUP)
            wait_for(lambda: tls.name_in_use() == name, f"certificate '{name}' is in use")
        served()
        old.sendall(REQUEST)
        assert old.recv(4096).startswith(b"HTTP/1.1 200 ")
    put((tls.pairs["one"][0], tls.pairs["two"][1]), tls.folder)
    tls.bus.producer.process.send(signal.SIGHUP)
    wait_for(lambda: "ev=tls_kept" in tls.bus.producer.log, "the wrong pair is refused")
    served()
    assert tls.name_in_use() == "two"
    ended.set()
    for thread in threads:
        thread.join()
    assert failures == [] and "option 'tls_key'" in tls.bus.producer.log


def test_a_hangup_without_tls_is_harmless(bus):
    bus.start_producer()
    bus.producer.process.send(signal.SIGHUP)
    assert bus.producer.get("/healthz").status_code == 200
