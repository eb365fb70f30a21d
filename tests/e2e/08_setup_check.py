"""setup --check: what is missing is said, and nothing is changed. And what setup makes topics like."""

import json

import pytest
import s3
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic
from confluent_kafka.schema_registry import Schema
from harness import ROOT, TOPICS, wait_for


def check(bus, status, *arguments, **environment):
    done = bus.run("reelbus-consumer", "setup", "--check", *arguments, env=environment)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def words(done):
    """What it has said, without its columns."""
    return " ".join(done.stdout.split())


@pytest.fixture
def admin(bus):
    return AdminClient({"bootstrap.servers": bus.common["REELBUS_KAFKA_BROKERS"]})


def configs(admin, name):
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    return {key: entry.value for key, entry in admin.describe_configs([resource])[resource].result(60).items()}


def test_topics_are_made_with_what_serves_each_of_them(bus, admin):
    def made(name):
        found = configs(admin, bus.prefix + name)
        return found["cleanup.policy"], int(found["retention.ms"])

    day = 86_400_000
    for name in ("video.webhook.received", "video.poll.result", "video.store_failed", "video.store.dlq", "video.store.retry"):
        assert made(name) == ("delete", 30 * day)
    assert made("video.stored") == made("video.deleted") == ("compact", -1)
    other = {"REELBUS_TOPIC_PREFIX": f"{bus.prefix}again.", "REELBUS_TOPIC_RETENTION_MS": "2d"}
    bus.setup(**other)
    bus.prefix = other["REELBUS_TOPIC_PREFIX"]
    assert made("video.webhook.received") == ("delete", 2 * day) and made("video.store.retry") == ("delete", 8 * day)


def test_with_nothing_missing_it_ends_with_0(bus):
    done = check(bus, 0)
    assert done.stdout.count("topic ") == 7 and "schema reelbus is there" in words(done) and "missing" not in done.stdout
    assert f"{bus.prefix}video.stored is there: 3 partitions, 1 replicas, compact, keeps for ever" in words(done)
    lines = [json.loads(line) for line in check(bus, 0, "--json").stdout.splitlines()]
    assert {line["step"] for line in lines} == {"database", "topic", "schemas", "store"}


def test_topics_that_are_missing_or_would_lose_records_are_named(bus, admin):
    prefix = f"{bus.prefix}checked."
    environment = {"REELBUS_TOPIC_PREFIX": prefix}
    done = check(bus, 4, **environment)
    assert done.stdout.count("is missing: run setup") == 7
    assert prefix + "video.stored" not in admin.list_topics(timeout=60).topics  # nothing was made
    topics = [NewTopic(prefix + name, 3) for name in TOPICS if name not in ("video.poll.result", "video.store.retry")]
    topics.append(NewTopic(prefix + "video.poll.result", 5, config={"cleanup.policy": "compact,delete"}))
    topics.append(NewTopic(prefix + "video.store.retry", 3, config={"retention.ms": str(86_400_000)}))
    for result in admin.create_topics(topics).values():
        result.result(60)
    found = wait_for(lambda: (out := words(check(bus, 4, **environment))).count("is missing") == 1 and out, "Kafka tells of all")
    assert f"video.poll.result has 5 partitions, but {prefix}video.webhook.received has 3" in found
    assert "keeps records for 1 d 0 h, but they may wait there for 7 d 0 h" in found
    assert f"{prefix}video.store.dlq is missing" in found
    for result in admin.create_partitions([NewPartitions(prefix + "video.webhook.received", 5),
                                           NewPartitions(prefix + "video.store.retry", 5)]).values():  # fmt: skip
        result.result(60)
    wait_for(lambda: "is compacted: it would lose records" in check(bus, 4, **environment).stdout, "the next fault is said")


