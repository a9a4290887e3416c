"""The web server of the demo league, on loopback only.

``LeagueSite`` serves from threads of this process. ``SiteProcess`` runs one in a process of its own that outlives
nobody: it ends on SIGTERM and when its stdin closes, so also when its owner is killed. By hand it serves until Ctrl-C
or SIGTERM, whatever its stdin is:

    python -m scorewise_actors.demo.site --seed 7 --matches 200 --port 8080

It prints one JSON line, ``{"url": ..., "pid": ...}``, when it is ready, and never logs.
"""

import argparse
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from types import TracebackType
from typing import Self

from scorewise_actors.demo.league import League, format_faults, parse_faults
from scorewise_actors.demo.server import HOST, LeagueServer


class LeagueSite:
    """Serves a league from background threads: ``with LeagueSite(league) as site: ... site.url``.

    Every method may be called from any thread. A site can be started again after ``close``, with fresh hits and faults;
    with a fixed ``port`` (default 0: any free one) under the same address.
    """

    def __init__(self, league: League, *, port: int = 0) -> None:
        self.league = league
        self._port = port
        self._server: LeagueServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Bind and serve. Raises ``OSError`` if the port is taken, ``RuntimeError`` if the site is being served."""
        if self._thread is not None:
            raise RuntimeError(f"the site is already served at {self.url}; close it first")
        try:
            self._server = LeagueServer(self.league, self._port)
        except OSError as error:
            message = f"cannot serve on {HOST}:{self._port} ({error.strerror}); port=0 takes any free one"
            raise OSError(error.errno, message) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="league-site", daemon=True
        )
        self._thread.start()
        return self

    def close(self) -> None:
        """Drop every connection and stop serving; ``hits`` and ``errors`` stay readable. Does nothing if not served."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._started.stop()
            thread.join()

    @property
    def url(self) -> str:
        """Base address without a final slash: the index is ``url + "/"``, a match ``url + match.path``."""
        return f"http://{HOST}:{self._started.server_address[1]}"

    @property
    def hits(self) -> dict[str, int]:
        """Requests so far by path, without query. Other processes read them at ``/_hits``, which is not counted."""
        return self._started.hits()

    @property
    def errors(self) -> tuple[str, ...]:
        """Tracebacks of failures inside the site itself: always empty unless it has a bug."""
        return tuple(self._started.errors)

    @property
    def _started(self) -> LeagueServer:
        if self._server is None:
            raise RuntimeError("the site is not served yet; call start() or use it in a with statement")
        return self._server

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SiteProcess:
    """The same site in a process of its own: ``with SiteProcess(league) as site: ... site.url``.

    It holds on while its owner is stopped or busy, and ends when the owner closes it or dies.
    """

    def __init__(self, league: League, *, port: int = 0) -> None:
        self.league = league
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self._url = ""

    def start(self) -> Self:
        """Start the process and wait until it serves.

        Raises ``RuntimeError`` if it cannot (its stderr says why) or if it runs already.
        """
        if self._process is not None:
            raise RuntimeError(f"the site is already served at {self._url} by process {self.pid}; close it first")
        options = {
            "--seed": str(self.league.seed),
            "--matches": str(self.league.size),
            "--port": str(self._port),
            "--faults": format_faults(self.league.faults),
        }
        arguments = [f"{option}={value}" for option, value in options.items()]
        process = subprocess.Popen(
            [sys.executable, "-m", "scorewise_actors.demo.site", "--until-eof", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,  # a Ctrl-C for the scraper is none for the site
        )
        self._process = process
        assert process.stdout is not None  # as stdout=PIPE promises
        line = process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError(f"the site process ended with exit code {process.returncode} before it served")
        self._url = json.loads(line)["url"]
        return self

    def close(self) -> None:
        """Close its stdin, wait for its end, kill it after 10 s. Does nothing if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        """Process id. Raises ``RuntimeError`` if the process does not run."""
        if self._process is None:
            raise RuntimeError("the site process does not run; call start() or use it in a with statement")
        return self._process.pid

    @property
    def url(self) -> str:
        """Base address without a final slash."""
        return self._url

    @property
    def hits(self) -> dict[str, int]:
        """Requests so far by path, asked from the process. Raises ``OSError`` if it is gone."""
        connection = http.client.HTTPConnection(self._url.removeprefix("http://"), timeout=30)
        try:
            connection.request("GET", "/_hits")
            hits: dict[str, int] = json.load(connection.getresponse())
        finally:
            connection.close()
        return hits

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def main(arguments: list[str] | None = None) -> None:
    """Serve a league until SIGTERM or SIGINT, or with ``--until-eof`` the end of stdin; exits with code 2 for wrong
    arguments.
    """
    parser = argparse.ArgumentParser(prog="python -m scorewise_actors.demo.site", description="Serve the demo league.")
    parser.add_argument("--seed", type=int, default=7, help="seed of the league (default 7)")
    parser.add_argument("--matches", type=int, default=200, help="number of match pages (default 200)")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default 0: any free one)")
    parser.add_argument("--faults", default=None, help="shares such as slow=0.1,broken_404=0.02, or none for no faults")
    parser.add_argument("--until-eof", action="store_true", help="end when stdin does (default: on Ctrl-C or SIGTERM)")
    options = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        faults = {} if options.faults is None else {"faults": parse_faults(options.faults)}
        site = LeagueSite(League(options.seed, options.matches, **faults), port=options.port).start()
    except (OSError, OverflowError, ValueError) as error:
        parser.error(str(error))
    with contextlib.closing(site):
        sys.stdout.write(json.dumps({"url": site.url, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        while not options.until_eof:  # in the background of a shell stdin is at its end, or stops who reads it
            signal.pause()
        while os.read(0, 4096):
            pass


if __name__ == "__main__":
    main()
