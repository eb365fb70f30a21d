"""The auditor can fail: each violation is done on purpose, to real data, and must be named with its video, and no other."""

import base64
import os
import sys
import time
import uuid

import confluent_kafka
import harness
import pytest

sys.path.append(str(harness.ROOT / "tests/chaos"))
import audit
import audit_store
import s3
from ledger import Ledger

pytestmark = pytest.mark.release_only


class Audited:
    """A bus, the ledger of what was sent to it, and its auditor."""

    def __init__(self, bus, store):
        self.bus, self.expected = bus, set()
        self.ledger = Ledger(bus.folder / "ledger")
        brokers = bus.common["REELBUS_KAFKA_BROKERS"]
        self.auditor = audit.Auditor(brokers, bus.prefix, f"{bus.number}-group", bus.database_url, store, bus.folder / "ledger", grace_s=3600)
        self.group = {"bootstrap.servers": brokers, "group.id": f"{bus.number}-group", "enable.auto.commit": False}

    def send(self, source, path):
        video_id = self.bus.insert_video()
        self.ledger.video(video_id, source.url(path))
        number = self.ledger.send(video_id)
        body = {"videoId": video_id, "videoUrl": source.url(path), "status": "completed"}
        self.ledger.answer(video_id, number, self.bus.webhook(body).status_code)
        return video_id

    def found(self, final=True):
        return {(violation.kind, violation.video) for violation in self.auditor.round(final)}

    def outcome(self, video_id):
        return next(record for record in self.bus.records("video.stored") if record.key().decode() == video_id)

    def input(self, video_id):
        return next(record for record in self.bus.records("video.webhook.received") if record.key().decode() == video_id)

    def copy(self, of, **fields):
        """The outcome once more, as if a consumer had sent another one."""
        record = self.outcome(of)
        event = {**self.bus.decode("video.stored", record), **fields}
        self.bus.produce("video.stored", harness.encode("video_stored", **event), event["video_id"])

    def commit(self, record, offset, metadata=""):
        consumer = confluent_kafka.Consumer(self.group)
        place = confluent_kafka.TopicPartition(record.topic(), record.partition(), offset, metadata)
        consumer.commit(offsets=[place], asynchronous=False)
        consumer.close()

    def new_input(self):
        """A webhook that was answered, and that nobody takes up."""
        video_id = self.bus.insert_video()
        self.ledger.answer(video_id, self.ledger.send(video_id), 200)
        self.bus.send_webhook_event(video_id, "http://127.0.0.1:1/new")
        return video_id


# Each does one thing to one video that is stored, and gives the violations that it must be named by. Some undo it after the look.


def nobody_published_what_was_answered(on, video_id):
    lost = on.bus.insert_video()
    on.ledger.answer(lost, on.ledger.send(lost), 200)
    yield {("lost", lost)}


def an_attempt_was_never_announced(on, video_id):
    on.bus.query("UPDATE reelbus.video SET attempt = 2 WHERE video_id = %s", video_id)
    yield {("lost", video_id)}


def the_same_event_comes_twice(on, video_id):
    on.bus.send_again(on.outcome(video_id))
    yield {("duplicate", video_id)}


def another_event_comes(on, video_id):
    on.copy(video_id, event_id=str(uuid.uuid4()))
    yield {("duplicate", video_id)}


def a_later_attempt_follows_a_success(on, video_id):
    on.bus.query("UPDATE reelbus.video SET attempt = 2 WHERE video_id = %s", video_id)
    on.copy(video_id, event_id=str(uuid.uuid4()), attempt=2)
    yield {("duplicate", video_id)}


def an_unknown_answer_counts_twice(on, video_id):
    unknown = on.bus.insert_video()
    on.ledger.answer(unknown, on.ledger.send(unknown), 0)
    on.copy(video_id, video_id=unknown)
    yield {("unrecorded", unknown)}  # one is allowed, were there a row
    on.copy(video_id, video_id=unknown)
    yield {("unrecorded", unknown), ("duplicate", unknown)}


def the_object_is_gone(on, video_id):
    on.bus.object_path(video_id).unlink()
    yield {("dangling", video_id)}


def an_object_has_no_row(on, video_id):
    orphan = on.bus.object_path(str(uuid.uuid4()))
    orphan.write_bytes(b"whose?")
    yield set()  # it is young
    os.utime(orphan, (time.time() - 7200,) * 2)
    yield {("orphan", orphan.stem)}


def a_bit_of_the_object_is_turned(on, video_id):
    path = on.bus.object_path(video_id)
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    yield {("wrong_bytes", video_id)}


def the_object_ends_early(on, video_id):
    path = on.bus.object_path(video_id)
    path.write_bytes(path.read_bytes()[:-1])
    yield {("wrong_bytes", video_id)}


def the_source_had_other_bytes(on, video_id):
    on.ledger.video(video_id, sha256="0" * 64)
    yield {("wrong_bytes", video_id)}


def the_original_url_is_lost(on, video_id):
    on.bus.query("UPDATE reelbus.video SET source_url = NULL WHERE video_id = %s", video_id)
    yield {("no_original", video_id)}


def the_application_points_elsewhere(on, video_id):
    on.bus.query("UPDATE video_history SET video_url = 'http://elsewhere' WHERE id = %s", video_id)
    yield {("no_original", video_id)}


