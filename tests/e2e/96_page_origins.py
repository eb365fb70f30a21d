"""A page of an application that lives elsewhere: whose pages may follow a video, and whose may not."""

import browser as web
import pytest
from harness import local, wait_for

SLOW = {"bytes": 3 << 20, "bytes_per_s": 500_000}
KEY = "canary-status-key"


@pytest.fixture
def sites():
    """Web servers of two applications, and the port that a producer is to have; neither forwards anything to it."""
    port = local.free_port()
    opened = [web.Site(port), web.Site(port)]
    yield (*opened, port)
    for site in opened:
        site.close()


def open_example(browser, site, bus, example, video_id):
    browser.open(site.url(f"/examples/{example}index.html?server={bus.producer.url('/')}&video={video_id}"))


def streams(bus):
    return bus.producer.metric("reelbus_event_streams")


@pytest.mark.parametrize("example", ["", "react/"], ids=["plain", "react"])
def test_a_page_of_an_allowed_origin_follows_a_video_by_its_stream(bus, sites, browser, example):
    allowed, _, port = sites
    bus.start_producer(port=port, REELBUS_CORS_ORIGINS=allowed.url(""))
    bus.start_consumer()
    video_id = bus.insert_video()
    open_example(browser, allowed, bus, example, video_id)
    browser.wait_text(".reelbus", "Waiting for video...")
    wait_for(lambda: streams(bus) == 1, "it follows a stream")
    browser.js("spy('.reelbus')")
    bus.ask_for_video(video_id, **SLOW)
    wait_for(lambda: browser.js("return document.querySelector('.reelbus').dataset.phase") == "stored", "it is stored")
    assert any("Processing video storage..." in text for text in browser.js("return window.seen"))
    wait_for(lambda: browser.plays(".reelbus video") == bus.video_row(video_id)["stored_url"], "the stored one plays")
    assert browser.errors() == [] and not [path for path in allowed.asked if path.startswith("/api/")]


def test_a_page_of_another_origin_learns_nothing(bus, sites, browser):
    allowed, other, port = sites
    bus.start_producer(port=port, REELBUS_CORS_ORIGINS=allowed.url(""))
    video_id = bus.insert_video()
    bus.query("INSERT INTO reelbus.video (video_id, state, error_class, error_code, error_message)"
              " VALUES (%s, 'failed', 'generation_failed', 'refused', 'not for everybody')", video_id)  # fmt: skip
    open_example(browser, other, bus, "", video_id)
    browser.wait_text(".reelbus", "Connecting again...")
    wait_for(lambda: any("CORS policy" in entry["message"] for entry in browser.errors()), "the browser says why")
    assert "everybody" not in browser.js("return document.body.innerText")
    open_example(browser, allowed, bus, "", video_id)
    browser.wait_text(".reelbus", "not for everybody")
    wait_for(lambda: streams(bus) == 0, "none of them keeps a stream")


def test_a_key_goes_to_another_origin_after_the_browser_has_asked(bus, sites, browser):
    """Authorization needs a preflight, which has no key with it."""
    allowed, other, port = sites
    bus.start_producer(port=port, REELBUS_CORS_ORIGINS=allowed.url(""), REELBUS_STATUS_API_KEYS=KEY)
    video_id = bus.insert_video()

    def watch(site, key):
        browser.open(site.url("/examples/index.html"))
        browser.js("""import("./reelbus-watch.js").then(({ watchVideo }) => watchVideo(arguments[0], arguments[1],
                      (view) => { window.view = view.message; }, {key: arguments[2], forever: true,
                      onConnection: (connection) => { window.connection = connection; }}))
                      .catch((problem) => { window.problem = problem.status; });""", bus.producer.url("/"), video_id, key)  # fmt: skip

    watch(allowed, KEY)
    browser.wait_js("window.view === 'Waiting for video...' && window.connection === 'live'")
    watch(allowed, "wrong")
    browser.wait_js("window.problem === 401")
    watch(other, KEY)
    browser.wait_js("window.connection === 'lost'")
    assert browser.js("return [window.view, window.problem]") == [None, None]
