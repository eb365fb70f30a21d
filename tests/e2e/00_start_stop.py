"""Options, setup, health, and how the programs end."""

import concurrent.futures
import hashlib
import os
import signal
import socket
import subprocess

import requests
from harness import ROOT, SECRET, wait_for


def test_a_wrong_option_ends_with_2_and_says_what_is_right(bus):
    done = bus.run("reelbus-producer", "--lisen", "127.0.0.1:1", env={"VIDEO_WEBHOOK_SECRET": SECRET})
    assert done.returncode == 2 and "did you mean 'listen'?" in done.stderr
    done = bus.run("reelbus-consumer", "--queue-bytes", "12")
    assert done.returncode == 2 and "expected 128KiB to 256MiB" in done.stderr
    done = bus.run("reelbus-consumer", "store")
    assert done.returncode == 2 and "unknown command 'store'" in done.stderr


def test_a_missing_option_is_named_with_the_ways_to_give_it(bus):
    done = bus.run("reelbus-producer", env={"VIDEO_WEBHOOK_SECRET": ""})
    assert done.returncode == 2
    assert "option 'webhook_secret' is needed" in done.stderr and "VIDEO_WEBHOOK_SECRET" in done.stderr


def test_help_version_and_options_are_shown_and_secrets_are_not(bus):
    for program in ("reelbus-producer", "reelbus-consumer"):
        assert bus.run(program, "--help").stdout.startswith(f"Usage: {program}")
        assert bus.run(program, "--version").stdout.split()[0] == program
    shown = bus.run("reelbus-producer", "--show-options", env={"VIDEO_WEBHOOK_SECRET": SECRET}).stdout
    assert "webhook_secret = (set)  # environment" in shown and "canary" not in shown
    assert bus.stack.ports["postgres"] and str(bus.stack.ports["postgres"]) not in shown  # the database URL is secret too


def test_a_port_in_use_is_named(bus):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = bus.run("reelbus-producer", "--listen", address, env={"VIDEO_WEBHOOK_SECRET": SECRET})
    assert done.returncode == 1 and address in done.stderr and "Address already in use" in done.stderr


def test_a_setting_that_librdkafka_refuses_is_named(bus):
    done = bus.run("reelbus-producer", "--kafka", "acks=perhaps", env={"VIDEO_WEBHOOK_SECRET": SECRET})
    assert done.returncode == 2 and "'acks'" in done.stderr


def test_setup_is_safe_to_run_again(bus):
    again = bus.setup()
    assert again.count("is there") == 8 and "made" not in again  # the schema, and seven topics


def test_setup_says_what_it_cannot_reach(bus):
    done = bus.run("reelbus-consumer", "setup", env={"DATABASE_URL": "postgresql://app@127.0.0.1:1/x"})
    assert done.returncode == 5 and "setup: database: cannot connect to Postgres" in done.stderr
    assert "topic     " in done.stdout  # what can be done is done


def test_setup_waits_a_moment_for_a_locked_table_and_says_who_has_it(bus):
    with bus.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE reelbus.video IN ACCESS SHARE MODE")
        done = bus.run_setup(REELBUS_SETUP_LOCK_MS="300ms")
        assert done.returncode == 5 and done.stdout.count("waits     00") == 4 and "topic     " in done.stdout
        assert f"reelbus.video is locked by process {connection.info.backend_pid} of" in done.stderr
        assert "idle in transaction" in done.stderr and "run setup again" in done.stderr
    assert bus.run_setup().returncode == 0


def test_the_schema_can_also_be_applied_by_psql(bus):
    sql = ROOT / "deploy/sql/001_reelbus.sql"
    for _ in range(2):
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", sql, bus.database_url], check=True, capture_output=True)


def test_health_and_metrics_are_served(running):
    for program in (running.producer, running.consumer):
        assert program.get("/healthz").json() == {"alive": True}
        assert program.get("/readyz").json()["ready"] is True
        metrics = program.get("/metrics")
        assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "reelbus_kafka_up 1" in metrics.text and "reelbus_database_up 1" in metrics.text
    wait_for(lambda: "reelbus_partitions 9" in running.consumer.get("/metrics").text, "all partitions are assigned")


def test_the_consumer_finishes_what_it_has_begun_before_it_stops(running):
    video_id, provider_video = running.store_video(bytes_per_s=400_000, bytes=600_000)
    wait_for(lambda: "ev=job_claimed" in running.consumer.log, "the transfer has begun")
    running.consumer.process.send(signal.SIGTERM)
    wait_for(lambda: not running.consumer.process.alive(), "it stops")
    assert running.consumer.process.status == 0 and "ev=stopped left=0" in running.consumer.log
    running.assert_stored(video_id, provider_video)
    assert len(set(running.committed())) == 1


