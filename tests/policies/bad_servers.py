"""Servers on the loopback that misbehave: HTTP, broken HTTP, TLS with bad certificates, proxies. Each in a thread."""

import contextlib
import datetime as dt
import http.server
import socket
import socketserver
import ssl
import struct
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """A client that hangs up is what the tests are about."""


@contextlib.contextmanager
def serving(handler, wrap=None):
    """A server with this handler in a thread; gives its port, and sets its event ``ended`` before it ends."""
    with Server(("127.0.0.1", 0), handler) as server:
        server.ended = threading.Event()
        if wrap is not None:
            server.socket = wrap(server.socket)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


def closed_port():
    """A port at which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Site(http.server.BaseHTTPRequestHandler):
    """``/status/N`` has that status and no body; other paths have the fault that their first word names."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        """Quiet."""

    def do_GET(self):
        word, _, rest = self.path.lstrip("/").partition("?")[0].partition("/")
        getattr(self, word.replace("-", "_"))(rest)

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def status(self, rest):
        status, _, wait = rest.partition("/")
        self.answer(int(status), **({"Retry_After": wait} if wait else {}))

    def page(self, rest):
        self.answer(200, b"<title>page</title><a>timeout</a><a>404</a><input>", Content_Type="text/html")

    def loop(self, rest):
        self.answer(302, Location=self.path)

    def download(self, rest):
        self.answer(200, b"x", Content_Type="application/zip", Content_Disposition="attachment; filename=x.zip")

    def hang(self, rest):
        self.server.ended.wait()

    def empty(self, rest):
        self.close_connection = True

    def reset(self, rest):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def garbage(self, rest):
        self.wfile.write(b"\x00\x01 this is not HTTP\r\n\r\n")
        self.close_connection = True

    def huge_headers(self, rest):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-Big: " + b"x" * 400_000 + b"\r\n\r\n")
        self.close_connection = True

    def two_lengths(self, rest):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx")
        self.close_connection = True

    def two_places(self, rest):
        self.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n")
        self.close_connection = True

    def to_file(self, rest):
        self.answer(302, Location="file:///etc/hostname")

    def to_nowhere(self, rest):
        self.answer(302, Location=f"http://127.0.0.1:{rest}/")

    def cut(self, rest):
        self.wfile.write(b"HTTP/1.1 %s Cut\r\nConnection: close\r\n\r\n" % rest.encode())
        self.close_connection = True

    def short(self, rest):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\nshort")
        self.close_connection = True

    def gzip(self, rest):
        self.answer(200, b"this is not gzip", Content_Type="text/html", Content_Encoding="gzip")


class RefusingProxy(http.server.BaseHTTPRequestHandler):
    """Lets nobody in."""

    protocol_version = "HTTP/1.1"
    STATUS = 407

    def log_message(self, *arguments):
        """Quiet."""

    def do_GET(self):
        self.send_response(self.STATUS)
        if self.STATUS == 407:
            self.send_header("Proxy-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_CONNECT = do_GET


class BrokenProxy(RefusingProxy):
    """Reaches nobody."""

    STATUS = 502


def tls(folder, *, host="127.0.0.1", days=1):
    """A function that wraps a socket with a self-signed certificate for ``host``, good for ``days`` (past if < 0)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=10))
        .not_valid_after(now + dt.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{host}{days}.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return lambda plain: context.wrap_socket(plain, server_side=True)
