"""Thumbnails and spritesheets of providers that have them: stored next to the video, or left out."""

import contextlib
import hashlib
import json
import re
import sys
import time

import pytest
import requests
import s3
import senders
import stack as local
from harness import ROOT, wait_for

sys.path.insert(0, str(ROOT / "tests/fakes"))
import supabase

SECRET = senders.new_secret()
PARTS = ("url", "object_key", "bytes", "sha256", "content_type")
ENDINGS = {"thumbnail": ("webp", "image/webp"), "spritesheet": ("jpg", "image/jpeg")}


def start(bus, **options):
    base_url = f"http://127.0.0.1:{bus.stack.ports['provider']}/v1"
    path = senders.write_providers(
        bus,
        {"name": "sample", "api": {"kind": "openai", "base_url": base_url, "key": local.PROVIDER_KEY},
         "webhook": {"scheme": "standard", "body": "openai", "secret": SECRET}},
    )  # fmt: skip
    if not hasattr(bus, "producer"):
        bus.start_producer(REELBUS_PROVIDERS=path, REELBUS_POLL="off")
    defaults = {"REELBUS_PROVIDERS": path, "REELBUS_VARIANTS": "thumbnail,spritesheet", "REELBUS_VARIANTS_TIMEOUT_MS": "2m"}
    bus.start_consumer(**{**defaults, **options})


def store(bus, **variants):
    """A video of the provider, all the way. Gives its id and the provider's."""
    answer = bus.provider("POST", "/v1/videos", json={"prompt": "a test", "behaviour": {"generate_s": 0, "variants": variants}})
    theirs, video_id = answer.json()["id"], bus.insert_video()
    bus.query("SELECT reelbus.expect_video(%s, 'sample', %s)", video_id, theirs)
    body = json.dumps({"id": "evt_1", "type": "video.completed", "created_at": int(time.time()), "data": {"id": theirs}})
    assert senders.post(bus.producer, "/webhooks/sample", body, senders.standard(SECRET, body)).status_code == 200
    return video_id, theirs


def asked_for(bus, theirs):
    return [request["variant"] for request in bus.provider("GET", f"/v1/videos/{theirs}/requests").json()["data"]]


def source_of(bus, theirs, variant):
    answer = bus.provider("GET", f"/v1/videos/{theirs}/content?variant={variant}")
    assert answer.status_code == 200
    return answer.content


def assert_has(bus, event, row, variant, content):
    """Event, row and object agree, and the bytes are the source's."""
    ending, content_type = ENDINGS[variant]
    key = f"{bus.user}/{event['video_id']}.{variant}.{ending}"
    told = {part: event[f"{variant}_{part}"] for part in PARTS}
    assert told == {"url": event["video_url"].replace(event["object_key"], key), "object_key": key, "bytes": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(), "content_type": content_type}  # fmt: skip
    assert row["variants"][variant] == told
    assert (bus.store / event["bucket"] / key).read_bytes() == content


def assert_lacks(bus, event, row, variant):
    assert [event[f"{variant}_{part}"] for part in PARTS] == [None] * len(PARTS)
    assert variant not in (row["variants"] or {})
    assert not [path for path in bus.objects() if f"{event['video_id']}.{variant}" in path]


def test_they_are_stored_next_to_the_video(bus):
    start(bus)
    video_id, theirs = store(bus, thumbnail={"status": 503, "status_times": 1}, spritesheet={"type": "application/octet-stream"})
    event, row = bus.assert_stored(video_id, theirs)
    assert asked_for(bus, theirs)[:4] == ["video", "thumbnail", "thumbnail", "spritesheet"]
    sources = {variant: source_of(bus, theirs, variant) for variant in ENDINGS}
    for variant, content in sources.items():
        assert_has(bus, event, row, variant, content)
        served = requests.get(event[f"{variant}_url"])
        assert served.content == content and served.headers["Content-Type"] == ENDINGS[variant][1]
    assert row["variants_bytes"] == sum(map(len, sources.values()))
    used = bus.query("SELECT bytes, videos FROM reelbus.usage WHERE user_id = %s", bus.user)
    assert used == [{"bytes": row["bytes"] + row["variants_bytes"], "videos": 1}]
    assert len(bus.objects()) == 3
    wait_for(lambda: bus.consumer.metric("reelbus_variants_total", outcome="stored") == 2, "they are counted")

    plain, provider_video = bus.store_video()  # nobody says whose it is
    event, row = bus.assert_stored(plain, provider_video)
    assert row["variants"] is None and set(asked_for(bus, provider_video)) == {"video"}
    assert_lacks(bus, event, row, "thumbnail")


