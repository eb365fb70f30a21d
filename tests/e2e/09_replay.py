"""replay: what is not stored is, once; whoever runs beside it is left alone."""

import hashlib
import json
import shutil
import signal
import subprocess

import harness
import pytest
from confluent_kafka.admin import AdminClient
from harness import TINY_MP4, wait_for

DIGEST = hashlib.sha256(TINY_MP4).hexdigest()


def replay(bus, *arguments, status=0, **environment):
    """What a replay says of itself, as JSON."""
    done = bus.run("reelbus-consumer", "replay", "--json", *arguments, env={**bus.consumer_options(), **environment})
    assert done.returncode == status, done.stdout + done.stderr
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def announced(bus, topic="video.stored"):
    """Which attempts of which videos were announced."""
    return sorted((event["video_id"], event["attempt"]) for event in bus.events(topic))


def assert_whole(bus, video_id, attempt=1):
    row = bus.video_row(video_id)
    event = [event for event in bus.events("video.stored", video_id) if event["attempt"] == attempt]
    assert len(event) == 1 and event[0]["source_topic"] in (f"{bus.prefix}video.webhook.received", f"{bus.prefix}video.poll.result")
    assert (row["state"], row["attempt"], row["sha256"]) == ("stored", attempt, DIGEST) and row["video_url"] == row["stored_url"]
    assert hashlib.sha256(bus.object_path(video_id).read_bytes()).hexdigest() == event[0]["sha256"] == DIGEST


def test_what_nobody_has_stored_is_stored_once_and_then_never_again(bus, source):
    videos = [bus.insert_video() for _ in range(6)]
    for number, video_id in enumerate(videos):
        bus.send_webhook_event(video_id, source.url(f"{number}.mp4"), expires_at=1_700_000_000_000 if number == 5 else None)
    bus.send_webhook_event(videos[0], source.url("0.mp4"), received_at=1_800_000_000_000)
    unknown = "0b5e7a34-6f5e-4a3e-9f0e-0a3a3f3f0b5e"
    bus.send_webhook_event(unknown, source.url("unknown.mp4"))
    bus.produce("video.webhook.received", b"no event", "no video")
    bus.produce("video.poll.result", b"no event", videos[1])
    source.answers["5.mp4"] = [410]
    dry = replay(bus, "--dry-run")
    assert (dry["read"], dry["would_fetch"], dry["look_dead"], dry["unknown"], dry["stored"]) == (10, 6, 1, 1, 0)
    assert bus.video_row(videos[0])["state"] is None and source.seen == [] and bus.query("SELECT run FROM reelbus.replay") == []
    first = replay(bus, status=4)
    assert (first["read"], first["stored"], first["gone"], first["bytes"]) == (10, 5, 1, 5 * len(TINY_MP4))
    for video_id in videos[:5]:
        assert_whole(bus, video_id)
    assert bus.events("video.store_failed", videos[5])[0]["code"] in ("source_gone", "expired")
    bus.query("UPDATE reelbus.replay SET finished_at = NULL")  # killed before it said so; and then Kafka has forgotten the group
    admin, group = AdminClient({"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"]}), f"{bus.number}-group.replay"
    admin.delete_consumer_groups([group])[group].result(timeout=harness.WAIT_S)
    assert replay(bus)["nothing_to_do"] and bus.query("SELECT run FROM reelbus.replay WHERE finished_at IS NOT NULL") == [{"run": 1}]
    second = replay(bus)
    assert second["nothing_to_do"] and second["read"] == 10 and second["already_stored"] == 7 and second["failed_before"] == 1
    assert bus.committed()[0] == 0  # of the group of the consumers
    bus.start_consumer()
    bus.wait_until_finished()
    assert announced(bus) == sorted((video_id, 1) for video_id in videos[:5])
    assert [event["video_id"] for event in bus.events("video.store_failed")].count(videos[5]) == 1


