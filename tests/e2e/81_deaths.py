"""kill -9 in each state of a job: whoever comes next goes on from what is there, and there is one outcome."""

import contextlib
import hashlib
import re
import signal

import pytest
from harness import TINY_MP4, alike, wait_for
from sources import with_provider


def begin(bus, source, path="v", **fields):
    """A record about a video, without a producer that looks at it."""
    video_id = bus.insert_video()
    bus.send_webhook_event(video_id, source.url(path), **fields)
    return video_id


def states(bus, video_id):
    """Through which states the jobs of a video went, as the log has them."""
    return re.findall(rf"ev=job_state .*video={video_id} .*to=(\w+)", bus.consumer.log)


def reached(bus, video_id, state, times=1):
    wait_for(lambda: states(bus, video_id).count(state) >= times, f"it is {state}")


@contextlib.contextmanager
def locked(bus, sql, *values):
    """The database makes everybody wait who wants what this locks."""
    with bus.connect() as connection:
        connection.execute("BEGIN")
        connection.execute(sql, values)
        yield
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def delayed(bus, source, kafka):
    source.answers["v"] = [(429, b"", {"Retry-After": "2"}), 200]
    yield begin(bus, source)


@contextlib.contextmanager
def lining_up(bus, source, kafka):
    source.shut()
    video_id = begin(bus, source)
    reached(bus, video_id, "TRANSFERRING")
    bus.send_webhook_event(video_id, source.url("v"))
    reached(bus, video_id, "LINING_UP", 2)
    yield video_id
    source.open()


@contextlib.contextmanager
def planning(bus, source, kafka):
    with locked(bus, "LOCK TABLE reelbus.video IN ACCESS EXCLUSIVE MODE"):
        yield begin(bus, source)


@contextlib.contextmanager
def renewing(bus, source, kafka):
    source.answers.update({"v": [403], "api/theirs": [(200, b'{"state": "done", "url": "%s"}' % source.url("fresh").encode(), {})]})
    source.shut(all_of_it=True)
    source.tickets.release()  # for the bytes
    yield begin(bus, source, provider="ours", provider_video_id="theirs")
    source.open()


@contextlib.contextmanager
def queued(bus, source, kafka):
    source.shut()
    reached(bus, begin(bus, source, "other"), "TRANSFERRING")
    yield begin(bus, source)
    source.open()


@contextlib.contextmanager
def transferring(bus, source, kafka):
    source.shut()
    yield begin(bus, source)
    source.open()


@contextlib.contextmanager
def recording(bus, source, kafka):
    source.shut()
    video_id = begin(bus, source)
    reached(bus, video_id, "TRANSFERRING")
    with locked(bus, "SELECT FROM reelbus.video WHERE video_id = %s FOR UPDATE", video_id):
        source.open()
        yield video_id


@contextlib.contextmanager
def emitting(bus, source, kafka):
    stop, start = kafka
    source.shut()
    video_id = begin(bus, source)
    reached(bus, video_id, "TRANSFERRING")
    stop(signal.SIGSTOP)
    source.open()
    yield video_id
    start()


@contextlib.contextmanager
def resting(bus, source, kafka):
    source.answers["v"] = [500, 200]
    yield begin(bus, source)


@pytest.mark.parametrize("state", alike([transferring, delayed, lining_up, planning, renewing, queued, recording, emitting, resting]),
                         ids=lambda state: state.__name__)  # fmt: skip
def test_a_death_in_any_state_leads_to_one_outcome(bus, source, stopped_kafka, state):
    options = {
        "delayed": {"REELBUS_RETRY_IN_PLACE_MS": "0"},
        "queued": {"REELBUS_TRANSFERS_MAX": "1"},
        "resting": {"REELBUS_RETRY_FIRST_MS": "1h", "REELBUS_RETRY_MAX_MS": "1h", "REELBUS_RETRY_IN_PLACE_MS": "1h"},
    }
    with_provider(bus, source)
    bus.start_consumer(REELBUS_LOG_LEVEL="debug", **options.get(state.__name__, {}))
    with state(bus, source, stopped_kafka) as video_id:
        reached(bus, video_id, state.__name__.upper())
        bus.consumer.kill()
        if state is not delayed:  # whose time may have come
            assert states(bus, video_id)[-1] == state.__name__.upper()
    bus.start_consumer()
    event, row = bus.wait_for_event("video.stored", video_id), bus.video_row(video_id)
    assert (row["state"], row["attempt"], event["attempt"]) == ("stored", 1, 1)
    assert row["sha256"] == event["sha256"] == hashlib.sha256(TINY_MP4).hexdigest()
    assert bus.object_path(video_id).read_bytes() == TINY_MP4
    assert row["video_url"] == event["video_url"] and row["source_url"] == source.url("v")
    bus.wait_until_finished()
    assert bus.events("video.store_failed") == [] and bus.wait_for_event("video.stored", video_id) == event
    assert len(bus.objects()) == len({event["video_id"] for event in bus.events("video.stored")})


def test_a_failure_is_announced_though_the_next_attempt_has_begun(bus, source, stopped_kafka):
    """By the record that has led to it, which comes again after a death; it does not go on with what is not its own."""
    stop, start = stopped_kafka
    source.answers["v"] = [410]
    bus.start_consumer(REELBUS_LOG_LEVEL="debug")
    source.shut()
    video_id = begin(bus, source)
    reached(bus, video_id, "TRANSFERRING")
    stop(signal.SIGSTOP)
    source.open()
    reached(bus, video_id, "EMITTING")
    bus.consumer.kill()
    bus.query("SELECT reelbus.expect_video(%s, 'ours', 'another')", video_id)  # the application asks for it once more
    assert bus.video_row(video_id)["state"] == "waiting"
    start()
    bus.start_consumer()
    failed = bus.wait_for_event("video.store_failed", video_id)
    assert (failed["attempt"], failed["code"], failed["source_url"]) == (1, "source_gone", source.url("v"))
    assert bus.video_row(video_id)["state"] == "waiting"
    bus.send_webhook_event(video_id, source.url("w"))
    stored = bus.wait_for_event("video.stored", video_id)
    bus.wait_until_finished()
    assert stored["attempt"] == bus.video_row(video_id)["attempt"] == 2
    assert len(bus.events("video.store_failed", video_id)) == len(bus.events("video.stored", video_id)) == 1
