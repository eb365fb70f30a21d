"""What people see, in a real browser: the status page, the JavaScript client, and the same in React."""

import json
import re
import uuid

import browser as web
import pytest
from harness import wait_for
from selenium.webdriver.common.keys import Keys

SLOW = {"bytes": 3 << 20, "bytes_per_s": 500_000}
STATES = ("waiting", "processing", "stored", "failed", "deleted")


@pytest.fixture
def sites(bus):
    """Web servers of an application, made as a test wants them."""
    opened = []

    def make(**how):
        opened.append(web.Site(bus.producer.port, **how))
        return opened[-1]

    yield make
    for site in opened:
        site.close()


def row_of(video_id):
    return f'tr[data-video="{video_id}"]'


def open_page(browser, bus, address=""):
    browser.open(bus.producer.url("/" + address))
    wait_for(lambda: browser.texts("#videos tr") or browser.is_shown("#empty"), "the list is there")


def insert_many(bus, count, state="stored"):
    """Rows as reelbus leaves them, without having done the work. Gives their ids, what changed last first."""
    error = ("source_gone", "SOURCE_GONE", "the source answered 404 or 410") if state == "failed" else (None, None, None)
    rows = bus.query(
        """WITH made AS (INSERT INTO video_history (user_id, prompt, video_url, status)
                         SELECT %s::uuid, 'many', 'https://provider.invalid/' || repeat('long', 40) || '.mp4?signature=1', 'completed'
                         FROM generate_series(1, %s) RETURNING id, user_id, video_url)
           INSERT INTO reelbus.video (video_id, user_id, state, source_url, bytes, tries, next_try_at, expires_at, stored_at,
                                      error_class, error_code, error_message, updated_at)
           SELECT id, user_id::text, %s, video_url, 12345678, 2,
                  CASE WHEN %s = 'processing' THEN now() + interval '10 minutes' END, now() + interval '40 minutes',
                  CASE WHEN %s = 'stored' THEN now() END, %s, %s, %s, now() - interval '1 minute' * row_number() OVER (ORDER BY id)
           FROM made RETURNING video_id::text""",
        bus.user, count, state, state, state, *error)  # fmt: skip
    return sorted(row["video_id"] for row in rows)


def insert_each_state(bus):
    videos = {state: insert_many(bus, 1, state)[0] for state in STATES if state != "waiting"}
    return {"waiting": bus.insert_video(), **videos}


def test_files_of_the_page_come_with_a_policy_and_an_etag(bus):
    bus.start_producer()
    page = bus.producer.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and page.headers["Cache-Control"] == "no-cache"
    for path in ("/", "/page/page.css", "/page/page.js", "/page/icon.svg", "/reelbus-watch.js"):
        answer = bus.producer.get(path)
        again = bus.producer.get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert (answer.status_code, again.status_code, again.content) == (200, 304, b""), path
    for path in ("/page/", "/page/index.html", "/page/%2e%2e/main.c", "/reelbus-watch.js/"):
        assert bus.producer.get(path).status_code == 404, path


# -- the status page -------------------------------------------------------------------------------------------------------


def test_states_change_live_without_a_reload(running, browser):
    video_id = running.insert_video()
    open_page(browser, running, f"#video={video_id}")
    browser.wait_text(row_of(video_id), "Waiting", "Waiting for video...")
    browser.wait_text("#now", "Waiting for video...")
    browser.js("window.mark = 1; spy(arguments[0])", f"{row_of(video_id)} .message")
    running.ask_for_video(video_id, **SLOW)
    browser.wait_text(row_of(video_id), "Stored")
    browser.wait_text("#now", "Stored")
    seen = browser.js("return window.seen")
    assert any("Processing video storage..." in text for text in seen), seen
    percents = [int(percent) for text in seen for percent in re.findall(r"(\d+) %", text)]
    assert any(0 < percent < 100 for percent in percents) and percents == sorted(percents), seen
    assert wait_for(lambda: browser.plays("#video"), "the player has it") == running.video_row(video_id)["stored_url"]
    browser.wait_text("#announce", "Stored")
    assert browser.js("return window.mark") == 1 and browser.errors() == []


def test_new_videos_appear_by_themselves(running, browser):
    open_page(browser, running)
    browser.wait_text("#empty", "No videos yet.")
    video_id = running.insert_video()
    browser.wait_text(row_of(video_id), "Waiting")
    assert not browser.is_shown("#empty") and browser.errors() == []