def test_beside_running_consumers_only_what_has_failed_or_is_lost_is_announced_again(running, source):
    source.answers["broken.mp4"] = [404]
    videos = [running.send(source.url(f"{number}.mp4")) for number in range(4)]
    broken = running.send(source.url("broken.mp4"))
    running.wait_for_event("video.store_failed", broken)
    for video_id in videos:
        running.wait_for_event("video.stored", video_id)
    running.wait_until_finished()
    noted = "SELECT count(*) AS count FROM reelbus.history WHERE what = 'announced'"
    wait_for(lambda: running.query(noted)[0]["count"] == 5, "that they were announced is noted")
    before = running.committed()
    assert replay(running)["nothing_to_do"]
    source.answers["broken.mp4"] = [200]
    shutil.rmtree(running.store / "videos")
    looked = replay(running, "--dry-run", "--state", "missing")
    assert (looked["wrong"], looked["would_fetch"], looked["failed_before"]) == (4, 4, 1)
    assert looked["would_fetch_bytes_known"] == 4 * len(TINY_MP4)
    running.object_path(videos[0]).parent.mkdir(parents=True)
    running.object_path(videos[0]).write_bytes(TINY_MP4)  # somebody has brought it back
    again = replay(running, "--state", "failed,missing", "--since", "1h")
    assert (again["already_stored"], again["wrong"], again["stored"]) == (1, 3, 4)
    for video_id in videos[1:] + [broken]:
        assert_whole(running, video_id, attempt=2)
    assert announced(running) == sorted([(video_id, 1) for video_id in videos] + [(video_id, 2) for video_id in videos[1:] + [broken]])
    assert [event["attempt"] for event in running.events("video.store_failed")] == [1]
    assert replay(running, "--state", "failed,missing", "--since", "1h")["nothing_to_do"]
    running.object_path(videos[0]).write_bytes(bytes(len(TINY_MP4)))  # of the right size, and nothing else
    assert replay(running, "--state", "missing")["nothing_to_do"]
    assert replay(running, "--verify", "--dry-run")["wrong"] == 1
    assert replay(running, "--verify")["stored"] == 1
    assert_whole(running, videos[0], attempt=2)
    assert replay(running, "--verify")["nothing_to_do"]
    assert running.committed() == before
    source.shut()
    one = running.send(source.url("one.mp4"))
    wait_for(lambda: "one.mp4" in source.paths(), "a consumer has begun with it")
    assert replay(running, "--video", one)["busy"] == 1
    source.open()
    running.wait_for_event("video.stored", one)
    assert source.paths().count("one.mp4") == 1


