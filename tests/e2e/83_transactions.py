"""Exactly one event of each outcome, for whoever reads what is committed: whatever dies in between."""

import signal
import time
import uuid

import confluent_kafka
from harness import encode, wait_for


def send_to_one_partition(bus, source, paths):
    """Records about videos, in this order in one partition. Gives the videos' ids."""
    videos = []
    for path in paths:
        videos.append(bus.insert_video())
        event = {"event_id": str(uuid.uuid4()), "video_id": videos[-1], "user_id": bus.user, "status": "completed", "scheme": "plain",
                 "video_url": source.url(path), "checked": True, "received_at": int(time.time() * 1000)}  # fmt: skip
        bus.produce("video.webhook.received", encode("video_webhook_received", **event), b"one")
    return videos


def stored(bus):
    return sorted(event["video_id"] for event in bus.events("video.stored"))


def open_transactions(bus, topic):
    """In how many partitions a reader of what is committed is held up by a transaction that has not ended."""
    ends = {}
    for isolation in ("read_committed", "read_uncommitted"):
        consumer = confluent_kafka.Consumer({"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"], "group.id": "nobody",
                                             "isolation.level": isolation})  # fmt: skip
        ends[isolation] = [consumer.get_watermark_offsets(confluent_kafka.TopicPartition(bus.prefix + topic, number), timeout=60)[1]
                           for number in range(3)]  # fmt: skip
        consumer.close()
    return sum(committed != end for committed, end in zip(ends["read_committed"], ends["read_uncommitted"], strict=True))


def history(bus, video_id, what):
    return bus.query("SELECT count(*) AS n FROM reelbus.history WHERE video_id = %s AND what = %s", video_id, what)[0]["n"]


def test_what_is_finished_above_a_slow_one_is_not_done_again_after_a_death(bus, source):
    """The records that come again and are finished are known by what is committed beside the offset."""
    source.answers["slow"] = [(200, b"x", {"Content-Length": "1000"})]
    bus.start_consumer()
    slow, *others = send_to_one_partition(bus, source, ["slow", *["v"] * 25])
    wait_for(lambda: stored(bus) == sorted(others), "all but one are stored")
    wait_for(lambda: source.paths().count("slow") >= 1, "the slow one has begun")
    assert bus.committed()[0] == 0
    bus.consumer.kill()
    source.answers["slow"] = [200]
    asked = source.paths().count("v")
    consumer = bus.start_consumer()
    bus.wait_for_event("video.stored", slow)
    bus.wait_until_finished()
    assert stored(bus) == sorted([slow, *others]) and source.paths().count("v") == asked
    assert consumer.metric("reelbus_records_skipped_total") == 25 and "finished=25" in consumer.log
    assert consumer.log.count("ev=job_started") == 1
    assert {history(bus, video_id, "claimed") for video_id in others} == {1}


def test_deaths_at_any_moment_lead_to_one_event_each_and_hold_up_no_reader(bus, source):
    """Also between an event and its commit: the event is there then for those who read what is not committed, and no more."""
    videos = [bus.insert_video() for _ in range(80)]
    for video_id in videos:
        bus.send_webhook_event(video_id, source.url("v"))
    for threshold in (5, 20, 35, 50):
        bus.start_consumer(wait=False, REELBUS_TRANSFERS_MAX="2")
        wait_for(lambda: len(bus.records("video.stored", "read_uncommitted")) > threshold, "some are out")  # noqa: B023
        bus.consumer.kill()
    bus.start_consumer()
    bus.wait_until_finished()
    assert stored(bus) == sorted(videos) and bus.events("video.store_failed") == []
    assert open_transactions(bus, "video.stored") == 0
    bus.consumer.stop()
    bus.start_consumer()
    bus.wait_until_finished()
    assert "ev=job_started" not in bus.consumer.log and stored(bus) == sorted(videos)


