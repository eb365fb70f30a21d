"""usage: what is stored, as others have counted it."""

import datetime
import json
import uuid

MB = 1_000_000


def usage(bus, *arguments, status=0):
    done = bus.run("reelbus-consumer", "usage", *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def report(bus, *arguments, **more):
    return json.loads(usage(bus, "--json", *arguments, **more))


def stored(bus, user, size, days_ago=0, bucket="videos", state="stored"):
    bus.query("INSERT INTO reelbus.video (video_id, user_id, state, store, bucket, object_key, bytes, stored_at)"
              " VALUES (%s, %s, %s, 'file', %s, 'k', %s, now() - %s * interval '1 day')",
              str(uuid.uuid4()), user, state, bucket, size, days_ago)  # fmt: skip


def today(back=0):
    return (datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=back)).isoformat()


def test_nothing_is_shown_as_nothing(bus):
    assert usage(bus) == "nothing is stored\n"
    assert report(bus) == {"user_id": None, "stores": [], "users": []}


def test_stores_days_and_users_are_summed_as_the_rows_are(bus):
    for user, sizes in (("ann", (5 * MB, 3 * MB)), ("bob", (MB,)), ("eve\x1b[31m", (2 * MB,))):
        for size in sizes:
            stored(bus, user, size)
    stored(bus, "ann", 7 * MB, bucket="overflow")
    stored(bus, "ann", 9 * MB, state="failed")
    bus.query("INSERT INTO reelbus.usage_day VALUES ('file', 'videos', %s, 0, %s, 4)", today(4), 29 * MB)  # as if they had gone since
    bus.query("INSERT INTO reelbus.video (video_id, user_id, state, held_bytes, held_store, held_bucket, held_at)"
              " VALUES (%s, 'ann', 'processing', %s, 'file', 'videos', now())", str(uuid.uuid4()), 6 * MB)  # fmt: skip
    told = report(bus, "--days", "5", "--top", "2")
    videos, overflow = told["stores"]
    assert (videos["store"], videos["bucket"], videos["bytes"], videos["videos"], videos["users"]) == ("file", "videos", 11 * MB, 4, 3)
    assert (overflow["bucket"], overflow["bytes"], overflow["videos"], overflow["users"]) == ("overflow", 7 * MB, 1, 1)
    assert (videos["held_bytes"], overflow["held_bytes"]) == (6 * MB, 0)
    assert [day["bytes"] for day in videos["days"]] == [29 * MB, 0, 0, 0, 11 * MB]
    assert [day["day"] for day in videos["days"]] == [today(back) for back in (4, 3, 2, 1, 0)]
    assert [(user["user_id"], user["bytes"]) for user in told["users"]] == [("ann", 8 * MB), ("ann", 7 * MB)]
    assert 40 * MB / 5 <= videos["daily_bytes"] <= 40 * MB / 4  # in four days and what there is of today
    lines = usage(bus)
    assert "videos   4 of 3 users" in lines and "coming   5.7 MiB" in lines and "\x1b" not in lines and "eve\\x1b[31m" in lines
    bars = [line.rsplit("B", 1)[1].strip() for line in lines.splitlines() if line.strip().startswith((today(4), today(0)))]
    assert bars[0] == "#" * 40 and bars[1] == "#" * 15  # 11 of 29


def test_the_quota_of_the_options_is_shown_with_a_forecast(bus):
    stored(bus, "ann", 60 * MB)
    bus.query("INSERT INTO reelbus.usage_day VALUES ('file', 'videos', %s, 0, %s, 4)", today(5), 0)
    quota = report(bus, "--quota-bytes", "100MB")["stores"][0]["quota"]
    assert (quota["quota_bytes"], quota["warn_bytes"], quota["stop_bytes"], quota["level"]) == (100 * MB, 80 * MB, 95 * MB, "well")
    assert quota["days_left"] in (2, 3)  # 35 MB, at 60 in five to six days
    lines = usage(bus, "--quota-bytes", "100MB")
    assert "(60%)" in lines and f"full     in {quota['days_left']} days" in lines
    assert report(bus, "--quota-bytes", "70MB")["stores"][0]["quota"]["level"] == "warn"
    assert report(bus, "--quota-bytes", "61MB", status=4)["stores"][0]["quota"]["level"] == "stop"
    assert "full     now" in usage(bus, "--quota-bytes", "61MB", status=4)
    assert "quota" not in report(bus)["stores"][0]


def test_one_user_is_shown_alone(bus):
    stored(bus, "ann", 5 * MB)
    stored(bus, "ann", 2 * MB, days_ago=2)
    stored(bus, "bob", 9 * MB)
    store = report(bus, "--user", "ann", "--days", "3", "--quota-user-bytes", "8MB")["stores"][0]
    assert (store["bytes"], store["videos"], store["users"]) == (7 * MB, 2, None)
    assert [day["bytes"] for day in store["days"]] == [2 * MB, 0, 5 * MB] and store["quota"]["level"] == "warn"
    assert [user["user_id"] for user in report(bus, "--user", "ann")["users"]] == ["ann"]
    assert "bob" not in usage(bus, "--user", "ann") and usage(bus, "--user", "nobody") == "nothing is stored\n"
