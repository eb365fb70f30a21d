"""Fixtures: one stack for all tests, one namespace of it for each test."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest
import requests
from confluent_kafka.schema_registry import SchemaRegistryClient

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.append(str(pathlib.Path(__file__).parents[1] / "chaos"))
import harness
import relay
import sources


# Files in which nothing leaves the loop's thread but what others send to Kafka and hand to the pool as well.
ONE_THREAD = ("04_", "05_", "06_", "07_", "08_", "11_", "12_", "13_", "15_", "16_", "17_", "2", "50_", "72_supabase_sql", "95_", "96_", "97_")


def pytest_addoption(parser):
    parser.addoption("--build", default="release", help="release, asan or tsan")
    parser.addoption("--whole", action="store_true", help="leave nothing out, whatever the build")


def shows_nothing_new(item, build):
    if build == "release":
        return False
    if "browser" in item.fixturenames or item.get_closest_marker("release_only"):
        return True
    return build == "tsan" and item.path.name.startswith(ONE_THREAD)


def pytest_collection_modifyitems(config, items):
    """What is not in C, as a browser or a stand-in, or takes the same way through the C code as its neighbour, is tested
    once: sanitizers would only make it slow. So is, by ThreadSanitizer, what has one thread."""
    items.sort(key=lambda item: item.get_closest_marker("begun_first") is None)
    if config.getoption("--whole"):
        return
    left_out = [item for item in items if shows_nothing_new(item, config.getoption("--build"))]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def stack(request):
    with harness.test_stack() as running:
        yield running


@pytest.fixture
def bus(request, stack):
    """reelbus with topics, a database and a store of its own; nothing runs yet."""
    bus = harness.Bus(stack, request.node.name, harness.binaries(request.config.getoption("--build")))
    yield bus
    bus.close()


@pytest.fixture
def running(bus):
    """And with a producer and a consumer."""
    bus.start_producer()
    bus.start_consumer()
    return bus


@pytest.fixture
def failing(bus):
    """With the programs that fail where REELBUS_FAIL says."""
    bus.programs = harness.binaries("fail")
    if not (bus.programs / "reelbus-consumer").exists():
        pytest.skip("needs `make fail`")
    return bus


@pytest.fixture
def postgres(stack):
    """Postgres, to be killed and started again."""
    yield stack
    stack.processes["postgres"].send(signal.SIGCONT)
    if not stack.processes["postgres"].alive():
        stack.start_postgres()


@pytest.fixture
def stopped_kafka(stack):
    """Stop Kafka; what is called in between sees it away. It runs again afterwards, whatever happens."""

    def stop(number=signal.SIGKILL):
        kafka = stack.processes["kafka"]
        kafka.send(number)
        if number == signal.SIGKILL:
            harness.wait_for(lambda: not kafka.alive(), "Kafka is gone")

    def start():
        kafka = stack.processes["kafka"]
        if kafka.alive():
            kafka.send(signal.SIGCONT)
        else:
            stack.start_kafka()

    yield stop, start
    start()


@pytest.fixture
def wire(stack):
    """A wire that leads to Kafka, for whom `wired` shows it."""
    wires = relay.Relay()
    yield wires.wire("kafka", stack.ports["wire"], stack.ports["wired"])
    wires.close()


@pytest.fixture
def wired(wire):
    """Options of a program that sees Kafka through the wire."""
    return {"REELBUS_KAFKA_BROKERS": f"127.0.0.1:{wire.port}"}


@pytest.fixture
def source():
    source = sources.ToldSource()
    yield source
    source.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    path = tmp_path / "disk"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", path], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture(scope="session")
def s3_server(stack):
    """An S3 server that checks signatures."""
    import s3

    server = s3.Server(stack)
    yield server
    server.stop()


@pytest.fixture
def browser():
    """A headless Chromium of its own."""
    import browser as web

    opened = web.Browser()
    yield opened
    opened.close()


@pytest.fixture
def registry(bus):
    """A schema registry, and a client of it that is not ours."""
    port = harness.local.free_port()
    process = bus.stack.spawn(f"bus/{bus.folder.name}/registry", [harness.ROOT / "tests/fakes/registry", "--port", port,
                                                                  "--auth", "user:canary-password"])  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def up():
        try:
            return requests.get(url + "/asked").status_code == 200
        except requests.ConnectionError:
            return False

    harness.wait_for(up, "the registry is up")
    bus.common.update(SCHEMA_REGISTRY_URL=url, REELBUS_SCHEMA_REGISTRY_AUTH="user:canary-password")
    yield process, SchemaRegistryClient({"url": url, "basic.auth.user.info": "user:canary-password"}), url
    process.send(signal.SIGCONT)
    process.stop()
