"""What is stored, as the producer tells it: the API and the page."""

import concurrent.futures
import datetime
import json
import signal
import uuid

from harness import wait_for
from selenium.webdriver.common.keys import Keys

MB = 1_000_000
CONNECTION = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'reelbus-producer usage'"
ANN, BOB, EVE = "ann", "bob", "<b>eve</b> & sons"


def start(bus, **options):
    """A producer whose usage page has its connection, too."""
    bus.start_producer(**options)
    wait_for(lambda: bus.query(f"SELECT 1 {CONNECTION} AND state = 'idle'"), "it is connected")


def stored(bus, user, size, days_ago=0, bucket="videos"):
    bus.query("INSERT INTO reelbus.video (video_id, user_id, state, store, bucket, object_key, bytes, stored_at)"
              " VALUES (%s, %s, 'stored', 'file', %s, 'k', %s, now() - %s * interval '1 day')",
              str(uuid.uuid4()), user, bucket, size, days_ago)  # fmt: skip


def noted(bus, quota, of_user=False):
    bus.query("INSERT INTO reelbus.quota (store, bucket, of_user, quota_bytes, warn_bytes, stop_bytes) VALUES"
              " ('file', 'videos', %s, %s, %s, %s)", of_user, quota, quota * 8 // 10, quota * 95 // 100)  # fmt: skip


def came(bus, day, size):
    bus.query("INSERT INTO reelbus.usage_day VALUES ('file', 'videos', %s, 0, %s, 3)"
              " ON CONFLICT (store, bucket, day, part) DO UPDATE SET bytes = excluded.bytes", today(day), size)  # fmt: skip


def fill(bus):
    for user, size, days_ago in ((ANN, 5 * MB, 0), (ANN, 3 * MB, 2), (BOB, 2 * MB, 0), (EVE, MB, 0)):
        stored(bus, user, size, days_ago)
    for day, size in ((6, 40 * MB), (4, -15 * MB), (3, 21 * MB)):
        came(bus, day, size)
    noted(bus, 100 * MB)
    noted(bus, 10 * MB, of_user=True)


def today(back=0):
    return (datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=back)).isoformat()


def usage(bus, status=200, **params):
    answer = bus.producer.get("/api/usage", params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


def snake(text):
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in text)


def in_snakes(value):
    if isinstance(value, dict):
        return {snake(name): in_snakes(member) for name, member in value.items()}
    return [in_snakes(member) for member in value] if isinstance(value, list) else value


def test_the_api_says_what_the_command_says(bus):
    start(bus)
    fill(bus)
    stored(bus, BOB, 7 * MB, bucket="overflow")
    for params, flags in (({"days": 9}, ["--days", "9"]), ({"days": 9, "user": ANN}, ["--days", "9", "--user", ANN]),
                          ({"days": 9, "user": EVE}, ["--days", "9", "--user", EVE])):  # fmt: skip
        told = bus.run("reelbus-consumer", "usage", "--json", "--top", "20", *flags)
        assert told.returncode == 0, told.stderr
        told, answer = json.loads(told.stdout), in_snakes(usage(bus, **params))
        for store in told["stores"] + answer["stores"]:
            assert abs(store.pop("over_ms") - 6.5 * 86_400_000) < 6.5 * 86_400_000  # goes on between the two
            store.pop("daily_bytes"), store.get("quota", {}).pop("days_left", None)
        assert answer == told, params


def test_an_answer_about_one_user_has_nobody_else_in_it(bus):
    start(bus)
    fill(bus)
    answer = usage(bus, user=ANN)
    (store,) = answer["stores"]
    assert (store["bytes"], store["videos"], store["users"], len(store["days"])) == (8 * MB, 2, None, 30)
    assert (store["quota"]["quotaBytes"], store["quota"]["level"]) == (10 * MB, "warn")
    assert [user["userId"] for user in answer["users"]] == [ANN] and BOB not in json.dumps(answer)
    assert usage(bus, user="nobody") == {"userId": "nobody", "stores": [], "users": []}
    for wrong in ("0", "367", "x", "-1", "1e9"):
        assert "days must be" in usage(bus, 400, days=wrong)["error"]
    assert len(usage(bus, days="", user="")["users"]) == 3


