"""What stands between a browser and the console in the field: a TCP forward, as SSH makes one, and a web proxy that
keeps its prefix in the path or takes it away. And another program's web server on a port of the same host."""

import http.client
import socket
import socketserver
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOP_BY_HOP = ("connection", "transfer-encoding", "keep-alive", "content-length")


@contextmanager
def tcp_forward(port: int) -> Iterator[int]:
    """A port of this machine that leads to that one, as ``ssh -L`` does with another local port."""

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as inner:
                back = threading.Thread(target=pump, args=(inner, self.request), daemon=True)
                back.start()
                pump(self.request, inner)
                back.join(5)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with running(Server(("127.0.0.1", 0), Forward)) as forwarded:
        yield forwarded


@contextmanager
def web_proxy(port: int, prefix: str, *, strip: bool, keep_host: bool = True) -> Iterator[int]:
    """A web proxy below ``prefix``; what is asked elsewhere is 404."""

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            path = self.path.removeprefix(prefix) if strip else self.path
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            upstream.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    rewritten = name.lower() == "host" and not keep_host
                    upstream.putheader(name, f"127.0.0.1:{port}" if rewritten else value)
            upstream.putheader("content-length", str(len(body)))
            upstream.endheaders(body)
            answer = upstream.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("connection", "close")
            self.end_headers()
            while part := answer.read1(65536):
                self.wfile.write(part)
                self.wfile.flush()
            upstream.close()
            self.close_connection = True

        do_GET = do_POST = do_HEAD = do_OPTIONS = forward

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Proxy)) as proxied:
        yield proxied


class OtherServer:
    """A web server on another port of 127.0.0.1 that keeps all it is sent and sets the cookies it was told."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[str] = []
        self.cookies: list[str] = []
        self.page = "<title>other</title>"


@contextmanager
def other_server() -> Iterator[OtherServer]:
    """Started, and ended again."""
    other = OtherServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            other.requests.append(f"{self.requestline}\n{self.headers}")
            body = other.page.encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            for cookie in other.cookies:
                self.send_header("set-cookie", cookie)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        other.port = port
        yield other


@contextmanager
def running(server: socketserver.TCPServer) -> Iterator[int]:
    """The server in a thread; yields its port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield int(server.socket.getsockname()[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Until the source has no more."""
    try:
        while part := source.recv(65536):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def raw_request(port: int, request: bytes, deadline_s: float = 20.0) -> bytes:
    """What comes back for exactly these bytes, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=deadline_s) as connection:
        connection.sendall(request)
        parts: Iterable[bytes] = iter(lambda: connection.recv(65536), b"")
        return b"".join(parts)
