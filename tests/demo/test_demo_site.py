"""The site serves every page, fails as planned, counts what it serves and survives its clients."""

import contextlib
import http.client
import json
import re
import socket
import struct
import threading
from types import SimpleNamespace

import attrs
import pytest

from scorewise_actors.demo import pages, server
from scorewise_actors.demo.league import Fault, League
from scorewise_actors.demo.site import LeagueSite

DEADLINE = 60
"""Seconds after which a test that waits for the site has failed."""


@pytest.fixture
def healthy():
    """A served league without faults; a bug inside the site fails the test."""
    with LeagueSite(League(7, 13, faults={})) as site:
        yield site
    assert site.errors == ()


@contextlib.contextmanager
def connected(site):
    """One HTTP connection to the site."""
    connection = http.client.HTTPConnection(site.url.removeprefix("http://"), timeout=DEADLINE)
    try:
        yield connection
    finally:
        connection.close()


def get(site, path, method="GET"):
    """Ask on a fresh connection; returns status, headers and text."""
    with connected(site) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


@contextlib.contextmanager
def faulty(fault, size=2):
    """A served league all of whose match pages have one fault: match 1 and match 2."""
    with LeagueSite(League(7, size, faults={fault: 1.0})) as site:
        yield site
    assert site.errors == ()


def raw(site):
    """A bare connection to the site."""
    return socket.create_connection(site._started.server_address, timeout=DEADLINE)


_OTHERS = set()


@pytest.fixture(autouse=True)
def _sites_of_other_tests():
    """A site that serves a whole test session is none of our business."""
    _OTHERS.clear()
    _OTHERS.update(threading.enumerate())


def site_threads():
    """Names of the living threads of this test's sites."""
    mine = [thread for thread in threading.enumerate() if thread not in _OTHERS]
    return [thread.name for thread in mine if thread.name.startswith("league-site")]


def test_the_index_links_every_round(healthy):
    """The index is plain HTML with a link for each match day."""
    status, headers, text = get(healthy, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert re.findall(r'class="round" href="([^"]+)"', text) == ["/rounds/1", "/rounds/2"]


def test_a_round_carries_its_fixtures_as_json(healthy):
    """The links of a match day are data for its script, not HTML."""
    _status, _headers, text = get(healthy, "/rounds/2")
    data = re.search(r'<script type="application/json" id="fixtures">(.*?)</script>', text, re.DOTALL)
    assert [fixture["path"] for fixture in json.loads(data[1])] == ["/matches/11", "/matches/12", "/matches/13"]
    assert 'href="/matches' not in text


def test_every_match_has_a_page_and_data(healthy):
    """A match page is a shell of 5-10 KB without the score; its data are the record."""
    for match in healthy.league.matches:
        status, _headers, text = get(healthy, match.path)
        assert status == 200
        assert 5_000 <= len(text.encode()) <= 10_000
        assert str(match.attendance) not in text
        status, headers, text = get(healthy, f"/api{match.path}.json")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert json.loads(text) == match.record()


def test_names_are_escaped():
    """Names of clubs and players do not become markup, nor end the JSON that carries them."""
    match = attrs.evolve(League(7, 1).matches[0], home="Castle & <b>Moor", home_squad=("<i>O'Neill",))
    page = pages.match_page(match)
    assert "Castle &amp; &lt;b&gt;Moor" in page
    assert "&lt;i&gt;O&#x27;Neill" in page
    match = attrs.evolve(match, home="</script>")
    page = pages.round_page(SimpleNamespace(round_matches=lambda _number: (match,)), 1)
    assert page.count("</script>") == 2
    assert "\\u003c/script>" in page


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/rounds/0",
        "/rounds/3",
        "/matches/0",
        "/matches/14",
        "/matches/x",
        "/api/matches/14.json",
        "//[",
        "/%",
    ],
)
def test_unknown_paths_are_404(healthy, path):
    """A path outside the league is a 404 with a page to show."""
    status, _headers, text = get(healthy, path)
    assert status == 404
    assert "<h1>404</h1>" in text


def test_head_has_no_body(healthy):
    """HEAD answers with the length of the page and nothing after it: the connection is good for the next request."""
    with connected(healthy) as connection:
        for method, length in (("HEAD", 0), ("GET", 5_000)):
            connection.request(method, "/matches/1")
            answer = connection.getresponse()
            assert (answer.status, answer.headers["Connection"]) == (200, None)
            assert int(answer.headers["Content-Length"]) > 5_000
            assert len(answer.read()) >= length


def test_other_methods_are_refused(healthy):
    """The site only reads: POST is 501 and no hit."""
    assert get(healthy, "/matches/1", method="POST")[0] == 501
    assert healthy.hits == {}


def test_a_connection_is_kept(healthy):
    """Several requests travel over one connection."""
    with connected(healthy) as connection:
        sockets = []
        for path in ("/", "/rounds/1", "/nothing", "/matches/1"):
            connection.request("GET", path)
            connection.getresponse().read()
            sockets.append(connection.sock)
    assert None not in sockets
    assert len(set(sockets)) == 1


