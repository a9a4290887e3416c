"""The server behind ``scorewise_actors.demo.site``: one thread per connection, faults by plan, requests counted.

It is written for what a scraper under test does to a server: keep connections open, vanish in the middle of an
answer, be stopped, be killed. Nothing is logged; failures of the server itself are kept in ``LeagueServer.errors``.
"""

import collections
import contextlib
import http.server
import json
import re
import socket
import socketserver
import struct
import threading
import traceback
from typing import Any

from scorewise_actors.demo import pages
from scorewise_actors.demo.league import Fault, League, Match

HOST = "127.0.0.1"
"""The only address that is served."""

SLOW_SECONDS = 0.3
"""How late the data of a slow match comes."""

RETRY_AFTER_SECONDS = 1
"""What a rate-limited page asks for."""

MAX_CONNECTIONS = 100
"""Connections served at a time, a thread each; above half of it they are closed after each answer."""

_ROUND_PATH = re.compile(r"/rounds/([0-9]{1,6})")
_MATCH_PATH = re.compile(r"/matches/([0-9]{1,6})")
_DATA_PATH = re.compile(r"/api/matches/([0-9]{1,6})\.json")


class LeagueServer(socketserver.TCPServer):
    """Accepts connections, gives each a thread, and owns the counters; ``serve_forever`` blocks its caller."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, league: League, port: int) -> None:
        self.league = league
        self.stopping = threading.Event()
        self.errors: list[str] = []
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._lock = threading.Lock()
        self._clients: dict[threading.Thread, socket.socket] = {}
        self._hits: collections.Counter[str] = collections.Counter()
        self._failed_once: set[str] = set()
        super().__init__((HOST, port), _Handler)

    def count(self, path: str) -> None:
        """Count a request."""
        with self._lock:
            self._hits[path] += 1

    def hits(self) -> dict[str, int]:
        """Return the requests so far by path."""
        with self._lock:
            return dict(self._hits)

    def first_time(self, path: str) -> bool:
        """Whether ``path`` has yet to fail; asking uses it up."""
        with self._lock:
            first = path not in self._failed_once
            self._failed_once.add(path)
            return first

    @property
    def crowded(self) -> bool:
        """Whether connections should be given back after each answer, so that nobody waits for an idle one."""
        with self._lock:
            return len(self._clients) > MAX_CONNECTIONS // 2

    def stop(self) -> None:
        """Stop accepting and end every connection; returns when their threads have ended."""
        with self._lock:
            self.stopping.set()
            threads = list(self._clients)
            for client in self._clients.values():
                with contextlib.suppress(OSError):  # it may have gone by itself
                    client.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self.server_close()
        for thread in threads:
            thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a new connection; runs in the accepting thread, which waits here while all slots are taken."""
        self._slots.acquire()
        thread = threading.Thread(
            target=self._serve_client, args=(request, client_address), name="league-site-client", daemon=True
        )
        with self._lock:  # stop() sees every connection that is served, and none is served after it
            if not self.stopping.is_set():
                thread.start()
                self._clients[thread] = request
                return
        self._slots.release()
        self.shutdown_request(request)

    def _serve_client(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except (ConnectionError, TimeoutError):
            pass  # the client has vanished
        except Exception:  # noqa: BLE001 - kept for LeagueSite.errors; the other connections go on
            self.errors.append(traceback.format_exc())
        finally:
            self.shutdown_request(request)
            with self._lock:
                del self._clients[threading.current_thread()]
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep the failure; the base class would print it."""
        del request, client_address
        self.errors.append(traceback.format_exc())


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection: answers its requests one after the other."""

    server: LeagueServer
    protocol_version = "HTTP/1.1"
    server_version = "ScorewiseLeague/1"
    sys_version = ""
    timeout = 10  # seconds that an idle connection is kept
    disable_nagle_algorithm = True  # head and body are two writes; Nagle's delay would cost 40 ms a page

    def setup(self) -> None:
        """Prepare a new connection."""
        super().setup()
        self._reused = False

    def do_GET(self) -> None:
        """Answer a request, or fail as planned."""
        path = self.path.partition("?")[0]
        if path == "/_hits":
            self._answer_json(self.server.hits())
            return
        self.server.count(path)
        self._route(path)
        self._reused = True

    do_HEAD = do_GET  # noqa: N815 - http.server's name; _answer leaves the body out

    def _route(self, path: str) -> None:
        league = self.server.league
        if path == "/":
            self._answer(200, pages.index_page(league))
        elif (found := _ROUND_PATH.fullmatch(path)) and int(found[1]) in league.rounds:
            self._answer(200, pages.round_page(league, int(found[1])))
        elif (found := _MATCH_PATH.fullmatch(path)) and 1 <= int(found[1]) <= league.size:
            self._answer_match(path, league.matches[int(found[1]) - 1])
        elif (found := _DATA_PATH.fullmatch(path)) and 1 <= int(found[1]) <= league.size:
            self._answer_data(league.matches[int(found[1]) - 1])
        else:
            self._answer_error(404, "There is no such page.")

    def _answer_match(self, path: str, match: Match) -> None:
        fault = self.server.league.fault(match.id)
        if fault is Fault.HANG:
            self._hang()
        elif fault is Fault.BROKEN_404:
            self._answer_error(404, "This match has been removed.")
        elif fault is Fault.BROKEN_500:
            self._answer_error(500, "The match centre is broken.")
        elif fault is Fault.FLAKY and match.id % 2 and (self._reused or self.server.first_time(path)):
            # A browser repeats a request that was reset on a reused connection without telling anybody:
            # only a reset on a fresh one is seen, so only that counts as the first.
            self._reset()
        elif fault is Fault.FLAKY and not match.id % 2 and self.server.first_time(path):
            self._answer_error(500, "Please try again.")
        elif fault is Fault.RATE_LIMITED and self.server.first_time(path):
            self._answer_error(429, "Too many requests.", {"Retry-After": str(RETRY_AFTER_SECONDS)})
        else:
            self._answer(200, pages.match_page(match, fault))

    def _answer_data(self, match: Match) -> None:
        if self.server.league.fault(match.id) is Fault.SLOW:
            self.server.stopping.wait(SLOW_SECONDS)
        self._answer_json(match.record())

    def _hang(self) -> None:
        self.connection.settimeout(None)
        self.connection.recv(1)  # returns when the client goes, or when the site hangs up
        self.close_connection = True

    def _reset(self) -> None:
        # Lingering for 0 s turns the close into a reset; a plain close() would wait for the files made of the socket.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(self.connection.detach())
        self.close_connection = True

    def _answer_error(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self._answer(status, pages.error_page(status, text), headers=headers)

    def _answer_json(self, value: Any) -> None:
        self._answer(200, json.dumps(value, ensure_ascii=False), "application/json")

    def _answer(
        self,
        status: int,
        text: str,
        content_type: str = "text/html; charset=utf-8",
        headers: dict[str, str] | None = None,
    ) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")  # every visit is a hit
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.server.crowded:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Log nothing: the terminal belongs to the scraper."""
