"""Webhooks that Kafka cannot take: on a disk until it can."""

import collections
import concurrent.futures
import random
import string
import subprocess
import threading

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from harness import SECRET, wait_for

TOPIC = "video.webhook.received"


class Sender:
    """Sends webhooks about some videos, no two of them alike, and remembers what was answered."""

    def __init__(self, bus, videos=5):
        self.bus = bus
        self.videos = [bus.insert_video() for _ in range(videos)]
        self.sent = {video: [] for video in self.videos}  # ids answered 200, in their order
        self.refused = []
        self.count = 0
        self.lock = threading.Lock()

    def send(self, video):
        with self.lock:
            self.count += 1
            name = f"wh_{self.count}"
        answer = self.bus.webhook({"videoId": video, "status": "failed", "name": name}, headers={"webhook-id": name})
        assert answer.status_code in (200, 503), answer.text
        if answer.status_code == 200:
            self.sent[video].append(name)
        else:
            assert int(answer.headers["Retry-After"]) > 0
            self.refused.append(name)
        return answer.status_code

    def send_many(self, rounds=1):
        return [self.send(video) for _ in range(rounds) for video in self.videos]

    def send_until_refused(self):
        for _ in range(10_000):
            if 503 in self.send_many():
                return
        raise AssertionError("nothing is refused")

    def accepted(self):
        return {name for names in self.sent.values() for name in names}

    def assert_all_arrived(self, maybe=()):
        """All that was answered 200 is in the topic, in order per video; nothing else is, but for what was refused when the
        answer of Kafka was lost, and repeats of one event."""
        events = self.bus.events(TOPIC)
        arrived, event_ids = collections.defaultdict(list), {}
        for event in events:  # a partition's records are in their order
            name = event["webhook_id"]
            assert event_ids.setdefault(name, event["event_id"]) == event["event_id"], "two events of one webhook"
            if name not in arrived[event["video_id"]]:
                arrived[event["video_id"]].append(name)
        assert self.accepted() <= set(event_ids), "answered 200, and not in the topic"
        assert set(event_ids) <= self.accepted() | set(maybe)
        for video, names in self.sent.items():
            assert [name for name in arrived[video] if name in set(names)] == names
        return events


NOWHERE = {"REELBUS_KAFKA_BROKERS": "127.0.0.1:1"}  # a Kafka that is away, without stopping one


def spool_options(bus, **more):
    return {"REELBUS_SPOOL": bus.folder / "spool", "REELBUS_PUBLISH_TIMEOUT_MS": "2s", **more}


def segments(bus):
    return sorted((bus.folder / "spool").glob("*.spool"))


def kafka_is_away(producer):
    return producer.metric("reelbus_kafka_up") == 0


def wait_until_drained(producer):
    wait_for(lambda: producer.metric("reelbus_spool_records") == 0, "the spool is empty")


def passes_the_spool_by(sender, producer):
    """Two rounds of webhooks. With a Kafka that needs too long for one of them, some are spooled although it is there."""
    before = producer.metric("reelbus_spool_written_total")
    assert set(sender.send_many(2)) == {200}
    return producer.metric("reelbus_spool_written_total") == before


def stop_kafka(bus, stop):
    stop()
    wait_for(lambda: kafka_is_away(bus.producer), "the producer has noticed")


def spool_and_kill(bus, rounds, videos=5):
    bus.start_producer(**spool_options(bus), **NOWHERE)
    sender = Sender(bus, videos)
    assert set(sender.send_many(rounds)) == {200}
    bus.producer.kill()
    return sender