def test_hits_are_counted_by_path(healthy):
    """Queries do not split a path, failures count, and asking for the hits does not."""
    for path in ("/matches/1", "/matches/1?again", "/nothing"):
        get(healthy, path)
    expected = {"/matches/1": 2, "/nothing": 1}
    assert healthy.hits == expected
    assert json.loads(get(healthy, "/_hits")[2]) == expected
    assert healthy.hits == expected


def test_hits_are_exact_under_concurrent_clients(healthy):
    """No request of many at the same time is lost from the count."""

    def visit():
        with connected(healthy) as connection:
            for _ in range(25):
                connection.request("GET", "/matches/1")
                connection.getresponse().read()

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert healthy.hits == {"/matches/1": 200}


@pytest.mark.parametrize(("fault", "status"), [(Fault.BROKEN_404, 404), (Fault.BROKEN_500, 500)])
def test_broken_pages_stay_broken(fault, status):
    """A broken page answers the same error every time, with text to show."""
    with faulty(fault) as site:
        for _ in range(3):
            answer = get(site, "/matches/1")
            assert answer[0] == status
            assert "<h1>" in answer[2]


def test_broken_markup_has_no_place_for_the_score():
    """The page loads like any other, without the board that its script would fill."""
    with faulty(Fault.BROKEN_MARKUP) as site:
        status, _headers, text = get(site, "/matches/1")
    assert status == 200
    assert 'id="board"' not in text
    assert 'id="board"' in pages.match_page(site.league.matches[0])


def test_a_rate_limited_page_asks_for_patience_once():
    """The first request of each path is a 429 with Retry-After, the next ones are fine."""
    with faulty(Fault.RATE_LIMITED) as site:
        for path in ("/matches/1", "/matches/2"):
            status, headers, _text = get(site, path)
            assert (status, headers["Retry-After"]) == (429, "1")
            assert [get(site, path)[0] for _ in range(2)] == [200, 200]


def test_a_flaky_page_with_an_even_id_answers_500_once():
    """Only the first request fails."""
    with faulty(Fault.FLAKY) as site:
        assert [get(site, "/matches/2")[0] for _ in range(3)] == [500, 200, 200]


def test_a_flaky_page_with_an_odd_id_resets_the_connection_once():
    """The first request ends in a reset, not in an orderly close."""
    with faulty(Fault.FLAKY) as site:
        with pytest.raises(ConnectionResetError) as caught:
            get(site, "/matches/1")
        assert caught.type is ConnectionResetError  # http.client calls an orderly close by a subclass of it
        assert [get(site, "/matches/1")[0] for _ in range(2)] == [200, 200]


def test_a_reset_on_a_reused_connection_does_not_use_up_the_fault():
    """A browser hides such a reset by repeating the request, so the repeated one is reset as well."""
    with faulty(Fault.FLAKY) as site:
        with connected(site) as connection:
            connection.request("GET", "/")
            connection.getresponse().read()
            connection.request("GET", "/matches/1")
            with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
                connection.getresponse()
        with pytest.raises(ConnectionResetError):
            get(site, "/matches/1")
        assert get(site, "/matches/1")[0] == 200


def test_a_started_again_site_fails_again():
    """Hits and used-up faults belong to one start; the address is kept if the port is."""
    with LeagueSite(League(7, 2, faults={Fault.RATE_LIMITED: 1.0})) as first:
        port = int(first.url.rpartition(":")[2])
        assert [get(first, "/matches/1")[0] for _ in range(2)] == [429, 200]
    site = LeagueSite(first.league, port=port)
    for _ in range(2):
        with site:
            assert site.url == first.url
            assert get(site, "/matches/1")[0] == 429
            assert site.hits == {"/matches/1": 1}


def test_slow_data_come_late_and_only_for_slow_matches(monkeypatch):
    """With an endless delay only a slow match waits, and closing the site ends the wait."""
    monkeypatch.setattr(server, "SLOW_SECONDS", 10 * DEADLINE)
    site = LeagueSite(League(7, 2, faults={Fault.SLOW: 0.5})).start()
    (slow,) = site.league.plan
    with raw(site) as client:
        client.sendall(f"GET /api/matches/{slow}.json HTTP/1.1\r\n\r\n".encode())
        assert get(site, f"/api/matches/{3 - slow}.json")[0] == 200
        assert get(site, f"/matches/{slow}")[0] == 200
        client.settimeout(0)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        site.close()
    assert site_threads() == []


def test_slow_data_do_come(monkeypatch):
    """After its delay a slow match answers like any other."""
    monkeypatch.setattr(server, "SLOW_SECONDS", 0.001)
    with faulty(Fault.SLOW) as site:
        assert json.loads(get(site, "/api/matches/1.json")[2]) == site.league.matches[0].record()


