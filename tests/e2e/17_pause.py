"""pause, resume, drain: nothing is stored for now, and nobody leaves the group."""

import json
import os
import subprocess

import alerts
from confluent_kafka.admin import AdminClient
from harness import wait_for


def run(bus, *arguments, status=0):
    done = bus.run("reelbus-consumer", *arguments, env={"REELBUS_GROUP": f"{bus.number}-group"})
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def ask(bus, *arguments, **more):
    return json.loads(run(bus, *arguments, "--json", **more))


def paused(program):
    return program.metric("reelbus_paused_by_operator")


def members(bus):
    """Who is in the group, as another client of Kafka sees it."""
    admin = AdminClient({"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"]})
    name = f"{bus.number}-group"
    return [member.member_id for member in admin.describe_consumer_groups([name])[name].result(60).members]


def waiting(program):
    return program.metric("reelbus_lag_records", topic="video.webhook.received")


def test_a_drain_waits_for_what_runs_and_a_deploy_finds_the_group_paused(running, source):
    bus, first = running, running.consumer
    assert ask(bus, "pause", "--dry-run") == {"group": f"{bus.number}-group", "paused": False} and paused(first) == 0
    source.shut()
    begun = bus.send(source.url("begun.mp4"))
    wait_for(lambda: first.metric("reelbus_transfers") == 1, "it is being stored")
    who = members(bus)
    late = run(bus, "drain", "--timeout", "0", "--reason", "a deploy", status=4)
    assert "not drained" in late and paused(first) in (0, 1)
    drain = subprocess.Popen([bus.programs / "reelbus-consumer", "drain", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env={**os.environ, **bus.common, "REELBUS_GROUP": f"{bus.number}-group"})  # fmt: skip
    wait_for(lambda: bus.query("SELECT 1 FROM reelbus.member m JOIN reelbus.control c ON m.pause = c.pause WHERE c.pause = 2"
                               " AND m.in_flight = 1"), "it tells what it works on")  # fmt: skip
    held = bus.send(source.url("held.mp4"))
    wait_for(lambda: waiting(first) == 2, "it knows of the second one")
    assert drain.poll() is None and members(bus) == who
    source.open()
    out, err = drain.communicate(timeout=120)
    told = json.loads(out)
    assert drain.returncode == 0 and told["drained"] is True and (told["members"], told["in_flight"], told["silent"]) == (1, 0, 0), err
    assert bus.video_row(begun)["state"] == "stored"
    bus.wait_for_event("video.stored", begun)
    assert first.get("/readyz").json()["paused"] is True and members(bus) == who
    first.stop()  # the deploy
    second = bus.start_consumer()
    wait_for(lambda: waiting(second) == 1 and paused(second) == 1, "it has the partitions, and takes nothing of them")
    assert second.metric("reelbus_jobs") == second.metric("reelbus_transfers_started_total") == 0 and second.is_ready()
    assert bus.video_row(held)["state"] is None and source.paths() == ["begun.mp4"]
    assert bus.producer.get("/api/video/status", params={"videoId": held}).json()["storage"] in ("none", "waiting")
    assert ask(bus, "drain")["drained"] is True  # of a group in which nothing runs
    shown = run(bus, "pause", "--dry-run")
    assert "paused until resume, since" in shown and shown.endswith(": drain\n")
    assert "goes on" in run(bus, "resume") and "it was not paused" in run(bus, "resume")
    assert bus.wait_for_event("video.stored", held)["attempt"] == bus.wait_for_event("video.stored", begun)["attempt"] == 1
    assert paused(second) == 0 and "ev=group_resumed" in second.log and "paused" not in second.get("/readyz").json()


def test_a_pause_ends_by_itself_and_a_group_can_be_paused_again(running, source, tmp_path):
    bus, consumer = running, running.consumer
    before = alerts.seen(consumer)
    run(bus, "pause", "--reason", "the bucket\x1b[31m moves")
    wait_for(lambda: paused(consumer) == 1, "it is paused")
    video_id = bus.send(source.url("v.mp4"))
    wait_for(lambda: waiting(consumer) == 1, "it knows of the video")
    assert source.paths() == [] and consumer.metric("reelbus_paused") == 1
    if alerts.PROMTOOL.exists():
        assert alerts.firing(tmp_path, before, alerts.seen(consumer)) == {"ReelbusPaused"}
    assert "bucket\\x1b[31m moves" in run(bus, "pause", "--dry-run")
    told = ask(bus, "pause", "--lasts", "1s", "--reason", "briefly")
    assert told["paused"] is True and told["reason"] == "briefly" and "@" in told["by"] and told["until"]
    bus.wait_for_event("video.stored", video_id)
    wait_for(lambda: paused(consumer) == 0, "nobody has resumed it")
    assert ask(bus, "resume")["resumed"] is False and ask(bus, "pause", "--dry-run")["paused"] is False


def test_a_group_without_members_is_drained_once_the_pause_is_known(bus):
    done = bus.run("reelbus-consumer", "drain", "--json", env={"REELBUS_GROUP": f"{bus.number}-nobody"})
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["drained"] is True and told["members"] == told["silent"] == 0
    assert "Kafka knows no member of this group" in done.stderr
    assert bus.query("SELECT 1 FROM reelbus.control WHERE clock_timestamp() - paused_at >= interval '3 s'")


def test_a_database_that_refuses_to_tell_holds_those_who_have_not_read_it(bus, source):
    bus.query("ALTER TABLE reelbus.control RENAME COLUMN reason TO why")
    consumer = bus.start_consumer()
    bus.send_webhook_event(bus.insert_video(), source.url("v.mp4"))
    wait_for(lambda: waiting(consumer) == 1, "it knows of the record")
    assert "ev=pause_unread" in consumer.log and consumer.metric("reelbus_jobs") == 0 and source.paths() == []


def test_a_database_that_knows_of_no_pauses_does_not_stop_anybody(bus, source):
    bus.query("DROP TABLE reelbus.control")
    consumer = bus.start_consumer()
    video_id = bus.insert_video()
    bus.send_webhook_event(video_id, source.url("v.mp4"))
    bus.wait_for_event("video.stored", video_id)
    assert "ev=pause_unread" in consumer.log and paused(consumer) == 0