def test_what_cannot_be_had_is_left_out_and_the_video_is_stored(bus):
    start(bus, REELBUS_VARIANT_MAX_BYTES="64KiB")
    cases = {
        "source_gone": {"status": 404},
        "source_denied": {"status": 403},
        "source_page": {"page": True},
        "source_busy": {"status": 500},
        "source_cut": {"cut_at": 0.5},
        "not_an_image": {"type": "image/png"},
        "too_large": {"length_offset": 100_000},
        "url_refused": {"redirect_to": "http://0.0.0.0/"},
    }
    videos = {code: store(bus, thumbnail=behaviour) for code, behaviour in cases.items()}
    for code, (video_id, theirs) in videos.items():
        event, row = bus.assert_stored(video_id, theirs)
        assert_lacks(bus, event, row, "thumbnail")
        assert_has(bus, event, row, "spritesheet", source_of(bus, theirs, "spritesheet"))
        lines = re.findall(rf".*ev=variant_missed.*video={video_id}.*", bus.consumer.log)
        assert len(lines) == 1 and "variant=thumbnail" in lines[0] and f"code={code}" in lines[0], lines
        assert asked_for(bus, theirs).count("thumbnail") == (3 if code in ("source_busy", "source_cut") else 1), code


def test_they_do_not_hold_the_video_up_for_ever(bus):
    start(bus, REELBUS_VARIANTS_TIMEOUT_MS="1s")
    video_id, theirs = store(bus, thumbnail={"stall_at": 0.5}, spritesheet={"stall_at": 0.5})
    event, row = bus.assert_stored(video_id, theirs)
    assert row["variants"] is None and row["variants_bytes"] == 0
    for variant in ENDINGS:
        assert_lacks(bus, event, row, variant)
    assert bus.consumer.log.count("ev=variant_missed") == 2


@pytest.mark.release_only
def test_a_death_while_they_come_changes_nothing(bus):
    start(bus)
    video_id, theirs = store(bus, spritesheet={"stalls": [0.5]})
    wait_for(lambda: "spritesheet" in asked_for(bus, theirs), "the spritesheet is on its way")
    bus.consumer.kill()
    assert bus.events("video.stored") == []
    start(bus)
    event, row = bus.assert_stored(video_id, theirs)
    for variant in ENDINGS:
        assert_has(bus, event, row, variant, source_of(bus, theirs, variant))
    bus.wait_until_finished()
    assert len(bus.objects()) == 3 and len(bus.events("video.stored")) == 1


@pytest.mark.release_only
def test_in_s3_they_are_objects_like_any_other(bus, stack):
    server = s3.Server(stack)
    try:
        server.client.create_bucket(Bucket="variants")
        start(bus, **s3.options(server.port, "variants"))
        video_id, theirs = store(bus)
        event = bus.wait_for_event("video.stored", video_id)
        for variant, (_, content_type) in ENDINGS.items():
            found = server.client.get_object(Bucket="variants", Key=event[f"{variant}_object_key"])
            content = source_of(bus, theirs, variant)
            assert found["Body"].read() == content and found["ContentType"] == event[f"{variant}_content_type"] == content_type
            assert found["Metadata"]["sha256"] == event[f"{variant}_sha256"] == hashlib.sha256(content).hexdigest()
        bus.wait_until_finished()
    finally:
        bus.consumer.stop()
        server.stop()


@pytest.mark.release_only
def test_in_supabase_the_bucket_has_to_take_images(bus):
    with contextlib.closing(supabase.Supabase()) as server:
        options = {"REELBUS_STORE": "supabase", "SUPABASE_URL": server.url, "SUPABASE_SERVICE_ROLE_KEY": supabase.SECRET_KEY}
        bus.setup(**options, REELBUS_VARIANTS="thumbnail,spritesheet")
        start(bus, **options)
        video_id, theirs = store(bus)
        event = bus.wait_for_event("video.stored", video_id)
        for variant, (_, content_type) in ENDINGS.items():
            found = server.objects["videos", event[f"{variant}_object_key"]]
            assert found.content.bytes() == source_of(bus, theirs, variant) and found.content_type == content_type

        server.buckets["videos"]["allowed_mime_types"] = ["video/mp4"]
        video_id, _ = store(bus)
        event = bus.wait_for_event("video.stored", video_id)
        assert event["thumbnail_url"] is event["spritesheet_url"] is None
        assert bus.consumer.log.count("ev=variant_missed") == 2 and "is not supported" in bus.consumer.log
        bus.wait_until_finished()
        bus.consumer.stop()


def test_they_go_with_the_video(bus):
    start(bus, REELBUS_QUOTA_CHECK_MS="100ms")
    video_id, theirs = store(bus)
    bus.assert_stored(video_id, theirs)
    assert len(bus.objects()) == 3
    bus.query("UPDATE reelbus.video SET state = 'deleted', delete_reason = 'quota', deleted_at = now(),"
              " deleting_since = now() - interval '1 hour' WHERE video_id = %s", video_id)  # fmt: skip
    wait_for(lambda: bus.objects() == [], "nothing of it is left")
    assert bus.wait_for_event("video.deleted", video_id)["object_key"] == f"{bus.user}/{video_id}.mp4"
