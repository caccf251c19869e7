"""A real socket whose every connection is answered by a function of the test: for servers that no library would be."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[socket.socket, bytes, threading.Event], None]


@contextmanager
def raw_server(answer: Answer, tls: ssl.SSLContext | None = None, *, read: bool = True) -> Iterator[int]:
    """Gives the port. ``answer`` gets the connection, the request's head, and an event that is set at the end."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if tls is not None:
                connection = stack.enter_context(tls.wrap_socket(connection, server_side=True))
            head = b""
            while read and b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    return
                head += piece
            answer(connection, head, over)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                thread = threading.Thread(target=serve, args=(connection,), daemon=True)
                threads.append(thread)
                thread.start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(10)
        for thread in threads:
            thread.join(10)


def respond(content: bytes, *headers: str, status: str = "200 OK") -> Answer:
    """An ordinary answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", "Connection: close", *headers]

    def answer(connection: socket.socket, head: bytes, over: threading.Event) -> None:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)

    return answer


def dribble(first: bytes, piece: bytes, every_s: float = 0.05) -> Answer:
    """Begins, then sends a piece again and again until the test ends or the client goes."""

    def answer(connection: socket.socket, head: bytes, over: threading.Event) -> None:
        connection.sendall(first)
        while not over.wait(every_s):
            connection.sendall(piece)

    return answer