def test_filters_and_search_are_in_the_address(running, browser):
    videos = insert_each_state(running)
    open_page(browser, running)
    for state in ("waiting", "processing", "stored", "failed"):
        browser.click(f'.choice label:has([value="{state}"])')
        wait_for(lambda: browser.texts("#videos td.id") == [videos[state][:8]], f"only {state}")
        assert browser.js("return location.search") == f"?state={state}"
    browser.driver.back()
    wait_for(lambda: browser.texts("#videos td.id") == [videos["stored"][:8]], "the address rules")
    browser.click('.choice label:has([value=""])')
    browser.type("#q", videos["deleted"][:13].upper())
    wait_for(lambda: browser.texts("#videos td.id") == [videos["deleted"][:8]], "only what begins like this")
    browser.open(browser.driver.current_url)
    wait_for(lambda: browser.texts("#videos td.id") == [videos["deleted"][:8]], "after a reload too")
    assert browser.js("return document.getElementById('q').value") == videos["deleted"][:13]
    browser.type("#q", "")
    browser.type("#user", running.user)
    wait_for(lambda: len(browser.texts("#videos tr")) == len(STATES), "all are this user's")
    browser.type("#user", str(uuid.uuid4()))
    browser.wait_text("#empty", "No video is like this.")
    assert browser.errors() == []


def test_pages_of_older_videos(running, browser):
    videos = insert_many(running, 60)
    open_page(browser, running)
    seen = []
    for page in range(3):
        expected = [video_id[:8] for video_id in videos[page * 25 : page * 25 + 25]]
        wait_for(lambda: browser.texts("#videos td.id") == expected, f"page {page}")
        seen += expected
        if page < 2:
            browser.click("#older")
    assert browser.js("return document.getElementById('older').disabled") and len(seen) == 60
    browser.click("#newer")
    wait_for(lambda: browser.texts("#videos td.id") == seen[25:50], "back on the second page")
    browser.click("#newer")
    wait_for(lambda: browser.texts("#videos td.id") == seen[:25], "back on the first page")
    assert browser.js("return document.getElementById('newer').disabled") and browser.errors() == []


def test_history_names_topic_partition_and_offset(running, browser):
    video_id, _ = running.store_video()
    running.wait_for_event("video.stored", video_id)
    open_page(browser, running, f"#video={video_id}")
    browser.wait_text("#history li:last-child", "Announced")
    told = "\n".join(browser.texts("#history li"))
    steps = ["Expected", "Webhook received", "Taken by a consumer", "Stored", "Announced"]
    assert sorted(steps, key=told.index) == steps
    for topic in ("video.webhook.received", "video.stored"):
        (record,) = [each for each in running.records(topic) if each.key().decode() == video_id]
        assert f"{running.prefix}{topic} · partition {record.partition()} · offset {record.offset()}" in told
    assert browser.errors() == []


def test_what_asking_brought_is_said_in_plain_words(bus, browser):
    bus.start_producer()
    video_id = bus.insert_video()
    bus.query("SELECT reelbus.expect_video(%s, 'gateway', 'video_7')", video_id)
    for offset, said in enumerate(("in progress, 40 %", "failed: The prompt was refused.")):
        bus.query("INSERT INTO reelbus.history (video_id, what, detail, topic, partition, \"offset\")"
                  " VALUES (%s, 'polled', %s, 'video.poll.result', 1, %s)", video_id, said, offset)  # fmt: skip
    open_page(browser, bus, f"#video={video_id}")
    wait_for(lambda: len(browser.texts("#history li")) == 4, "the whole history")
    created, expected, asked, refused = browser.texts("#history li")
    assert created.startswith("Expected") and expected.startswith("Expected") and "from gateway, as video_7" in expected
    for told, words, offset in ((asked, "in progress, 40 %", 0), (refused, "failed: The prompt was refused.", 1)):
        assert told.startswith("Provider asked") and words in told
        assert f"video.poll.result · partition 1 · offset {offset}" in told
    browser.assert_accessible("history")
    assert browser.errors() == []


def test_an_unknown_video_is_said_to_be_unknown(running, browser):
    open_page(browser, running, f"#video={uuid.uuid4()}")
    browser.wait_text("#now", "Unknown")
    browser.wait_text("#no-history", "Nothing is known.")
    assert browser.errors(network=False) == []