def test_webhooks_are_answered_200_while_kafka_is_away_and_all_are_there_afterwards(bus, stopped_kafka):
    stop, start = stopped_kafka
    producer = bus.start_producer(**spool_options(bus))
    wait_for(lambda: not kafka_is_away(producer), "Kafka is there")  # with a spool it is ready before
    sender = Sender(bus)
    wait_for(lambda: passes_the_spool_by(sender, producer), "nothing is written to the spool")
    stop()
    assert set(sender.send_many(10)) == {200}
    wait_for(lambda: kafka_is_away(producer), "the producer has noticed")
    assert set(sender.send_many(10)) == {200}
    ready = producer.get("/readyz")
    assert ready.status_code == 200 and ready.json()["reasons"][0].startswith("degraded: ")
    assert producer.metric("reelbus_spool_records") >= 50 and producer.metric("reelbus_spool_bytes") > 0
    wait_for(lambda: producer.metric("reelbus_spool_oldest_age_seconds") >= 1, "it grows old")
    start()
    wait_until_drained(producer)
    wait_for(lambda: passes_the_spool_by(sender, producer), "nothing is written to the spool any more")
    wait_until_drained(producer)
    sender.assert_all_arrived()
    assert producer.metric("reelbus_spool_drained_total") == producer.metric("reelbus_spool_written_total")
    assert producer.metric("reelbus_spool_oldest_age_seconds") == 0
    wait_for(lambda: not segments(bus), "its files are gone")
    wait_for(lambda: producer.get("/readyz").json()["reasons"] == [], "nothing is said to be wrong")
    log = producer.log  # told once when it fills, and not for each record
    assert 1 <= log.count("ev=spool_fills") == log.count("ev=spool_empty") < 10


def test_a_killed_producer_loses_nothing_of_its_spool(bus):
    sender = spool_and_kill(bus, 20, videos=20)
    producer = bus.start_producer(**spool_options(bus), **NOWHERE)
    assert producer.metric("reelbus_spool_records") == 400
    assert set(sender.send_many(2)) == {200}  # behind what was there
    producer.stop()  # as an operator does
    producer = bus.start_producer(**spool_options(bus), **NOWHERE)
    assert producer.metric("reelbus_spool_records") == 440
    producer.stop()
    producer = bus.start_producer(**spool_options(bus))
    wait_until_drained(producer)
    assert len({event["event_id"] for event in sender.assert_all_arrived()}) == 440


def test_a_kill_while_it_drains_repeats_at_most_and_loses_nothing(bus):
    bus.start_producer(**spool_options(bus), **NOWHERE)
    sender = Sender(bus, 50)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda video: [sender.send(video) for _ in range(40)], sender.videos))
    bus.producer.kill()
    for _ in range(5):
        bus.start_producer(wait=False, **spool_options(bus))
        wait_for(lambda: "ev=kafka_up" in bus.producer.log or "ev=spool_empty" in bus.producer.log, "it drains")
        bus.producer.kill()
    producer = bus.start_producer(**spool_options(bus))
    wait_until_drained(producer)
    sender.assert_all_arrived()
    assert len(sender.accepted()) == 2000


def test_a_full_spool_answers_503_and_takes_again_when_it_is_drained(bus, stopped_kafka):
    stop, start = stopped_kafka
    producer = bus.start_producer(**spool_options(bus, REELBUS_SPOOL_MAX_BYTES="256KiB"))
    sender = Sender(bus)
    stop_kafka(bus, stop)
    sender.send_until_refused()
    assert len(sender.accepted()) > 100 and producer.metric("reelbus_spool_refused_total") == len(sender.refused)
    assert sum(path.stat().st_size for path in segments(bus)) <= 256 << 10
    ready = producer.get("/readyz")
    assert ready.status_code == 503 and "spool" in ready.json()["reasons"][0]
    start()
    wait_until_drained(producer)
    assert set(sender.send_many(2)) == {200}
    sender.assert_all_arrived()


