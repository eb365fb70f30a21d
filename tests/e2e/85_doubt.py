"""Kafka hears the end of a transaction too late, or not at all, or nobody hears what it has answered."""

import itertools
import signal

import pytest
from failpoints import said_by
from harness import alike, wait_for

END_TXN = 26  # of Kafka's protocol
SOON = {"REELBUS_TRANSACTION_TIMEOUT_MS": "5s"}


def send(bus, source, count):
    videos = [bus.insert_video() for _ in range(count)]
    for video_id in videos:
        bus.send_webhook_event(video_id, source.url("v"))
    return sorted(videos)


def assert_stored_once(bus, videos):
    bus.wait_until_finished()
    assert sorted(event["video_id"] for event in bus.events("video.stored")) == videos


def wait_for_word(program, word):
    wait_for(lambda: word in said_by(program) or not program.process.alive(), word)
    assert word in said_by(program)


def trap(wire, *verdicts):
    """What becomes of each EndTxn that comes: the last verdict is for all that follow. Gives the list of those that came."""
    came = []
    of_each = itertools.chain(verdicts, itertools.repeat(verdicts[-1]))

    def on_request(kind):
        if kind != END_TXN:
            return None
        came.append(kind)
        return next(of_each)

    wire.trap = on_request
    return came


@pytest.mark.parametrize("verdicts, committed", alike([(("lose", "cut"), 1), (("cut",), 0)]))
def test_a_commit_of_which_nothing_is_heard_is_looked_up(bus, source, wire, wired, verdicts, committed):
    """It has come to pass, or not: then what was in it is sent again."""
    trap(wire, *verdicts)
    videos = send(bus, source, 3)
    consumer = bus.start_consumer(wait=False, **wired, **SOON)
    wait_for_word(consumer, "ev=txn_looked")
    wire.trap = None
    assert f"ev=txn_looked committed={committed} records=" in said_by(consumer)
    assert_stored_once(bus, videos)


def test_partitions_move_while_a_commit_hangs_and_it_comes_late(bus, source, wire, wired):
    """Whoever gets them waits until it is settled what is committed. What was on its way all the while counts no more."""
    options = {"REELBUS_GROUP_INSTANCE_ID": "", "REELBUS_KAFKA": "statistics.interval.ms=100;heartbeat.interval.ms=100", **SOON}
    first = bus.start_consumer(wait=False, **options, **wired)
    wait_for_word(first, "ev=partitions_taken")
    came = trap(wire, "hang")
    videos = send(bus, source, 12)
    wait_for(lambda: came, "a commit hangs")
    second = bus.start_consumer(wait=False, **options)
    wait_for_word(second, "ev=partitions_taken")
    wire.trap = None
    wire.release()
    assert_stored_once(bus, videos)
    assert f"ev=partitions_lost topic={bus.prefix}video.webhook.received" in said_by(first)
    assert_stored_once(bus, sorted([*videos, *send(bus, source, 6)]))


def test_the_end_is_not_held_up_by_a_commit_that_hangs(bus, source, wire, wired):
    consumer = bus.start_consumer(wait=False, REELBUS_SHUTDOWN_MS="1s", **wired, **SOON)
    came = trap(wire, "hang")
    videos = send(bus, source, 3)
    wait_for(lambda: came, "a commit hangs")
    consumer.process.send(signal.SIGTERM)
    wait_for(lambda: not consumer.process.alive(), "it ends all the same")
    assert consumer.process.status == 0 and "ev=stuck" not in said_by(consumer)
    wire.trap = None
    wire.release()
    bus.start_consumer(wait=False)
    assert_stored_once(bus, videos)