def test_keyboard_alone_is_enough(running, browser):
    videos = insert_many(running, 3)
    open_page(browser, running)
    browser.press(Keys.TAB)
    wait_for(lambda: browser.focused() == "skip", "the way around the head")
    browser.press(Keys.ENTER)
    wait_for(lambda: browser.focused() == "list", "the list has the focus")
    browser.press(Keys.TAB, Keys.ARROW_RIGHT)
    wait_for(lambda: "state=waiting" in browser.driver.current_url, "arrows choose the state")
    browser.press(Keys.ARROW_LEFT)
    wait_for(lambda: len(browser.texts("#videos tr")) == 3, "all again")
    browser.press(Keys.TAB, Keys.TAB, Keys.TAB)
    wait_for(lambda: browser.focused() == videos[0][:8], "the first row has the focus")
    assert browser.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
    wait_for(lambda: browser.focused() == videos[1][:8], "the second row has the focus")
    browser.press(Keys.ENTER)
    wait_for(lambda: browser.focused() == "title", "the details have the focus")
    assert browser.text("#full-id") == videos[1]
    browser.press(Keys.ESCAPE)
    wait_for(lambda: browser.focused() == videos[1][:8], "the row has the focus again")
    wait_for(lambda: not browser.is_shown("#details") and "#" not in browser.driver.current_url, "the details are gone")
    browser.press(Keys.END)
    wait_for(lambda: browser.focused() == videos[2][:8], "the last row has the focus")
    assert browser.errors(network=False) == []


def test_nothing_is_wider_than_a_phone(running, browser):
    videos = insert_each_state(running)
    browser.look_like(360, 740)
    open_page(browser, running)
    wait_for(lambda: len(browser.texts("#videos tr")) == len(STATES), "all are there")
    assert browser.overflow() == 0
    for state, video_id in videos.items():
        browser.click(f"{row_of(video_id)} a")
        wait_for(lambda: browser.text("#full-id") == video_id and browser.texts("#facts dt"), f"details of {state}")
        assert browser.overflow() == 0, state
        assert not browser.is_shown("#videos")
        browser.click("#close")
        wait_for(lambda: browser.is_shown("#videos"), "the list is back")
    assert browser.errors(network=False) == []


def test_what_is_long_ago_fits_its_column(running, browser):
    videos = insert_each_state(running)
    running.query("ALTER TABLE reelbus.video DISABLE TRIGGER USER")
    running.query("UPDATE reelbus.video SET updated_at = now() - interval '23 hours 5 minutes'")
    running.query("ALTER TABLE reelbus.video ENABLE TRIGGER USER")
    browser.look_like(1100, 740)
    open_page(browser, running)
    wait_for(lambda: "23 h ago" in browser.texts("#videos td.age"), "the times are there")
    wide = "return [...document.querySelectorAll('#videos td')].filter((c) => c.scrollWidth > c.clientWidth).map((c) => c.textContent)"
    assert browser.js(wide) == [] and len(videos) == len(browser.texts("#videos tr"))


def test_dark_and_light(running, browser):
    def lightness():
        return browser.js("return Math.max(...getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number))")

    browser.look_like(scheme="dark")
    open_page(browser, running)
    assert lightness() < 40
    browser.click("#theme")
    assert browser.js("return document.getElementById('theme').ariaLabel") == "Theme: light" and lightness() > 200
    browser.open(running.producer.url("/"))
    assert lightness() > 200, "remembered"
    browser.click("#theme")
    browser.click("#theme")
    assert lightness() < 40 and browser.errors() == []