def start(bus, *arguments, **environment):
    return subprocess.Popen([bus.programs / "reelbus-consumer", "replay", "--json", *arguments], text=True,
                            env={**harness.os.environ, **bus.common, **bus.consumer_options(), **environment},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


@pytest.mark.parametrize("number", harness.alike([signal.SIGKILL, signal.SIGINT]))
def test_it_goes_on_where_it_was_when_it_was_ended(bus, source, number):
    videos = [bus.insert_video() for _ in range(30)]
    for video_id in videos:
        bus.send_webhook_event(video_id, source.url(f"{video_id}.mp4"))
    source.shut()
    process = start(bus, REELBUS_TRANSFERS_MAX="4")
    source.tickets.release(10)
    wait_for(lambda: len(bus.events("video.stored")) >= 8, "some are announced")
    process.send_signal(number)
    _, said = process.communicate(timeout=harness.WAIT_S)
    assert process.returncode == (-number if number == signal.SIGKILL else 130), said
    before = len(bus.events("video.stored"))
    source.open()
    assert replay(bus, "--since", "1d")["stored"] + before == 30  # another question: what was begun is finished first
    for video_id in videos:
        assert_whole(bus, video_id)
    assert replay(bus, "--since", "1d")["nothing_to_do"]
    assert announced(bus) == sorted((video_id, 1) for video_id in videos)


@pytest.mark.release_only
def test_whenever_it_dies_a_video_is_announced_once(bus, source):
    bus.programs = harness.binaries("fail")
    if not (bus.programs / "reelbus-consumer").exists():
        pytest.skip("needs `make fail`")
    videos = []
    other = ("--user", "somebody else", "--until", "1h", "--video", "0b5e7a34-6f5e-4a3e-9f0e-0a3a3f3f0b5e")
    for number, (point, next_one) in enumerate((("row_written", ()), ("row_written", other), ("txn_commit", ()), ("txn_committed", ()))):
        videos.append(bus.insert_video())
        bus.send_webhook_event(videos[-1], source.url(f"{number}.mp4"))
        process = start(bus, REELBUS_FAIL=f"{point}:1:kill")
        process.communicate(timeout=harness.WAIT_S)
        assert process.returncode == -signal.SIGKILL, point
        replay(bus, *next_one)
        assert announced(bus) == sorted((video_id, 1) for video_id in videos), (number, point)
    assert source.paths().count("0.mp4") == source.paths().count("1.mp4") == 1  # its row said that it is stored
    assert bus.events("video.store_failed") == [] and replay(bus)["nothing_to_do"]


def test_it_does_what_it_is_asked_for_and_no_more(bus, source):
    videos = [bus.insert_video() for _ in range(5)]
    for video_id in videos:
        bus.send_webhook_event(video_id, source.url(f"{video_id}.mp4"))
    assert replay(bus, "--video", videos[2].upper())["stored"] == 1
    assert replay(bus, "--topic", "video.poll.result")["read"] == 0
    assert replay(bus, "--until", "1h")["read"] == 0
    assert replay(bus, "--user", "somebody else")["others"] == 4
    assert replay(bus, "--user", bus.user, "--max", "1")["stored"] == 1
    bus.query("UPDATE reelbus.replay SET finished_at = NULL")  # killed: what --max leaves of it is not lost, nor is the run at its end
    assert replay(bus, "--user", bus.user, "--max", "1")["stored"] == 1
    assert bus.query("SELECT run FROM reelbus.replay WHERE finished_at IS NOT NULL") == []
    begun = harness.time.monotonic()
    assert replay(bus, "--rate", "1")["stored"] == 2
    assert harness.time.monotonic() - begun >= 1
    for wrong, words in (["--state", "x"], "expected failed or missing"), (["--topic", "x"], "expected video.webhook"), (["--video", "x"], "a UUID"):
        done = bus.run("reelbus-consumer", "replay", *wrong, env=bus.consumer_options())
        assert done.returncode == 2 and words in done.stderr, done.stderr
    assert "There was nothing to do." in bus.run("reelbus-consumer", "replay", env=bus.consumer_options()).stdout


def test_what_no_topic_has_told_of_is_put_on_the_bus_once(running, source):
    running.query("INSERT INTO video_history (user_id, prompt, video_url) SELECT %s, 'old', 'ftp://elsewhere/' || n FROM generate_series(1, 3) n", running.user)
    running.query("INSERT INTO video_history (user_id, prompt, video_url) SELECT %s, 'old', %s || n FROM generate_series(1, 600) n",
                  running.user, running.producer.url("/media/videos/ours-"))  # fmt: skip
    known = running.send(source.url("known.mp4"))
    running.wait_for_event("video.stored", known)
    running.query("UPDATE video_history SET video_url = %s WHERE id = %s", source.url("known.mp4"), known)
    videos = [running.insert_video() for _ in range(7)]
    for video_id in videos:
        running.query("UPDATE video_history SET video_url = %s WHERE id = %s", source.url(f"{video_id}.mp4"), video_id)

    def backfill(*arguments):
        done = running.run("reelbus-consumer", "backfill", "--from-database", "--json", *arguments, env=running.consumer_options())
        assert done.returncode == 0, done.stderr
        told = [json.loads(line) for line in done.stdout.splitlines()]
        return told if "--store-now" in arguments else told[0]

    running.consumer.stop()
    assert backfill("--dry-run")["would_publish"] == 7 and len(running.records("video.webhook.received")) == 1
    assert backfill("--video", videos[0], "--rate", "100")["published"] == 1 and backfill("--max", "2")["published"] == 2
    assert backfill("--user", running.user)["published"] == 4
    assert backfill()["published"] == 0 and len(running.records("video.webhook.received")) == 8
    assert replay(running, "--max", "3", "--video", videos[1])["stored"] == 1
    told = backfill("--store-now", "--video", videos[2])  # published before, and not stored yet
    assert (told[0]["published"], told[1]["stored"]) == (0, 1)
    running.start_consumer()
    for video_id in videos:
        running.wait_for_event("video.stored", video_id)
        assert_whole(running, video_id)
    assert {event["scheme"] for event in running.events("video.webhook.received") if event["video_id"] in videos} == {"backfill"}
    assert backfill()["published"] == 0
