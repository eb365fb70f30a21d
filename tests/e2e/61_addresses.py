"""Where a video may be fetched from: the whole consumer inside of an Internet of its own, in which every address answers."""

import ipaddress
import os
import pathlib
import re

import internet
import pytest
from harness import ROOT, TINY_MP4, alike, wait_for

LISTS = [ROOT / "tests/fixtures/bad_urls.tsv", ROOT / "../shared/bad-urls.tsv", pathlib.Path(os.environ.get("REELBUS_TEST_URLS", os.devnull))]
BUSY_HOURS = {
    "REELBUS_SOURCE_ALLOW_PRIVATE": "false",
    "REELBUS_SOURCE_PORTS": "80,443",
    "REELBUS_RETRY_FOR_MS": "0",
    "REELBUS_TRANSFERS_MAX": "64",
    "REELBUS_VIDEO_MAX_BYTES": "3MB",
    "REELBUS_LOW_SPEED_MS": "3s",
    "REELBUS_FIRST_BYTE_TIMEOUT_MS": "10s",
    "REELBUS_CONNECT_TIMEOUT_MS": "10s",
}
needs_namespaces = pytest.mark.skipif(not internet.can_have_namespaces(), reason="this machine gives us no network namespaces")


@pytest.fixture
def inside(bus):
    """A bus whose consumer runs inside. Gives the Internet."""
    ports = [bus.stack.ports["kafka"], bus.stack.ports["postgres"]]
    world = internet.Internet(bus.folder / "internet", TINY_MP4, ports)
    bus.before = world.command
    return world


def read_rows(path):
    for line in path.read_bytes().splitlines():
        if line.startswith(b"#") or not line:
            continue
        url, _, verdict = line.split(b"\t")
        if b"redir.test" in url:
            url = url.replace(rb"\x5c", b"%5C")  # it is for the Location
        url = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), url)
        if url == b"https://media.test/slow-tls":  # a handshake comes before any path
            url = b"https://slow-tls.test/"
        yield url, verdict.decode()


def verdict_of(code, message):
    """The words of the lists for what an event says."""
    if code == "source_redirects" or message.startswith("the source redirects"):
        return "REFUSE_REDIRECT"
    if code == "url_invalid":
        return {"the URL has a user name in it": "REFUSE_USERINFO",
                "the URL does not begin with http:// or https://": "REFUSE_SCHEME"}.get(message, "REFUSE_PARSE")  # fmt: skip
    if code == "url_refused":
        if "forbidden address" in message:
            return "REFUSE_ADDR"
        return "REFUSE_PORT" if "port" in message else "REFUSE_HTTP"
    return "REFUSE_BODY" if (code.startswith("source_") and code != "source_away") or code in ("not_a_video", "too_large") else code


def send_all(bus, urls):
    """A record for each URL. Gives the video ids in their order."""
    rows = bus.query("INSERT INTO video_history (user_id, prompt) SELECT %s, 'a test' FROM generate_series(1, %s) RETURNING id::text",
                     bus.user, len(urls))  # fmt: skip
    ids = [row["id"] for row in rows]
    for video_id, url in zip(ids, urls):
        bus.send_webhook_event(video_id, url)
    return ids


def outcomes(bus, ids):
    """What became of each video, once all have ended: (verdict, what was said)."""

    def look():
        found = {event["video_id"]: ("ALLOW", "") for event in bus.events("video.stored")}
        for event in bus.events("video.store_failed"):
            found[event["video_id"]] = (verdict_of(event["code"], event["message"]), f"{event['code']}: {event['message']}")
        for record in bus.records("video.store.dlq"):
            found[record.key().decode()] = ("REFUSE_PARSE", "set aside")
        return found if set(ids) <= set(found) else None

    return wait_for(look, "all videos have an outcome", 300)


def is_forbidden(address):
    mapped = getattr(address, "ipv4_mapped", None) or address
    if str(mapped) in (internet.OWN_ADDRESS, "168.63.129.16") or mapped.is_multicast:
        return True
    if mapped.version == 6 and (mapped.sixtofour or mapped.teredo or mapped not in ipaddress.ip_network("2000::/3")):
        return True
    return not mapped.is_global