def test_what_the_database_lacks_is_named(bus):
    bus.query("DROP FUNCTION reelbus.next_to_delete")
    bus.query("DROP TRIGGER video_begin_to_wait ON reelbus.video")
    bus.query("DROP TRIGGER video_keep_failure ON reelbus.video")
    bus.query("DROP TABLE reelbus.replay")
    found = check(bus, 4).stdout
    assert all(name in found for name in ("003_poll.sql", "008_cleanup.sql", "009_superseded.sql", "010_replay.sql"))
    assert found.count("is missing: run setup") == 4
    bus.setup()
    check(bus, 0)
    bus.query("UPDATE reelbus.setup SET version = 'older' WHERE file IN ('006_usage.sql', '008_cleanup.sql')")
    found = words(check(bus, 4))
    assert found.count("is there in another version: run setup") == 2 and "006_usage.sql is there in another" in found
    bus.setup()
    check(bus, 0)
    bus.query("DELETE FROM reelbus.setup")
    check(bus, 0)  # what was run by hand is not noted
    bus.query("DROP TABLE reelbus.setup")
    assert "001_reelbus.sql is missing: run setup" in words(check(bus, 4))
    bus.setup()
    assert len(bus.query("SELECT file FROM reelbus.setup")) == len(list((ROOT / "deploy/sql").glob("*.sql")))
    found = check(bus, 4, REELBUS_COLUMN_VIDEO_URL="file's \"url\"").stdout
    assert "\"video_history\".file's \"url\"" in found and "column_... name them" in found
    assert '"other"."videos"' in check(bus, 4, REELBUS_TABLE="other.videos").stdout
    bus.stack.psql(f"CREATE ROLE reader_{bus.number} LOGIN", "postgres")
    bus.query(f"GRANT USAGE ON SCHEMA reelbus TO reader_{bus.number}")
    bus.query(f"GRANT SELECT ON video_history TO reader_{bus.number}")
    found = check(bus, 4, DATABASE_URL=bus.database_url.replace("app@", f"reader_{bus.number}@")).stdout
    assert "may not be read and written by us" in found and found.count("may not be written by us") == 2
    away = check(bus, 5, DATABASE_URL="postgresql://app@127.0.0.1:1/x")
    assert "setup: database: cannot connect" in away.stderr and away.stdout.count("topic ") == 7


def test_schemas_that_are_missing_or_do_not_fit_are_named(bus, registry):
    _, client, _ = registry
    assert check(bus, 4).stdout.count("is missing in the registry") == 6
    assert client.get_subjects() == []
    schema = json.loads((ROOT / "schemas/video_deleted.avsc").read_text())
    schema["fields"] = [{**field, "type": "string"} if field["name"] == "bytes" else field for field in schema["fields"]]
    subject = f"{bus.prefix}video.deleted-value"
    client.register_schema(subject, Schema(json.dumps(schema), "AVRO"))
    assert "schema video.deleted does not fit" in words(check(bus, 4))
    done = bus.run_setup()
    assert done.returncode == 1 and "the schema of 'video.deleted' does not fit" in done.stderr
    assert client.get_subjects() == [subject]  # one that does not fit keeps all from being registered
    bus.common["REELBUS_TOPIC_PREFIX"] = f"{bus.prefix}fits."
    bus.setup()
    assert check(bus, 0).stdout.count("is in the registry") == 6


def test_a_bucket_that_is_missing_is_named_and_not_made(bus, s3_server):
    bucket = f"checked-{bus.number}-{id(bus):x}"
    options = s3.options(s3_server.port, bucket, REELBUS_S3_MAKE_BUCKET="true")
    assert f"there is no bucket '{bucket}'" in check(bus, 4, **options).stdout
    bus.setup(**options)
    assert "can be written" in check(bus, 0, **options).stdout
    away = check(bus, 5, **s3.options(1, bucket))
    assert f"setup: store '{bucket}'" in away.stderr


def test_rights_are_printed_as_commands(bus):
    done = bus.run("reelbus-consumer", "setup", "--acls", "--group", "g", env={"REELBUS_KAFKA_BROKERS": "k:1"})
    lines = done.stdout.splitlines()
    begin = "kafka-acls.sh --bootstrap-server k:1 --add --allow-principal User:reelbus-"
    assert done.returncode == 0 and all(line.startswith(begin) for line in lines)
    topic = f"--topic {bus.prefix}video."
    assert f"{begin}producer --operation Write --operation Describe {topic}webhook.received" in lines
    assert f"{begin}consumer --operation Read --operation Describe {topic}store.retry" in lines
    assert f"{begin}consumer --operation Write --operation Describe --transactional-id {bus.prefix}g. --resource-pattern-type prefixed" in lines
    assert f"{begin}operator --operation Read --operation Describe --group g --resource-pattern-type prefixed" in lines
    assert not any("producer" in line and "--topic" in line and "stored" in line for line in lines)