def test_a_full_disk_answers_503_and_is_written_again_when_there_is_room(bus, small_disk):
    options = spool_options(bus, REELBUS_SPOOL=small_disk / "spool")
    producer = bus.start_producer(**options, **NOWHERE)
    sender = Sender(bus)
    assert set(sender.send_many(3)) == {200}
    (small_disk / "ballast").write_bytes(b"x" * (small_disk_room(small_disk)))
    sender.send_until_refused()
    assert producer.metric("reelbus_spool_refused_total") > 0 and "No space left on device" in producer.log
    (small_disk / "ballast").unlink()
    assert set(sender.send_many(3)) == {200}
    assert "ev=spool_works" in producer.log
    producer.stop()
    producer = bus.start_producer(**options)
    wait_until_drained(producer)
    sender.assert_all_arrived()
    producer.stop()


def small_disk_room(path):
    done = subprocess.run(["df", "--output=avail", "-B1", path], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def test_a_torn_end_is_cut_off(bus):
    """What a kill in the middle of a write leaves: a part of a record, or bytes that never were one."""
    sender = spool_and_kill(bus, 4)
    for tear in (
        lambda content: content[:-1],  # the last record; we take it for one that nobody was answered 200 for
        lambda content: content[:-100],
        lambda content: content + b"\0" * 3000,
        lambda content: content + content[24:31],
        lambda content: content + b"RBr1" + b"\xff" * 300,
    ):
        last = segments(bus)[-1]
        content = last.read_bytes()
        last.write_bytes(tear(content))
        if len(tear(content)) < len(content):
            sender.refused.append(sender.sent[sender.videos[-1]].pop())
        producer = bus.start_producer(**spool_options(bus), **NOWHERE)
        assert "ev=spool_cut" in producer.log
        assert producer.metric("reelbus_spool_records") == len(sender.accepted())
        assert set(sender.send_many()) == {200}
        producer.kill()
    producer = bus.start_producer(**spool_options(bus))
    assert "ev=spool_cut" not in producer.log
    wait_until_drained(producer)
    sender.assert_all_arrived()
    assert producer.metric("reelbus_spool_damaged_total") == 0


def test_a_changed_byte_costs_one_record_and_is_told(bus):
    sender = spool_and_kill(bus, 4)
    (segment,) = segments(bus)
    content = bytearray(segment.read_bytes())
    content[content.index(b"wh_8")] ^= 1
    segment.write_bytes(content)
    producer = bus.start_producer(**spool_options(bus))
    wait_until_drained(producer)
    for names in sender.sent.values():
        if "wh_8" in names:
            names.remove("wh_8")
    sender.assert_all_arrived()
    assert producer.metric("reelbus_spool_damaged_total") == 1 and "ev=spool_damaged" in producer.log


def refuse_large_records(bus, topic):
    admin = AdminClient({"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"]})
    limit = ConfigEntry("max.message.bytes", "3000", incremental_operation=AlterConfigOpType.SET)
    for done in admin.incremental_alter_configs([ConfigResource("topic", topic, incremental_configs=[limit])]).values():
        done.result()

    def is_known():
        ((_, told),) = admin.describe_configs([ConfigResource("topic", topic)]).items()
        return told.result()["max.message.bytes"].value == "3000"

    wait_for(is_known, "the broker knows it")


@pytest.mark.parametrize("by", ["client", "broker"])
def test_a_record_that_kafka_refuses_for_good_keeps_no_other_waiting(bus, by):
    """A broker refuses the whole batch that such a record is in, so one refusal says nothing of one record."""
    bus.start_producer(**spool_options(bus), **NOWHERE)
    sender, outsized = Sender(bus), Sender(bus, 2)
    assert set(sender.send_many(5)) == {200}
    for video in outsized.videos:
        url = "https://example.com/" + "".join(random.choices(string.ascii_letters, k=5000))
        assert bus.webhook({"videoId": video, "status": "completed", "videoUrl": url}).status_code == 200
        assert set(sender.send_many(5)) == {200}
    bus.producer.stop()
    options = spool_options(bus)
    if by == "client":
        options["REELBUS_KAFKA"] = bus.common["REELBUS_KAFKA"] + "\nmessage.max.bytes=3000"
    else:
        refuse_large_records(bus, bus.prefix + TOPIC)
    producer = bus.start_producer(**options)
    wait_until_drained(producer)
    assert set(sender.send_many()) == {200}
    sender.assert_all_arrived()
    assert producer.metric("reelbus_spool_set_aside_total") == 2 and producer.log.count("ev=spool_aside") == 2
    assert all(f'key="{video}"' in producer.log for video in outsized.videos)
    wait_for(lambda: not segments(bus), "its files are gone")
    refused = (bus.folder / "spool" / "refused").read_bytes()
    assert refused.count(b"RBr1") == 2 and all(video.encode() in refused for video in outsized.videos)


