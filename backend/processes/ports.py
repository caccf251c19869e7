"""TCP ports: which are free, and whose a listening one is."""

import errno
import os
import socket
from collections.abc import Collection
from contextlib import suppress

import psutil


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now. An address that isn't this machine's, or no port at all, gives False."""
    if not 1 <= port <= 65535:  # getaddrinfo would take it modulo 65536
        return False
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do: a port whose last connections are still in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)  # without listening: a server that starts at this very moment isn't in the way
    except OSError:
        return False
    return True


def free_port(host: str = "127.0.0.1", preferred: int | None = None, avoid: Collection[int] = ()) -> int:
    """A port where a server can listen now: the first free one from ``preferred`` on, else any that the system gives.

    ``avoid`` are ports that are promised to somebody who doesn't listen yet. Raises OSError where none is left.
    """
    if preferred is not None:
        for port in range(preferred, min(preferred + 100, 65536)):
            if port not in avoid and is_free(host, port):
                return port
    for _ in range(len(avoid) + 1):
        with socket.create_server((host, 0)) as probe:
            port = int(probe.getsockname()[1])
        if port not in avoid:
            return port
    raise OSError(errno.EADDRINUSE, "no free port")


def listens(pid: int, port: int) -> bool | None:
    """Whether the process or one it started listens on the TCP port; None where the system doesn't tell.

    Any account can bind a loopback port: that something answers there doesn't make it the server that was started.
    """
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return False
    readable = False
    for process in family:
        with suppress(psutil.NoSuchProcess):
            try:
                connections = process.net_connections(kind="tcp")
            except psutil.AccessDenied:
                continue
            readable = True
            if any(c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port for c in connections):
                return True
    return False if readable else None


def is_ours(port: int) -> bool:
    """Whether this very process listens on the TCP port; its children don't count."""
    try:
        connections = psutil.Process(os.getpid()).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port for c in connections)