def test_a_hanging_page_never_answers_until_the_site_closes():
    """The connection stays open without a byte; closing the site ends it."""
    with faulty(Fault.HANG) as site:
        client = raw(site)
        client.sendall(b"GET /matches/1 HTTP/1.1\r\n\r\n")
        while site.hits.get("/matches/1") != 1:
            assert get(site, "/")[0] == 200
        client.settimeout(0)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        client.settimeout(DEADLINE)
        site.close()
        assert client.recv(1) == b""
        client.close()
    assert site_threads() == []


def vanish(client):
    """Close with a reset, as a killed process with unread data does."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /mat",
        b"GET /matches/1 HTTP/1.1\r\nHost:",
        b"GET /api/matches/1.json HTTP/1.1\r\n\r\n" * 50,
        b"\xff\0\r\n\r\n",
    ],
    ids=["nothing", "half a line", "half a head", "and reads no answer", "noise"],
)
def test_vanished_clients_are_survived_in_silence(sent, monkeypatch, capfd):
    """Clients that go at any point cost nothing: no output, no error, no thread, and the next one is served."""
    monkeypatch.setattr(server, "SLOW_SECONDS", 0.001)
    with faulty(Fault.SLOW) as site:
        for _ in range(20):
            client = raw(site)
            client.sendall(sent)
            vanish(client)
        assert get(site, "/matches/1")[0] == 200
    assert site_threads() == []
    assert capfd.readouterr() == ("", "")


def test_a_client_that_leaves_a_hanging_page_frees_its_thread(monkeypatch):
    """With room for one connection, the next client is served as soon as the hanging one is gone."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)
    with faulty(Fault.HANG) as site:
        for _ in range(3):
            client = raw(site)
            client.sendall(b"GET /matches/1 HTTP/1.1\r\n\r\n")
            vanish(client)
        assert get(site, "/")[0] == 200


def test_connections_are_bounded(monkeypatch):
    """Beyond the bound a client waits for a free place; nobody is refused."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 4)
    with LeagueSite(League(7, 2, faults={})) as site:
        idle = [raw(site) for _ in range(4)]
        while len(site_threads()) < 5:  # four and the accepting one
            threading.Event().wait(0.005)
        waiting = raw(site)
        waiting.sendall(b"GET /matches/1 HTTP/1.1\r\n\r\n")
        assert len(site_threads()) == 5
        assert site.hits == {}
        idle[0].close()
        assert waiting.recv(15) == b"HTTP/1.1 200 OK"
        for client in (*idle, waiting):
            client.close()


def test_a_crowded_site_takes_its_connections_back(monkeypatch):
    """Above half of the bound an answer closes its connection, so that idle ones cannot fill the site."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 4)
    with LeagueSite(League(7, 2, faults={})) as site:
        assert get(site, "/")[1]["Connection"] is None
        idle = [raw(site) for _ in range(2)]
        while len(site_threads()) < 3:
            threading.Event().wait(0.005)
        assert get(site, "/")[1]["Connection"] == "close"
        for client in idle:
            client.close()


def test_close_ends_idle_connections_even_of_a_full_site(monkeypatch):
    """Closing waits neither for idle clients nor for one that has no place yet, and may be repeated."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(server._Handler, "timeout", 10 * DEADLINE)
    site = LeagueSite(League(7, 2, faults={})).start()
    clients = [raw(site) for _ in range(4)]
    site.close()
    site.close()
    assert site_threads() == []
    with pytest.raises(ConnectionRefusedError):
        raw(site)
    for client in clients:
        client.close()


def test_close_waits_for_the_last_thread(monkeypatch):
    """When close returns, no thread of the site is left, however long one takes to end."""
    finish = server._Handler.finish

    def finish_late(handler):
        threading.Event().wait(0.2)
        finish(handler)

    monkeypatch.setattr(server._Handler, "finish", finish_late)
    site = LeagueSite(League(7, 2, faults={})).start()
    with raw(site):
        while len(site_threads()) < 2:
            threading.Event().wait(0.005)
        site.close()
        assert site_threads() == []


def test_a_bug_of_the_site_is_kept_and_harms_only_one_request(monkeypatch, capfd):
    """A failure inside the site ends that connection, is readable in `errors`, and is not printed."""
    with LeagueSite(League(7, 2, faults={})) as site:
        with monkeypatch.context() as patch:
            patch.setattr(pages, "index_page", None)
            with pytest.raises(http.client.RemoteDisconnected):
                get(site, "/")
        assert get(site, "/")[0] == 200
    (error,) = site.errors
    assert "TypeError: 'NoneType' object is not callable" in error
    assert capfd.readouterr() == ("", "")


def test_a_taken_port_is_named(healthy):
    """The error names address and remedy."""
    port = int(healthy.url.rpartition(":")[2])
    with pytest.raises(OSError, match=rf"cannot serve on 127\.0\.0\.1:{port} .*port=0 takes any free one"):
        LeagueSite(healthy.league, port=port).start()


def test_a_site_is_started_once_and_before_it_is_used(healthy):
    """Starting twice and asking an unstarted site for its address are errors that say what to do."""
    with pytest.raises(RuntimeError, match="close it first"):
        healthy.start()
    with pytest.raises(RuntimeError, match="not served yet; call start"):
        _ = LeagueSite(healthy.league).url
