"""A consumer that was stopped while others went on with its work, and wakes up in the middle of a step, changes nothing."""

import signal

import pytest
from failpoints import is_stopped, said_by
from harness import wait_for

pytestmark = pytest.mark.release_only  # the programs are those of `make fail`, whatever is tested otherwise

# Where it sleeps: the video is its own; the file is about to get its name; so is the row; all is ready for the commit.
POINTS = ("claim_had", "file_rename", "row_send", "txn_commit")


def facts(bus, videos):
    """All that is known of these videos, and who has written it last."""
    rows = bus.query("SELECT v.xmin::text AS ours_by, h.xmin::text AS theirs_by, v.*, h.* FROM reelbus.video v JOIN video_history h"
                     " ON h.id = v.video_id WHERE v.video_id = ANY(%s) ORDER BY v.video_id", videos)  # fmt: skip
    events = [(record.partition(), record.offset()) for record in bus.records("video.stored")]
    history = bus.query("SELECT count(*) AS n FROM reelbus.history WHERE video_id = ANY(%s) AND what IN ('claimed', 'stored')", videos)
    return rows, [bus.object_path(video_id).read_bytes() for video_id in videos], sorted(events), history


@pytest.mark.parametrize("point", POINTS)
def test_who_wakes_up_when_others_have_gone_on_changes_nothing(failing, source, point):
    bus = failing
    kafka = "statistics.interval.ms=100;heartbeat.interval.ms=100;session.timeout.ms="
    options = {"REELBUS_GROUP_INSTANCE_ID": "", "REELBUS_TRANSACTION_TIMEOUT_MS": "5s"}
    videos = [bus.insert_video() for _ in range(3)]
    for video_id in videos:
        bus.send_webhook_event(video_id, source.url("v"))
    zombie = bus.start_consumer(wait=False, REELBUS_FAIL=f"{point}:1:stop", REELBUS_KAFKA=kafka + "1000", **options)
    wait_for(lambda: is_stopped(zombie) or not zombie.process.alive(), "it sleeps")
    assert is_stopped(zombie), said_by(zombie)[-2000:]
    bus.start_consumer(wait=False, REELBUS_KAFKA=kafka + "30000", **options)
    bus.wait_until_finished()
    assert sorted(event["video_id"] for event in bus.events("video.stored")) == sorted(videos)
    before = facts(bus, videos)
    zombie.process.send(signal.SIGCONT)
    wait_for(lambda: said_by(zombie).count("ev=partitions_taken") > 9, "it hears that it has slept, and joins again")
    zombie.stop()
    assert facts(bus, videos) == before