def test_two_processes_do_not_share_a_spool(bus):
    first = bus.start_producer(**spool_options(bus))
    done = bus.run("reelbus-producer", env={"REELBUS_SPOOL": str(bus.folder / "spool"), "VIDEO_WEBHOOK_SECRET": SECRET,
                                            "REELBUS_LISTEN": "127.0.0.1:0"})  # fmt: skip
    assert done.returncode == 2 and f"pid {first.process.pid}" in done.stderr and "spool" in done.stderr
    first.kill()
    bus.start_producer(**spool_options(bus))  # a killed one holds nothing


@pytest.mark.parametrize("folder", ["/proc/none", "/dev/null", "/nothing/here"])
def test_a_folder_that_cannot_be_used_stops_the_start(bus, folder):
    done = bus.run("reelbus-producer", env={"REELBUS_SPOOL": folder, "VIDEO_WEBHOOK_SECRET": SECRET})
    assert done.returncode == 2 and "spool" in done.stderr and folder in done.stderr


def test_a_spool_of_a_later_version_is_left_alone(bus):
    spool_and_kill(bus, 1)
    (segment,) = segments(bus)
    content = bytearray(segment.read_bytes())
    content[8] = 2
    segment.write_bytes(content)
    done = bus.run("reelbus-producer", env={"REELBUS_SPOOL": str(bus.folder / "spool"), "VIDEO_WEBHOOK_SECRET": SECRET})
    assert done.returncode == 2 and "version 2" in done.stderr
    assert segment.read_bytes() == content


@pytest.mark.parametrize("spool", [True, False])
def test_kafka_stops_and_starts_under_load_and_every_200_is_in_the_topic(bus, stopped_kafka, spool):
    """Without a spool some are answered 503, with one none; a busy producer leaves its spool while the load goes on."""
    stop, start = stopped_kafka
    producer = bus.start_producer(**(spool_options(bus) if spool else {"REELBUS_PUBLISH_TIMEOUT_MS": "2s"}))
    sender = Sender(bus, 8)
    over = threading.Event()

    def load(video):
        while not over.wait(0.1):  # a Kafka that starts may take a minute: as fast as they can, they would send ten thousands meanwhile
            sender.send(video)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        loads = [pool.submit(load, video) for video in sender.videos]
        try:
            for _ in range(2 if spool else 1):
                before = len(sender.accepted())
                wait_for(lambda: len(sender.accepted()) >= before + 50, "some are accepted")
                stop()
                wait_for(lambda: kafka_is_away(producer), "the producer has noticed")
                if spool:
                    spooled = producer.metric("reelbus_spool_written_total")
                    wait_for(lambda: producer.metric("reelbus_spool_written_total") >= spooled + 50, "some are spooled")
                else:
                    refused = len(sender.refused)
                    wait_for(lambda: len(sender.refused) >= refused + 20, "some are refused")
                start()
                wait_for(lambda: not kafka_is_away(producer), "Kafka is back")
                if spool:
                    wait_until_drained(producer)
        finally:
            over.set()
        for each in loads:
            each.result()
    if spool:
        wait_until_drained(producer)
        assert sender.refused == []
    sender.assert_all_arrived(maybe=sender.refused)