def test_the_page_is_accessible(running, browser):
    videos = insert_each_state(running)
    video_id, _ = running.store_video()
    running.wait_for_event("video.stored", video_id)
    for width, scheme in ((1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")):
        browser.look_like(width, scheme=scheme)
        open_page(browser, running)
        wait_for(lambda: len(browser.texts("#videos tr")) == len(STATES) + 1, "all are there")
        browser.assert_accessible(f"list, {width}, {scheme}")
        for chosen in (video_id, videos["processing"], videos["failed"]):
            open_page(browser, running, f"#video={chosen}")
            wait_for(lambda: browser.text("#full-id") == chosen and browser.texts("#facts dt"), "details")
            wait_for(lambda: browser.texts("#history li"), "history")
            browser.assert_accessible(f"{chosen}, {width}, {scheme}")
    assert browser.errors() == []


def test_a_key_is_asked_for_and_kept(running, sites, browser):
    video_id = running.insert_video()
    site = sites(key="canary-key")
    browser.open(site.url("/"))
    wait_for(lambda: browser.is_shown("#key-form") and browser.focused() == "key", "the key is asked for")
    browser.assert_accessible("key")
    browser.press("wrong", Keys.ENTER)
    browser.wait_text("#key-note", "not accepted")
    browser.press("canary-key", Keys.ENTER)
    browser.wait_text(row_of(video_id), "Waiting")
    running.ask_for_video(video_id)
    browser.wait_text(row_of(video_id), "Stored")
    browser.open(site.url("/"))
    browser.wait_text(row_of(video_id), "Stored")
    browser.click("#forget")
    wait_for(lambda: browser.is_shown("#key-form"), "it is asked for again")
    assert not browser.is_shown("#main") and browser.errors(network=False) == []


def test_the_page_comes_back_with_the_producer(running, browser):
    video_id = running.insert_video()
    open_page(browser, running)
    browser.wait_text("#connection", "Live")
    port = running.producer.port
    running.producer.stop()
    wait_for(lambda: browser.js("return document.getElementById('connection').dataset.is") in ("away", "lost"), "it says so")
    running.start_producer(port=port)
    running.ask_for_video(video_id)
    browser.wait_text(row_of(video_id), "Stored")
    browser.wait_text("#connection", "Live")
    assert browser.errors(network=False) == []


# -- the client, plain and in React ------------------------------------------------------------------------------------------

clients = pytest.mark.parametrize("example", ["", "react/"], ids=["plain", "react"])


def open_example(browser, site, example, *videos):
    query = "&".join([f"server={site.url('/')}", *(f"video={video_id}" for video_id in videos)])
    browser.open(site.url(f"/examples/{example}index.html?{query}"))
    wait_for(lambda: len(browser.texts(".reelbus")) == len(videos), "the videos are there")


def phase_of(browser, number=1):
    return browser.js("return document.querySelectorAll('.reelbus')[arguments[0] - 1].dataset.phase", number)


@clients
def test_a_client_shows_a_video_from_waiting_to_playing(running, sites, browser, example):
    video_id = running.insert_video()
    open_example(browser, sites(), example, video_id)
    browser.wait_text(".reelbus", "Waiting for video...")
    browser.js("spy('.reelbus')")
    running.ask_for_video(video_id, **SLOW)
    wait_for(lambda: phase_of(browser) == "stored", "it is stored")
    assert any("Processing video storage..." in text for text in browser.js("return window.seen"))
    row = running.video_row(video_id)
    wait_for(lambda: browser.plays(".reelbus video") == row["stored_url"], "the stored one plays")
    browser.assert_no_timer_is_left()
    assert browser.text(".reelbus") == "" and browser.errors() == []


@clients
def test_a_client_falls_back_to_the_original_url(bus, sites, browser, example):
    bus.start_producer()
    bus.start_consumer(REELBUS_VIDEO_MAX_BYTES="1KiB")
    kept_out, refused = bus.insert_video(), bus.insert_video()
    open_example(browser, sites(), example, kept_out, refused)
    bus.ask_for_video(kept_out)
    bus.ask_for_video(refused, outcome="failed")
    wait_for(lambda: [phase_of(browser, 1), phase_of(browser, 2)] == ["failed", "failed"], "both have failed")
    browser.wait_text("li:nth-child(1) .reelbus", "could not be stored")
    wait_for(lambda: browser.plays("li:nth-child(1) video") == bus.video_row(kept_out)["source_url"], "the original plays")
    browser.wait_text("li:nth-child(2) .reelbus", "The prompt was refused.")
    assert not browser.is_shown("li:nth-child(2) video")
    browser.assert_no_timer_is_left()
    browser.assert_accessible("example")
    assert browser.errors() == []


@clients
def test_a_client_goes_on_after_a_lost_connection(running, sites, browser, example):
    video_id = running.insert_video()
    open_example(browser, sites(), example, video_id)
    browser.wait_text(".reelbus", "Waiting for video...")
    port = running.producer.port
    running.producer.stop()
    browser.wait_text(".reelbus", "Connecting again...")
    running.start_producer(port=port)
    running.ask_for_video(video_id)
    wait_for(lambda: phase_of(browser) == "stored", "it is stored")
    wait_for(lambda: browser.plays(".reelbus video"), "it plays")
    browser.assert_no_timer_is_left()
    assert browser.errors(network=False) == []


def test_a_client_asks_where_streams_are_held_back(running, sites, browser):
    site = sites(holds_streams=True)
    video_id = running.insert_video()
    open_example(browser, site, "", video_id)
    wait_for(lambda: any("wait=" in path for path in site.asked), "a long poll")
    running.ask_for_video(video_id)
    wait_for(lambda: phase_of(browser) == "stored", "it is stored")
    browser.assert_no_timer_is_left()
    assert browser.errors() == []


def test_a_client_asks_again_and_again_where_nothing_else_is_known(running, sites, browser):
    site = sites(plain=True)
    video_id = running.insert_video()
    open_example(browser, site, "", video_id)
    browser.wait_text(".reelbus", "Waiting for video...")
    running.ask_for_video(video_id)
    wait_for(lambda: phase_of(browser) == "stored", "it is stored")
    assert not any("wait=" in path for path in site.asked)
    browser.assert_no_timer_is_left()
    assert browser.errors(network=False) == []


def test_stopping_a_client_leaves_nothing_behind(running, sites, browser):
    site = sites(plain=True)
    video_id = running.insert_video()
    browser.open(site.url("/examples/index.html"))
    browser.js("import('./reelbus.js').then(({ renderVideo }) => {"
               " window.stop = renderVideo(document.body, arguments[0], arguments[1]); })", site.url("/"), video_id)  # fmt: skip
    browser.wait_text(".reelbus", "Waiting for video...")
    wait_for(lambda: any("/status" in path for path in site.asked), "it asks")
    browser.js("window.stop()")
    browser.assert_no_timer_is_left()
    assert browser.texts(".reelbus") == [] and browser.errors(network=False) == []


def test_a_client_that_is_ended_before_it_begins_shows_nothing(running, sites, browser):
    site = sites(plain=True)
    browser.open(site.url("/examples/index.html"))
    browser.js("import('./reelbus.js').then(({ renderVideo }) => { window.stop = renderVideo(document.body, arguments[0],"
               " arguments[1], { signal: AbortSignal.abort() }); })", site.url("/"), running.insert_video())  # fmt: skip
    wait_for(lambda: browser.js("return typeof window.stop === 'function'"), "it has begun")
    browser.assert_no_timer_is_left()
    assert browser.texts(".reelbus") == [] and not any("/api/" in path for path in site.asked)


def test_a_server_that_asks_for_weeks_of_patience_is_asked_again_in_minutes(running, sites, browser):
    """Timers of browsers overflow after 24 days, and fire at once."""
    browser.open(sites().url("/examples/index.html"))
    browser.js("""
        window.pauses = [];
        const setTimer = window.setTimeout;
        window.setTimeout = (fn, ms) => { window.pauses.push(ms); return setTimer(fn, ms); };
        window.fetch = async () => new Response("{}", { status: 503, headers: { "Retry-After": "99999999" } });
        import("/reelbus-watch.js").then(({ watchVideo }) => watchVideo("http://127.0.0.1:1/", arguments[0], () => {}));
        """, str(running.insert_video()))  # fmt: skip
    wait_for(lambda: 300_000 in browser.js("return window.pauses"), "it waits")
    assert max(browser.js("return window.pauses")) == 300_000


def test_events_are_read_however_they_are_cut(running, sites, browser):
    browser.open(sites().url("/examples/index.html"))
    found = browser.driver.execute_async_script("""
        const [stream, done] = arguments;
        import("/reelbus-watch.js").then(({ eventParser }) => {
          const results = [];
          for (let size = 1; size <= stream.length; size++) {
            const parse = eventParser();
            const events = [];
            for (let at = 0; at < stream.length; at += size) events.push(...parse(stream.slice(at, at + size)));
            results.push(JSON.stringify(events));
          }
          done(results);
        }).catch((problem) => done([String(problem)]));
        """, ": hello\n\nevent: status\nid: 7\ndata: {\ndata:  }\n\r\nid\r\n\r\ndata:a\u2028b\r\n\r\nevent: cut\ndata: off")  # fmt: skip
    assert {len(json.loads(each)) for each in found} == {3}
    assert json.loads(found[0]) == [{"event": "status", "id": "7", "data": "{\n }"}, {"event": "message", "id": "", "data": ""},
                                    {"event": "message", "data": "a\u2028b"}]  # fmt: skip
    assert len(set(found)) == 1


def test_many_videos_share_one_connection(running, sites, browser):
    site = sites()
    videos = [running.insert_video() for _ in range(20)]
    open_example(browser, site, "", *videos)
    wait_for(lambda: len([path for path in site.asked if "/events" in path]) >= 1, "a stream")
    for video_id in videos:
        running.ask_for_video(video_id)
    wait_for(lambda: {phase_of(browser, number + 1) for number in range(20)} == {"stored"}, "all are stored")
    streams = [path for path in site.asked if "/events" in path]
    assert all(video_id in streams[0] for video_id in videos)
    browser.assert_no_timer_is_left()
    assert browser.errors() == []
