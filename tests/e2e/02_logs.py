"""What is logged, in both of its forms, and to systemd's journal."""

import json
import os
import re
import signal
import socket
import subprocess

from harness import SECRET, wait_for


def no_twins(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def lines(program):
    """All that it has said, as strict readers of JSON see it."""
    return [json.loads(line, object_pairs_hook=no_twins) for line in program.log.splitlines()]


def test_each_line_is_a_json_object_when_that_is_wanted(bus, source):
    source.answers["page"] = [(200, b"<html>", {"Content-Type": "text/html"})]
    bus.start_producer(REELBUS_LOG_FORMAT="json")
    consumer = bus.start_consumer(REELBUS_LOG_FORMAT="json", REELBUS_RETRY_FOR_MS="0", REELBUS_LOG_LEVEL="debug")
    stored, failed = bus.send(source.url("video.mp4")), bus.send(source.url("page"))
    assert bus.webhook({"videoId": 'no "id"', "status": "failed"}).status_code == 400
    bus.wait_for_event("video.stored", stored)
    bus.wait_for_event("video.store_failed", failed)
    wait_for(lambda: len([line for line in lines(consumer) if line["ev"] in ("job_stored", "job_failed")]) == 2, "both are logged")
    for program in (bus.producer, consumer):
        for line in lines(program):
            assert list(line)[:3] == ["ts", "level", "ev"] and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", line["ts"])
    story = {line["ev"]: line for line in lines(consumer) if line.get("video") == stored}
    assert story["job_stored"]["bytes"] == source_size(bus, stored) and isinstance(story["job_stored"]["took_ms"], int)
    assert story["job_state"]["level"] == "debug" and len(story["job_stored"]["trace"]) == 32
    (refused,) = [line for line in lines(bus.producer) if line["ev"] == "webhook_refused"]
    assert refused["code"] == "bad_request" and refused["level"] == "notice" and " " in refused["error"]


def source_size(bus, video_id):
    return bus.video_row(video_id)["bytes"]


def test_signals_change_what_is_logged_while_it_runs(bus, source):
    bus.start_producer()
    consumer = bus.start_consumer()
    bus.wait_for_event("video.stored", bus.send(source.url("quiet.mp4")))
    assert "ev=job_state" not in consumer.log
    consumer.process.send(signal.SIGUSR1)
    wait_for(lambda: "ev=log_level shows=debug" in consumer.log, "it shows more")
    bus.wait_for_event("video.stored", bus.send(source.url("loud.mp4")))
    wait_for(lambda: "ev=job_state" in consumer.log, "it has shown more")
    for shown in ("info", "notice", "warning"):
        consumer.process.send(signal.SIGUSR2)
        wait_for(lambda: f"ev=log_level shows={shown}" in consumer.log, "it shows less")
    said = consumer.log.count("ev=job_")
    silent = bus.send(source.url("silent.mp4"))
    bus.wait_for_event("video.stored", silent)
    assert consumer.log.count("ev=job_") == said and silent not in consumer.log


def test_the_journal_gets_priorities_and_a_file_does_not(bus, tmp_path):
    def log_of(name, **env):
        with open(tmp_path / name, "w+") as log, socket.create_server(("127.0.0.1", 0)) as taken:
            status = os.fstat(log.fileno())
            stream = f"{status.st_dev}:{status.st_ino + (name == 'other')}"
            command = [bus.programs / "reelbus-producer", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"]
            done = subprocess.run(command, env={**os.environ, **bus.common, "VIDEO_WEBHOOK_SECRET": SECRET, "JOURNAL_STREAM": stream, **env},
                                  stderr=log, timeout=120)  # fmt: skip
            assert done.returncode == 1
        return (tmp_path / name).read_text().splitlines()

    journal = log_of("journal")
    assert journal[0].startswith("<6>ts=") and "ev=start" in journal[0]
    (fatal,) = [line for line in journal if "ev=fatal" in line]
    assert fatal.startswith("<2>ts=")
    objects = log_of("objects", REELBUS_LOG_FORMAT="json")
    assert all(line.startswith("<") and json.loads(line[3:])["ts"] for line in objects)
    assert all(line.startswith("ts=") for line in log_of("other"))