def test_two_processes_with_one_transactional_id_do_not_go_on_together(bus, source):
    first = bus.start_consumer(REELBUS_TRANSACTIONAL_ID="the-same")
    bus.send_webhook_event(bus.insert_video(), source.url("v"))
    wait_for(lambda: len(stored(bus)) == 1, "the first one works")
    second = bus.start_consumer(REELBUS_TRANSACTIONAL_ID="the-same", REELBUS_GROUP_INSTANCE_ID="two")
    wait_for(lambda: "ev=partitions_taken" in second.log and first.log.count("ev=partitions_taken") > 9, "both have partitions")
    videos = [bus.insert_video() for _ in range(20)]
    for video_id in videos:
        bus.send_webhook_event(video_id, source.url("v"))
    wait_for(lambda: not first.process.alive(), "the first one ends")
    assert first.process.status == 3
    assert "ev=fatal" in first.log and "code=txn_fenced" in first.log and "'the-same'" in first.log
    bus.start_consumer(REELBUS_TRANSACTIONAL_ID="another")
    wait_for(lambda: len(stored(bus)) == 21, "the others go on")
    bus.wait_until_finished()
    assert len(stored(bus)) == 21 and set(videos) <= set(stored(bus))


def start_consumer(bus, settings):
    """One whose topic will be deleted: librdkafka 2.0.2 leaves its threads behind then, which nothing can mend."""
    return bus.start_consumer(REELBUS_KAFKA=settings, TSAN_OPTIONS=bus.common["TSAN_OPTIONS"] + ":report_thread_leaks=0")


def delete_webhooks(bus):
    """The topic, and wait until nobody knows it any more; gives who may look."""
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"]})
    name = bus.prefix + "video.webhook.received"
    admin.delete_topics([name])[name].result(60)
    wait_for(lambda: name not in admin.list_topics(timeout=60).topics, "it is gone")
    return admin, name


def test_a_topic_that_is_made_anew_is_read_from_its_beginning(bus, source):
    start_consumer(bus, "topic.metadata.refresh.interval.ms=1000")
    for _ in range(9):
        bus.send_webhook_event(bus.insert_video(), source.url("v"))
    bus.wait_until_finished()
    taken = bus.consumer.log.count("ev=partitions_taken")
    admin, name = delete_webhooks(bus)
    wait_for(lambda: bus.consumer.log.count("ev=partitions_taken") > taken, "the consumer has noticed")
    wait_for(lambda: bus.run_setup().returncode == 0 and name in admin.list_topics(timeout=60).topics, "it is there again")
    del bus.kafka_producer
    again = bus.insert_video()
    bus.send_webhook_event(again, source.url("v"))
    bus.wait_for_event("video.stored", again)
    assert len(stored(bus)) == 10


def test_a_consumer_whose_topic_was_deleted_can_be_stopped(bus, source):
    """librdkafka 2.0.2 never comes back from closing it."""
    consumer = start_consumer(bus, "topic.metadata.propagation.max.ms=100")
    video_id = bus.insert_video()
    bus.send_webhook_event(video_id, source.url("v"))
    bus.wait_for_event("video.stored", video_id)
    delete_webhooks(bus)
    wait_for(lambda: "topic does not exist" in consumer.log, "the consumer has noticed")
    consumer.stop()
    assert consumer.process.status == 0


def test_a_stopped_kafka_in_the_middle_of_transactions_repeats_nothing(bus, source, stopped_kafka):
    """For longer than a transaction may take: whether the last commit has happened is unknown then."""
    stop, start = stopped_kafka
    source.shut()
    bus.start_consumer(REELBUS_TRANSACTION_TIMEOUT_MS="5s")
    videos = [bus.insert_video() for _ in range(120)]
    for video_id in videos:
        bus.send_webhook_event(video_id, source.url("v"))
    source.tickets.release(20)
    wait_for(lambda: len(bus.records("video.stored", "read_uncommitted")) > 5, "some are out")
    stop(signal.SIGSTOP)
    source.open()  # now there is something that a transaction must begin for
    wait_for(lambda: "ev=txn_trouble" in bus.consumer.log, "a transaction is in doubt")
    start()
    wait_for(lambda: len(stored(bus)) >= len(videos), "all are stored")
    bus.wait_until_finished()
    assert stored(bus) == sorted(videos)