def test_the_api_is_guarded_as_the_list_is(bus):
    start(bus, REELBUS_STATUS_API_KEYS="canary-key", REELBUS_CORS_ORIGINS="https://app.example", REELBUS_RATE_LIMIT_STATUS="3/m")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer canary-key", "Origin": "https://app.example"}):
        answers = [bus.producer.get(path, headers=headers) for path in ("/api/usage", "/api/videos")]
        assert {answer.status_code for answer in answers} <= {200 if "Origin" in headers else 401, 429}
        assert answers[0].headers.get("Access-Control-Allow-Origin") == ("https://app.example" if "Origin" in headers else None)
    assert bus.producer.get("/api/usage", headers={"Authorization": "Bearer canary-key"}).status_code == 429
    bus.producer.stop()
    bus.start_producer(REELBUS_STATUS_PAGE="false")
    assert [bus.producer.get(path).status_code for path in ("/api/usage", "/usage", "/api/videos")] == [404, 404, 404]


def test_a_consumer_notes_its_quota(bus):
    def marks():
        return {row["of_user"]: (row["quota_bytes"], row["warn_bytes"], row["stop_bytes"])
                for row in bus.query("SELECT * FROM reelbus.quota WHERE store = 'file'")}  # fmt: skip

    bus.start_consumer(REELBUS_QUOTA_BYTES="100MB", REELBUS_QUOTA_USER_BYTES="10MB", REELBUS_QUOTA_USER_WARN_AT="5MB")
    expected = {False: (100 * MB, 80 * MB, 95 * MB), True: (10 * MB, 5 * MB, 10 * MB)}
    wait_for(lambda: marks() == expected, "the marks are noted")
    bus.consumer.stop()
    bus.start_consumer(REELBUS_QUOTA_BYTES="100MB")
    wait_for(lambda: marks() == {**expected, True: (0, 0, 0)}, "there is none for a user any more")


def test_a_database_that_is_away_is_said_to_be(bus, postgres):
    start(bus)
    fill(bus)
    assert usage(bus)["stores"]
    postgres.processes["postgres"].stop(signal.SIGINT)
    wait_for(lambda: bus.producer.get("/api/usage").status_code == 503, "it says so")
    answer = bus.producer.get("/api/usage")
    assert answer.headers["Retry-After"] == "2" and answer.json()["error"] == "the database cannot be asked now"


def test_a_page_that_takes_long_keeps_no_webhook_waiting(bus):
    start(bus, REELBUS_DB_TIMEOUT_MS="1s")
    fill(bus)
    with concurrent.futures.ThreadPoolExecutor(1) as pool, bus.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE reelbus.usage IN ACCESS EXCLUSIVE MODE")
        first = pool.submit(bus.producer.get, "/api/usage")
        waits = f"SELECT 1 {CONNECTION} AND wait_event_type = 'Lock'"
        wait_for(lambda: bus.query(waits), "its question waits")
        second = bus.producer.get("/api/usage")
        assert second.status_code == 503 and second.headers["Retry-After"] == "2" and "others ask" in second.json()["error"]

        def answered():
            body = {"videoId": bus.insert_video(), "videoUrl": "https://cdn.example.com/v.mp4", "status": "completed"}
            assert bus.webhook(body).status_code == 200
            return bus.query(f"{waits} AND now() - query_start > interval '2 s'")

        wait_for(answered, "it waits for longer than the other connection would")
        connection.execute("ROLLBACK")
        assert first.result().status_code == 200
    assert "ev=db_down" not in bus.producer.log and bus.producer.metric("reelbus_database_up") == 1


# -- the page ----------------------------------------------------------------------------------------------------------------


def open_page(browser, bus, query=""):
    browser.open(bus.producer.url("/usage" + query))
    browser.wait_text("#connection", "Up to date")


def figures(browser):
    names, values = browser.texts(".figures dt"), browser.texts(".figures dd")
    return dict(zip(names, values, strict=True))


def test_the_page_shows_figures_bars_and_a_table(bus, browser):
    start(bus)
    open_page(browser, bus)
    assert browser.text("#empty") == "Nothing is stored yet."
    fill(bus)
    open_page(browser, bus, "?days=7")
    told = figures(browser)
    days_left = usage(bus)["stores"][0]["quota"]["daysLeft"]
    assert told["Stored"] == "11.0 MB" and told["Videos"] == "4" and told["Users"] == "3"
    assert told["Forecast"] == f"Full in {days_left} days" and days_left > 1
    browser.wait_text(".quota", "11 % of 100.0 MB", "warns at 80.0 MB", "stops at 95.0 MB")
    rows = browser.texts(".scroll tbody tr")
    assert len(rows) == 7 and "11.0 MB" in rows[0] and "−15.0 MB" in rows[4] and "40.0 MB" in rows[6]
    heights = browser.js("return [...document.querySelectorAll('.chart .more, .chart .less')].map((bar) => +bar.getAttribute('height'))")
    assert len(heights) == 7 and max(heights) == heights[0] and round(heights[2] / heights[0], 2) == 0.38 and heights[1] == 0
    zero = browser.js("return +document.querySelector('.chart line').getAttribute('y1')")
    assert browser.js("return +document.querySelector('.chart .less').getAttribute('y')") == zero, "what has gone is below"
    label = browser.js("return document.querySelector('.chart').getAttribute('aria-label')")
    assert label.startswith("57.0 MB in 7 days, the most on") and "40.0 MB" in label
    assert [row.split("\n")[0].split("\t")[0] for row in browser.texts(".users tbody tr")] == [ANN, BOB, EVE]
    assert browser.errors() == []


