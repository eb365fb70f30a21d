"""A real browser, and the web server of an application, for the tests of what people see."""

import functools
import http.client
import http.server
import importlib.util
import json
import pathlib
import tempfile
import threading
import zipfile

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.by import By

from harness import ROOT, wait_for

EXAMPLES = ROOT / "deploy/examples"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
HOP_BY_HOP = ("connection", "transfer-encoding", "date", "server", "keep-alive")
PAGE_LOAD_S = 120

# Counts timers that were set and have neither rung nor been cleared (once frozen, only those that are cleared go), and keeps
# each text that a node has had.
SPIES = """
(() => {
  const open = new Set();
  const { setTimeout: set, clearTimeout: clear } = window;
  window.setTimeout = (fn, ...rest) => {
    const id = set(() => { window.frozen || open.delete(id); fn(); }, ...rest);
    open.add(id);
    return id;
  };
  window.clearTimeout = (id) => { open.delete(id); clear(id); };
  window.openTimers = () => open.size;
  window.seen = [];
  window.spy = (css) => {
    const look = () => {
      const text = document.querySelector(css)?.innerText ?? "";
      if (text !== window.seen.at(-1)) window.seen.push(text);
    };
    look();
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true, attributes: true });
  };
})();
"""


@functools.cache
def axe_source():
    """axe-core, from the wheel that carries it; the package itself is not imported."""
    folder = importlib.util.find_spec("axe_playwright_python").submodule_search_locations[0]
    return pathlib.Path(folder, "axe.min.js").read_text()


@functools.cache
def react_file(name):
    """A file of React's UMD build, from its jar."""
    (jar,) = (ROOT / ".run/react-jars").glob(f"{name}-[0-9]*.jar")
    with zipfile.ZipFile(jar) as archive:
        (path,) = [each for each in archive.namelist() if each.endswith(f"/umd/{name}.production.min.js")]
        return archive.read(path)


class Browser:
    """Headless Chromium with a profile of its own."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="reelbus-chromium-", ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--mute-audio",
                         "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                         f"--user-data-dir={self.profile.name}"):  # fmt: skip
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
        self.driver.set_page_load_timeout(PAGE_LOAD_S)
        self.driver.set_script_timeout(PAGE_LOAD_S)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SPIES})
        self.look_like()

    def close(self):
        self.driver.quit()
        self.profile.cleanup()

    def look_like(self, width=1280, height=900, scheme="light"):
        """The size of the window, and what the system prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, url):
        self.driver.get(url)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, css):
        """What people see of the first such element; "" when there is none."""
        return self.js("return document.querySelector(arguments[0])?.innerText.trim() ?? ''", css)

    def texts(self, css):
        return self.js("return [...document.querySelectorAll(arguments[0])].map((node) => node.innerText.trim())", css)

    def is_shown(self, css):
        return self.js("return document.querySelector(arguments[0])?.checkVisibility() ?? false", css)

    def wait_text(self, css, *words):
        """Wait until an element says all of it."""
        wait_for(lambda: all(word in self.text(css) for word in words), f"'{css}' says {words}: {self.text(css)!r}")

    def wait_js(self, expression):
        return wait_for(lambda: self.js(f"return {expression}"), expression)

    def click(self, css):
        """Click, as soon as it can be clicked."""

        def done():
            try:
                self.driver.find_element(By.CSS_SELECTOR, css).click()
                return True
            except (StaleElementReferenceException, WebDriverException):
                return False

        wait_for(done, f"'{css}' can be clicked")

    def type(self, css, text):
        field = self.driver.find_element(By.CSS_SELECTOR, css)
        field.clear()
        field.send_keys(text)

    def press(self, *keys):
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def assert_no_timer_is_left(self):
        self.js("window.frozen = true")
        self.wait_js("openTimers() === 0")

    def focused(self):
        """What has the focus: its id, or its text."""
        return self.js("return document.activeElement.id || document.activeElement.innerText")

    def overflow(self):
        """By how many pixels the page is wider than the window."""
        return self.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def plays(self, css):
        """The player has the first frame of its video. Gives its address."""
        return self.js("const video = document.querySelector(arguments[0]);"
                       "return video && video.readyState >= 2 ? video.currentSrc : ''", css)  # fmt: skip

    def assert_accessible(self, where):
        if not self.js("return 'axe' in window"):
            self.js(axe_source())
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then((r) => done(r.violations),"
            " (e) => done([{id: String(e), impact: 'critical', nodes: []}]))")  # fmt: skip
        bad = [f"{each['id']} ({each['impact']}): {[node['html'] for node in each['nodes']]}" for each in found
               if each["impact"] in ("serious", "critical")]  # fmt: skip
        assert not bad, f"{where}: {bad}"

    def errors(self, network=True):
        """What the console has complained about; without network, only what is the page's own fault."""
        return [entry for entry in self.driver.get_log("browser")
                if entry["level"] == "SEVERE" and (network or entry["source"] != "network")]  # fmt: skip


class Site(http.server.ThreadingHTTPServer):
    """The web server of an application: the examples at /examples/, everything else is the producer's.

    key: refuses what comes without it, as a gateway does. holds_streams: lets no event through, as a proxy that waits for
    the end of each answer does. plain: knows neither streams nor waiting nor ETags.
    """

    daemon_threads = True

    def __init__(self, port_of_producer, key=None, holds_streams=False, plain=False):
        super().__init__(("127.0.0.1", 0), SiteHandler)
        self.port_of_producer = port_of_producer
        self.key = key
        self.holds_streams = holds_streams
        self.plain = plain
        self.asked = []  # paths that were asked for
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def close(self):
        self.closing.set()
        self.shutdown()
        self.server_close()


class SiteHandler(http.server.BaseHTTPRequestHandler):
    server: Site

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        self.server.asked.append(self.path)
        try:
            if path.startswith("/examples/"):
                self.send_example(path.removeprefix("/examples/"))
            elif self.server.key and path.startswith("/api/") and not self.has_key():
                self.send_bytes(401, json.dumps({"error": "an API key is needed"}).encode(), "application/json")
            elif self.server.plain and path == "/api/video/events":
                self.send_bytes(404, b"<h1>Not found</h1>", "text/html")
            else:
                self.forward(path)
        except OSError:
            pass  # whoever asked is gone

    def has_key(self):
        return self.headers.get("Authorization") == f"Bearer {self.server.key}"

    def send_bytes(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(body)

    def send_example(self, name):
        if name in ("react/react.js", "react/react-dom.js"):
            return self.send_bytes(200, react_file(pathlib.Path(name).stem), TYPES[".js"])
        path = EXAMPLES / name
        return self.send_bytes(200, path.read_bytes(), TYPES[path.suffix])

    def forward(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port_of_producer, timeout=120)
        try:
            headers = {name: self.headers[name] for name in ("If-None-Match", "Last-Event-ID", "Range", "Accept")
                       if name in self.headers}  # fmt: skip
            connection.request("GET", self.path, headers=headers)
            answer = connection.getresponse()
        except OSError:
            return self.send_bytes(502, b"the producer is away", "text/plain")
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP and not (self.server.plain and name.lower() == "etag"):
                self.send_header(name, value)
        self.end_headers()
        if path == "/api/video/events" and self.server.holds_streams:
            self.wfile.flush()
            self.server.closing.wait(PAGE_LOAD_S)
        while piece := answer.read1(65536):
            self.wfile.write(piece)
            self.wfile.flush()
        return connection.close()
