"""What is stuck ends by itself with status 3, and what only waits does not."""

import os
import signal
import socket

import pytest
import requests
from harness import SECRET, wait_for

only_here = pytest.mark.release_only  # programs of `make fail`, or a watchdog that is in a hurry
NOWHERE = {"REELBUS_KAFKA_BROKERS": "127.0.0.1:1", "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}


def starts(bus):
    return bus.start_producer, bus.start_consumer


def wait_until_stuck(program, front):
    wait_for(lambda: not program.process.alive(), f"the watchdog ends it: {program.process.tail()}")
    assert program.process.status == 3, program.process.tail()
    assert f"level=crit ev=stuck front={front} " in program.log
    program.process.status = -signal.SIGKILL  # nobody expects an orderly end


@only_here
def test_a_producer_that_hangs_ends_and_what_it_was_sent_is_taken_by_the_next(failing):
    bus = failing
    video_id = bus.insert_video()
    body = {"videoId": video_id, "status": "failed"}
    producer = bus.start_producer(REELBUS_FAIL="webhook_verified:1:hang", REELBUS_WATCHDOG_MS="2s")
    with pytest.raises(requests.ConnectionError):
        requests.post(producer.url("/api/webhook/video-complete"), json=body, headers={"x-webhook-secret": SECRET}, timeout=120)
    wait_until_stuck(producer, "loop")
    bus.start_producer()
    assert bus.webhook(body).status_code == 200


@only_here
def test_a_consumer_that_hangs_ends_although_it_was_asked_to_stop_and_the_next_one_stores(failing):
    bus = failing
    bus.start_producer()
    consumer = bus.start_consumer(wait=False, REELBUS_FAIL="claim_had:1:hang", REELBUS_WATCHDOG_MS="2s")
    video_id, provider_video = bus.store_video()
    wait_for(lambda: "failpoint claim_had" in consumer.process.tail(), "it hangs")
    consumer.process.send(signal.SIGTERM)
    wait_until_stuck(consumer, "loop")
    bus.start_consumer()
    bus.assert_stored(video_id, provider_video)


@only_here
def test_taking_down_that_hangs_is_ended(failing):
    for start in starts(failing):
        program = start(REELBUS_FAIL="program_closing:1:hang", REELBUS_WATCHDOG_MS="2s")
        program.process.send(signal.SIGTERM)
        wait_until_stuck(program, "close")


@only_here
def test_a_kafka_client_that_says_nothing_any_more_ends_the_program(failing):
    for start in starts(failing):
        program = start(wait=False, REELBUS_FAIL="kafka_statistics:30+:EIO", REELBUS_WATCHDOG_MS="2s")
        wait_until_stuck(program, "kafka")


@only_here
def test_what_is_away_is_waited_for(bus):
    options = {"REELBUS_WATCHDOG_MS": "2s", "REELBUS_DB_TIMEOUT_MS": "100ms", "REELBUS_DB_CONNECT_TIMEOUT_MS": "100ms", **NOWHERE}
    for program in [start(wait=False, **options) for start in starts(bus)]:
        wait_for(lambda: program.log.count("ev=db_down") >= 8, "it tries again and again")
        assert program.process.alive()


@only_here
def test_a_program_that_was_stopped_for_a_while_goes_on(bus):
    programs = [start(REELBUS_WATCHDOG_MS="2s") for start in starts(bus)]
    for program in programs:
        program.process.send(signal.SIGSTOP)
    other = bus.start_consumer(wait=False, **NOWHERE)
    wait_for(lambda: other.log.count("ev=db_down") >= 7, "some seconds have passed")
    for program in programs:
        program.process.send(signal.SIGCONT)
    for program in programs:
        wait_for(program.is_ready, "it goes on")


def test_a_supervisor_is_told_how_it_goes(bus):
    for start in starts(bus):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            name = f"reelbus-{os.getpid()}-{bus.number}"
            supervisor.bind(f"\0{name}")
            supervisor.settimeout(120)
            program = start(NOTIFY_SOCKET=f"@{name}", WATCHDOG_USEC="300000")
            words = {supervisor.recv(64) for _ in range(3)}
            assert words == {b"READY=1", b"WATCHDOG=1"}
            program.process.send(signal.SIGTERM)
            wait_for(lambda: supervisor.recv(64) == b"STOPPING=1", "it says that it stops")
        wait_for(lambda: not program.process.alive(), "it stops")