def test_the_consumer_stops_in_time_although_a_source_stalls(bus):
    bus.start_producer()
    consumer = bus.start_consumer(REELBUS_SHUTDOWN_MS="10m", REELBUS_LOW_SPEED_MS="10m")
    video_id, _ = bus.store_video(stall_at=0.5)
    wait_for(lambda: bus.objects(), "half a file is there")
    consumer.process.send(signal.SIGTERM)
    wait_for(lambda: "ev=stop " in consumer.log, "it was asked to stop")
    consumer.process.send(signal.SIGTERM)  # asked twice: at once
    wait_for(lambda: not consumer.process.alive(), "it stops")
    assert consumer.process.status == 0 and bus.objects() == []
    assert bus.video_row(video_id)["state"] == "processing"


def test_the_producer_answers_what_it_has_taken_before_it_stops(running):
    running.consumer.stop()
    video_id = running.insert_video()
    postgres = running.stack.processes["postgres"]
    with running.connect() as connection:  # the lookup has to wait for this lock
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE video_history IN ACCESS EXCLUSIVE MODE")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            sender = pool.submit(running.webhook, {"videoId": video_id, "status": "failed"})
            wait_for(lambda: "reelbus_webhooks_in_flight 1" in running.producer.get("/metrics").text, "it is in flight")
            running.producer.process.send(signal.SIGTERM)
            wait_for(lambda: "ev=stop " in running.producer.log, "it was asked to stop")
            connection.execute("ROLLBACK")
            assert sender.result().json() == {"success": True}
    wait_for(lambda: not running.producer.process.alive(), "it stops")
    assert running.producer.process.status == 0 and postgres.alive()
    assert len(running.events("video.webhook.received", video_id)) == 1


def test_a_webhook_that_is_half_there_when_the_producer_is_stopped_is_taken(bus):
    """Its sender may be one that never tries again."""
    producer = bus.start_producer(REELBUS_REQUEST_TIMEOUT_MS="120s", REELBUS_SHUTDOWN_MS="120s")
    video_id = bus.insert_video()
    body = f'{{"videoId":"{video_id}","status":"failed"}}'.encode()
    head = (f"POST /api/webhook/video-complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"x-webhook-secret: {SECRET}\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n")  # fmt: skip
    with socket.create_connection(("127.0.0.1", producer.port), timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body[:10])
        producer.process.send(signal.SIGTERM)
        wait_for(lambda: "ev=stop " in producer.log, "it was asked to stop")
        connection.sendall(body[10:])
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200 ") and b"Connection: close" in answer
    wait_for(lambda: not producer.process.alive(), "it stops")
    assert producer.process.status == 0 and len(bus.events("video.webhook.received", video_id)) == 1


def test_killed_in_the_middle_of_a_download_and_started_again_it_stores_once(running):
    video_id, provider_video = running.store_video(stalls=[0.5])  # the first time only
    wait_for(lambda: any(name.startswith(".partial/") for name in running.objects()), "a part of the file is there")
    running.consumer.kill()
    assert running.video_row(video_id)["state"] == "processing"
    consumer = running.start_consumer()
    event, row = running.assert_stored(video_id, provider_video)
    assert "ev=store_swept files=1" in consumer.log
    assert row["claim_epoch"] == 2 and event["attempt"] == 1
    assert running.objects() == [f"videos/{running.user}/{video_id}.mp4"]
    running.wait_until_finished()
    assert len(running.events("video.stored", video_id)) == 1


def test_a_restart_does_nothing_again(running):
    video_id, provider_video = running.store_video()
    running.assert_stored(video_id, provider_video)
    running.wait_until_finished()
    digest = hashlib.sha256(running.object_path(video_id).read_bytes()).hexdigest()
    running.consumer.stop()
    consumer = running.start_consumer()
    wait_for(lambda: "ev=partitions_taken" in consumer.log, "it has joined the group")
    other, other_video = running.store_video()
    running.assert_stored(other, other_video)
    assert video_id not in consumer.log
    assert hashlib.sha256(running.object_path(video_id).read_bytes()).hexdigest() == digest
    assert len(running.events("video.stored", video_id)) == 1


def test_everything_is_installed_below_destdir(bus, tmp_path):
    subprocess.run(["make", "-s", "-C", ROOT, "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/reelbus"], check=True)
    installed = tmp_path / "opt/reelbus"
    assert os.access(installed / "bin/reelbus-producer", os.X_OK)
    done = subprocess.run([installed / "bin/reelbus-consumer", "--version"], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0 and done.stdout.startswith("reelbus-consumer ")
    assert (installed / "share/reelbus/schemas/video_stored.avsc").exists()
    assert (installed / "share/reelbus/sql/001_reelbus.sql").exists()


def test_the_page_is_served_from_the_binary(running):
    page = running.producer.get("/")
    assert page.status_code == 200 and page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "http" not in page.text.replace("http-equiv", "")  # no outside assets
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript")):
        part = running.producer.get("/page/" + name)
        assert part.status_code == 200 and part.headers["Content-Type"].startswith(kind)
        assert part.text == (ROOT / "producer/page" / name).read_text()
    assert requests.head(running.producer.url("/")).status_code == 200