def assert_nothing_forbidden_was_asked(bus, world, metrics_port):
    ours = {("127.0.0.1", port) for port in [*world.reachable, metrics_port]}
    asked = {connection for connection in world.connections() if (str(connection[0]), connection[1]) not in ours}
    seen = {(str(address), port) for address, port in asked}
    assert ("10.11.12.13", 80) in seen, "the test sees no packets"
    assert (internet.WEB, 80) in seen or (internet.WEB, 443) in seen, "the test sees no packets of the consumer"
    assert {(str(address), port) for address, port in asked if is_forbidden(address)} == {("10.11.12.13", 80)}


@needs_namespaces
@pytest.mark.parametrize("https_only", alike(["false", "true"]))
def test_each_url_of_the_lists_gets_its_verdict_and_no_packet_goes_astray(bus, inside, https_only):
    rows = [row for path in LISTS if path.exists() for row in read_rows(path)]
    consumer = bus.start_consumer(**BUSY_HOURS, REELBUS_SOURCE_HTTPS_ONLY=https_only)
    ids = send_all(bus, [url for url, _ in rows])
    found = outcomes(bus, ids)
    wrong = []
    for video_id, (url, expected) in zip(ids, rows):
        verdict, said = found[video_id]
        plain = https_only == "true" and url[:5].lower() == b"http:"
        if verdict != expected and not (plain and verdict == "REFUSE_HTTP"):
            wrong.append((url[:100], expected, verdict, said))
        assert not (plain and verdict == "ALLOW"), url
    assert wrong == [], "\n".join(map(str, wrong))
    assert len(bus.objects()) == sum(verdict == "ALLOW" for verdict, _ in found.values())
    assert_nothing_forbidden_was_asked(bus, inside, consumer.port)


@needs_namespaces
def test_a_name_that_changes_its_address_is_judged_by_what_is_connected_to(bus, inside):
    consumer = bus.start_consumer(**BUSY_HOURS)
    for name, expected in {"rebinds.test": "ALLOW", "settles.test": "REFUSE_ADDR"}.items():
        (first,) = send_all(bus, [f"http://{name}/v.mp4"])
        assert outcomes(bus, [first])[first][0] == expected, name
    again = send_all(bus, ["http://rebinds.test/v.mp4"] * 5 + ["http://settles.test/v.mp4"])
    found = outcomes(bus, again)
    assert [found[video_id][0] for video_id in again] == ["REFUSE_ADDR"] * 5 + ["ALLOW"]
    assert_nothing_forbidden_was_asked(bus, inside, consumer.port)


@needs_namespaces
def test_hosts_and_networks_are_what_the_operator_says(bus, inside):
    bus.start_consumer(**BUSY_HOURS, REELBUS_SOURCE_HOSTS="*.test,10.1.2.3,10.2.2.3,93.184.215.14", REELBUS_SOURCE_DENY_HOSTS="bad.test",
                       REELBUS_SOURCE_ALLOW_NETWORKS="10.1.0.0/16,10.0.0.5", REELBUS_SOURCE_DENY_NETWORKS="93.184.216.0/24")  # fmt: skip
    expected = {
        "http://good.test/": "ALLOW",
        "http://a10.test/": "ALLOW",
        "http://10.1.2.3/": "ALLOW",
        "http://93.184.215.14/": "ALLOW",
        "http://10.2.2.3/": "REFUSE_ADDR",
        "http://many.test/": "REFUSE_ADDR",
        "http://example.com/": "url_refused",
        "http://bad.test/": "url_refused",
        "http://redir.test/?302=http://example.com/": "REFUSE_REDIRECT",
    }
    ids = send_all(bus, list(expected))
    found = outcomes(bus, ids)
    for video_id, (url, verdict) in zip(ids, expected.items()):
        got, said = found[video_id]
        assert got == verdict or (verdict == "url_refused" and "source_" in said), (url, said)