def test_one_user_is_shown_and_left_again(bus, browser):
    start(bus)
    fill(bus)
    open_page(browser, bus)
    browser.js("window.mark = 1")
    browser.click(".users tbody tr:first-child a")
    browser.wait_text(".whom", "User", ANN)
    assert figures(browser)["Stored"] == "8.0 MB" and not browser.is_shown(".users") and browser.focused() == "report"
    browser.wait_text(".quota", "80 % of 10.0 MB", "The warning mark is reached.")
    assert browser.js("return location.search + document.getElementById('user').value") == f"?user={ANN}{ANN}"
    browser.driver.back()
    wait_for(lambda: len(browser.texts(".users tbody tr")) == 3, "all users again")
    browser.type("#user", EVE)
    browser.wait_text(".whom", EVE)
    assert figures(browser)["Stored"] == "1.0 MB"
    browser.click('.choice label:has([value="90"])')
    wait_for(lambda: len(browser.texts(".scroll tbody tr")) == 90, "90 days")
    assert "days=90" in browser.driver.current_url and browser.js("return window.mark") == 1
    browser.type("#user", "nobody")
    browser.wait_text("#empty", "Nothing of this user is stored.")
    assert browser.errors() == []


def test_the_two_pages_lead_to_each_other_by_keyboard(bus, browser):
    start(bus)
    fill(bus)
    browser.open(bus.producer.url("/"))
    browser.press(Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER)
    browser.wait_text("#connection", "Up to date")
    assert browser.driver.current_url.endswith("/usage")
    browser.press(Keys.TAB, Keys.ENTER)
    wait_for(lambda: browser.focused() == "report", "the way around the head")
    browser.press(Keys.TAB, Keys.ARROW_LEFT)
    wait_for(lambda: len(browser.texts(".scroll tbody tr")) == 7, "arrows choose the days")
    browser.press(Keys.TAB, Keys.TAB)
    assert browser.js("return document.activeElement.className") == "scroll"
    browser.press(Keys.TAB)
    assert browser.focused() == ANN
    assert browser.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.click(".site a:first-child")
    wait_for(lambda: browser.js("return location.pathname") == "/", "the status page")
    assert browser.errors() == []


def test_both_pages_fit_a_phone_and_are_accessible(bus, browser):
    start(bus)
    fill(bus)
    stored(bus, "0f9d3f6e-5d2a-4f0e-9a3b-3c3f0c4d5e6f", 4444 * MB, bucket="a-bucket-with-a-rather-long-name-of-its-own")
    for width, scheme in ((1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")):
        browser.look_like(width, scheme=scheme)
        for query in ("", "?user=" + ANN, "?user=nobody"):
            open_page(browser, bus, query)
            browser.assert_accessible(f"{query}, {width}, {scheme}")
            assert browser.overflow() == 0, (query, width)
            wide = "return [...document.querySelectorAll('.scroll')].filter((node) => node.scrollWidth > node.clientWidth).length"
            assert browser.js(wide) == 0, (query, width)
    browser.open(bus.producer.url("/"))
    browser.wait_text("#connection", "Live")
    assert browser.overflow() == 0 and browser.is_shown(".site") and browser.errors() == []


def test_a_key_is_asked_for_and_what_is_away_is_said(bus, browser):
    start(bus, REELBUS_STATUS_API_KEYS="canary-key")
    fill(bus)
    browser.open(bus.producer.url("/usage"))
    wait_for(lambda: browser.focused() == "key", "the key is asked for")
    assert not browser.is_shown("#main")
    browser.press("wrong", Keys.ENTER)
    browser.wait_text("#key-note", "not accepted")
    browser.press("canary-key", Keys.ENTER)
    browser.wait_text(".users", ANN)
    port = bus.producer.port
    bus.producer.stop()
    browser.click('.choice label:has([value="7"])')
    browser.wait_text("#connection", "Not up to date")
    assert browser.texts(".users tbody tr")
    start(bus, port=port, REELBUS_STATUS_API_KEYS="canary-key")
    wait_for(lambda: len(browser.texts(".scroll tbody tr")) == 7, "it asks again by itself")
    browser.click("#forget")
    wait_for(lambda: browser.is_shown("#key-form"), "it is asked for again")
    assert browser.errors(network=False) == []