def an_offset_is_committed_without_its_outcome(on, video_id):
    torn = on.new_input()
    record = on.input(torn)
    yield {("lag", torn), ("lost", torn)}
    on.commit(record, record.offset() + 1)
    yield {("torn", torn), ("lost", torn)}


def an_outcome_is_visible_without_its_offset(on, video_id):
    record = on.input(video_id)
    end = max(other.offset() for other in on.bus.records("video.webhook.received") if other.partition() == record.partition()) + 1
    on.commit(record, record.offset())
    behind = {other.key().decode() for other in on.bus.records("video.webhook.received")
              if other.partition() == record.partition() and other.offset() >= record.offset()}  # fmt: skip
    outcomes = {event["video_id"] for topic in ("video.stored", "video.store_failed") for event in on.bus.events(topic)}
    yield {("lag", behind_id) for behind_id in behind} | {("torn", behind_id) for behind_id in behind & outcomes}
    run = bytes([0, end - record.offset()])  # nothing unfinished, and so many finished
    on.commit(record, record.offset(), "reelbus1r:" + base64.b64encode(bytes(4) + run).decode())
    yield set()
    on.commit(record, end)
    yield set()


def a_record_is_still_to_be_read(on, video_id):
    late = on.bus.insert_video()
    on.ledger.send(late)
    on.bus.send_webhook_event(late, "http://127.0.0.1:1/late")
    record = on.input(late)
    yield {("lag", late), ("lost", late)}
    on.commit(record, record.offset() + 1)
    yield {("lost", late), ("torn", late)}


def a_transaction_stays_open(on, video_id):
    record = on.outcome(video_id)
    producer = confluent_kafka.Producer({"bootstrap.servers": on.group["bootstrap.servers"], "transactional.id": f"{on.bus.number}-open"})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(record.topic(), record.value(), record.key())
    producer.flush(60)
    with pytest.raises(audit.Away):
        on.auditor.round(True, wait_s=1)
    assert [place[0] for place in on.auditor.topics.open_transactions()] == [record.topic()]
    producer.abort_transaction(60)
    yield set()  # and what was aborted is no second outcome


def a_good_video_is_given_up(on, video_id):
    on.ledger.video(on.gone, sha256="0" * 64)
    yield {("given_up", on.gone)}


def nobody_has_asked(on, video_id):
    unasked = on.bus.insert_video()
    on.ledger.answer(unasked, on.ledger.send(unasked), 403)
    on.copy(video_id, video_id=unasked)
    yield {("unasked", unasked), ("unrecorded", unasked)}


def the_row_tells_another_story(on, video_id):
    on.bus.query("UPDATE reelbus.video SET state = 'failed' WHERE video_id = %s", video_id)
    yield {("unrecorded", video_id), ("no_original", video_id)}


MUTATIONS = (
    nobody_published_what_was_answered, an_attempt_was_never_announced, the_same_event_comes_twice, another_event_comes,
    a_later_attempt_follows_a_success, an_unknown_answer_counts_twice, the_object_is_gone, an_object_has_no_row,
    a_bit_of_the_object_is_turned, the_object_ends_early, the_source_had_other_bytes, the_original_url_is_lost,
    the_application_points_elsewhere, an_offset_is_committed_without_its_outcome, an_outcome_is_visible_without_its_offset,
    a_record_is_still_to_be_read, a_transaction_stays_open, a_good_video_is_given_up, nobody_has_asked,
    the_row_tells_another_story,
)  # fmt: skip


def test_the_auditor_names_each_violation(bus, source):
    bus.start_producer()
    bus.start_consumer(REELBUS_GROUP_INSTANCE_ID="")  # it leaves the group when it ends: others may commit then
    on = Audited(bus, audit_store.FileStore(bus.store))
    source.answers["gone"] = [410]
    videos, on.gone = [on.send(source, f"v{number}") for number in range(len(MUTATIONS))], on.send(source, "gone")
    bus.wait_until_finished()
    bus.consumer.stop()
    assert on.found() == set() and on.found(final=False) == set()
    assert on.auditor.figures()["stored"] == len(videos)
    known = set()
    for mutation, video_id in zip(MUTATIONS, videos, strict=True):
        for expected in mutation(on, video_id):
            assert on.found() - known == expected, mutation.__name__
        known |= expected
    assert {kind for kind, _ in known} | {"open_transaction", "lag"} == set(audit.KINDS)
    on.auditor.close()


def test_the_auditor_reads_an_s3_store(bus, source, s3_server):
    bucket = f"{bus.number}-audit"
    s3_server.client.create_bucket(Bucket=bucket)
    bus.start_producer()
    bus.start_consumer(**s3.options(s3_server.port, bucket))
    on = Audited(bus, audit_store.S3Store(s3_server.client, bucket))
    gone, turned, fine = (on.send(source, name) for name in ("gone", "turned", "fine"))
    bus.wait_until_finished()
    bus.consumer.stop()
    assert on.found() == set()
    keys = {video_id: bus.video_row(video_id)["object_key"] for video_id in (gone, turned, fine)}
    s3_server.client.delete_object(Bucket=bucket, Key=keys[gone])
    s3_server.client.put_object(Bucket=bucket, Key=keys[turned], Body=b"other")
    assert on.found() == {("dangling", gone), ("wrong_bytes", turned)}
    on.auditor.close()
