"""A small site on the loopback, one driver per module, and a census that nothing of a module's browsers is left."""

import contextlib
import http.server
import json
import os
import socketserver
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
import pytest_asyncio

from scorewise_actors.browser.chromium import Browser
from scorewise_actors.browser.driver import Driver
from scorewise_actors.browser.options import BrowserOptions

LEAVE_TRACES = """
document.cookie = 'crumb=1; path=/';
localStorage.crumb = 1; sessionStorage.crumb = 1; window.name = 'crumb';
history.pushState(null, '', '#a'); history.pushState(null, '', '#b');
setInterval(() => { document.cookie = 'late=1; path=/'; localStorage.late = 1; }, 1);
const ready = indexedDB.open('crumbs', 1);
ready.onupgradeneeded = () => ready.result.createObjectStore('s');
ready.onsuccess = async () => {
  ready.result.close();
  await (await caches.open('crumbs')).put('/crumb', new Response('x'));
  await (await navigator.storage.getDirectory()).getFileHandle('crumb', {create: true});
  if (window === top) {
    await navigator.serviceWorker.register('/worker.js');
    await navigator.serviceWorker.ready;
  }
  window.traces = true;
};
"""

SEE_TRACES = """async () => ({
  cookie: document.cookie, local: {...localStorage}, session: {...sessionStorage}, name: window.name,
  databases: (await indexedDB.databases()).map(d => d.name), caches: await caches.keys(), history: history.length,
  files: await Array.fromAsync((await navigator.storage.getDirectory()).keys()),
  workers: (await navigator.serviceWorker.getRegistrations()).length,
})"""


class Site(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Pages that misbehave in every way the tests need. ``hits`` counts requests per path."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.other = f"http://localhost:{self.server_port}"
        self.hits = {}
        self.release = threading.Event()
        self.changed = threading.Condition()

    def handle_error(self, request, client_address):
        """A browser that dies in the middle of an answer is what these tests are about."""

    def seen(self, path):
        """Wait (in a thread) until ``path`` was asked for."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.hits.get(path), timeout=60)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        url = urlsplit(self.path)
        with self.server.changed:
            self.server.hits[url.path] = self.server.hits.get(url.path, 0) + 1
            self.server.changed.notify_all()
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        name = url.path.strip("/").replace(".", "_")
        getattr(self, f"page_{name}", self.page_)(query)

    def answer(self, body, status=200, kind="text/html; charset=utf-8", **headers):
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def page_(self, query):
        self.answer(
            "<title>plain</title><h1>plain</h1><a id=next href='/status?code=404&body=gone'>next</a><input id=i>"
        )

    def page_hang(self, query):
        self.server.release.wait(120)
        self.answer("late")

    def page_slow(self, query):
        time.sleep(0.3)
        self.answer("slow")

    def page_status(self, query):
        self.answer(query.get("body", ""), int(query["code"]), Retry_After="7")

    def page_redirect(self, query):
        self.answer("", 302, Location=query["to"])

    def page_traces(self, query):
        frame = f"<iframe src='{self.server.other}/traces?inner=1'></iframe>" if "inner" not in query else ""
        # a browser that keeps storage from frames of other sites throws there
        script = f"try {{ {LEAVE_TRACES} }} catch (denied) {{ window.traces = true; }}"
        self.answer(f"{frame}<script>{script}</script>", Set_Cookie="secret=1; HttpOnly; Path=/")

    def page_worker_js(self, query):
        self.answer("onfetch = () => {}", kind="text/javascript")

    def page_cookies(self, query):
        self.answer(json.dumps(self.headers.get("Cookie", "")), kind="application/json")

    def page_dialog(self, query):
        self.answer("<script>alert('a'); window.answer = [confirm('c'), prompt('p')]</script>")

    def page_popups(self, query):
        self.answer(f"<script>for (let i = 0; i < {query['n']}; i++) window.open('/')</script>")

    def page_file(self, query):
        self.answer(b"x" * 2000, kind="application/octet-stream", Content_Disposition="attachment; filename=f.bin")

    def page_picture(self, query):
        self.answer("<img src='/image.png'><h1>seen</h1>")

    def page_many(self, query):
        self.answer("".join(f"<img src='/image{n}.png'>" for n in range(8)))


@pytest.fixture(scope="session")
def see_traces():
    """A script that returns all that an earlier item could have left for a later one."""
    return SEE_TRACES


@pytest.fixture(scope="session")
def site():
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


def own_processes():
    """Every process below this one that still runs."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.status() != psutil.STATUS_ZOMBIE:
                found.add(child.pid)
    return found


def own_homes():
    """Folders of browsers that this process owns, and profiles named in them."""
    homes = set()
    for path in Path(tempfile.gettempdir()).glob("scorewise-home-*/owner.json"):
        with contextlib.suppress(OSError, ValueError):
            if json.loads(path.read_text())["owner"][0] == os.getpid():
                homes.add(path)
    return homes


def wait_until(condition, seconds=30.0):
    """Poll in a thread-blocking way; for what no event tells."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="module", autouse=True)
def census():
    """Fails the module that leaves a process or a browser's folder behind."""
    before = own_processes()
    yield
    assert wait_until(lambda: own_processes() <= before), own_processes() - before
    assert own_homes() == set()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver(census):
    """One driver for the module. Tests that kill it start their own."""
    driver = await Driver.start()
    yield driver
    await driver.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_browser(driver):
    """One browser for the tests of a module that leave it alive. Short deadlines where nothing may hang for long."""
    browser = await Browser.launch(driver, BrowserOptions(pages_before_replace=1000))
    yield browser
    await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def browser(driver):
    """A browser that the test may kill or freeze."""
    browser = await Browser.launch(driver, BrowserOptions(operation_timeout=20.0))
    yield browser
    await browser.close()
