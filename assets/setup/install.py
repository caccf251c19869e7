"""Runs an installer, shows how far it is, and says what failed with its remedy. What came is kept for the next time.

usage: install.py [--needs GB] [--plain] -- COMMAND…
--plain: who shows the output explains a failure

Standard library only: it runs before anything is installed.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

TAIL = 40000
TELL_S = 15.0
GOES_ON = "What has come is kept: the same command goes on from there."
MIRROR = "https://pypi.tuna.tsinghua.edu.cn/simple"
# What an installer writes, and what to do about it: a name, a pattern, a sentence. The first that matches counts. The
# page says the same in its own words (ui/locales/installation.json has one for each name).
REMEDIES = (
    ("disk",
     r"no space left on device|os error 28|disk quota exceeded",
     "The disk is full. Make room (df -h shows where), or move uv's cache: export UV_CACHE_DIR=/big/disk/uv"),
    ("proxy-name",
     r"407 proxy|proxy authentication",
     "The proxy wants a name and a password: export https_proxy=http://NAME:PASSWORD@HOST:PORT"),
    ("certificate",
     r"invalid peer certificate|unknownissuer|certificate_verify_failed|self.signed certificate",
     "This network has a certificate of its own: export SSL_CERT_FILE=/path/to/its.pem"),
    ("python",
     r"requires-python|requires python|python_requires|only python .* (?:is|are) supported",
     "This Python doesn't fit. Give another: make run PYTHON=/path/to/python3.11 (after: make clean)"),
    ("platform",
     r"no solution found|no wheels with a matching|no matching distribution|isn't supported on this platform"
     r"|not a supported wheel",
     "LMDeploy has packages for x86-64 Linux alone. Without them, for servers elsewhere: make run ENGINES=none"),
    ("compiler",
     r"command '?\S*(?:gcc|g\+\+|c\+\+|cc)'? failed|unable to execute '?\S*(?:gcc|cc)|linker `?cc`? not found"
     r"|failed to build|no such file or directory: '?(?:gcc|cc)|python\.h: no such file",
     "A package must be compiled. Install a compiler: sudo apt-get install build-essential python3-dev"),
    ("network",
     r"failed to fetch|error sending request|dns error|temporary failure in name resolution|connection (?:refused|reset"
     r"|timed out)|operation timed out|newconnectionerror|network is unreachable|could not connect|tunnel error"
     r"|request failed after|failed to download|read timed out|incompleteread",
     "The package server can't be reached. Check the connection; behind a proxy: export https_proxy=http://HOST:PORT; "
     "or take a mirror: export UV_DEFAULT_INDEX=" + MIRROR + " PIP_INDEX_URL=" + MIRROR),
    ("permission",
     r"permission denied|os error 13|read-only file system",
     "A folder can't be written to: it belongs to another user, or its disk is read-only. The last lines name it."),
)  # fmt: skip


def remedy(output: str) -> str:
    """What to do about what an installer has written; "" where that isn't known."""
    return next((said for known, _, said in REMEDIES if known == cause(output)), "")


def cause(output: str) -> str:
    """The name of what went wrong in what an installer has written; "" where that isn't known."""
    text = without_colours(output).lower()
    return next((name for name, pattern, _ in REMEDIES if re.search(pattern, text)), "")


def without_colours(text: str) -> str:
    """The text without what moves a terminal's cursor or colours it."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def lacking(needs_gb: float, folder: str = ".") -> str:
    """A sentence where the disk hasn't that much room, "" where it has."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb >= needs_gb:
        return ""
    place = os.path.abspath(folder)
    return (
        f"Too little room: {needs_gb:.0f} GB are needed in {place}, {free_gb:.1f} GB are free. Make room, or install "
        "the console alone, some 300 MB, for an LMDeploy that is on this machine already: make run ENGINES=none"
    )


def run(command: list[str], plain: bool = False) -> int:
    """Run it; its exit status, 130 where a person broke it off. Its output goes on as it comes, with its bars where
    this is a terminal, else with a line now and then."""
    output = bytearray()
    over = threading.Event()
    child: _Forked | subprocess.Popen[bytes]
    if sys.stdout.isatty():
        import pty

        pid, terminal = pty.fork()
        if pid == 0:
            os.execvp(command[0], command)
        _take_size(terminal)
        child = _Forked(pid)
    else:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        assert process.stdout is not None
        terminal = process.stdout.fileno()
        child = process
        threading.Thread(target=_tell, args=(over,), daemon=True).start()
    try:
        while True:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # a pseudo terminal's end
                break
            if not piece:
                break
            output += piece
            del output[:-TAIL]
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        code = child.wait()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        _end(child)
        print("\nBroken off. " + GOES_ON, flush=True)
        return 130
    finally:
        over.set()
    if code != 0 and not plain:
        found = remedy(output.decode("utf-8", "replace"))
        print("\nThe installation failed. " + (found or "The lines above say why.") + "\n" + GOES_ON, flush=True)
    return code


class _Forked:
    """A child of pty.fork, with what of subprocess.Popen is needed."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = _code(status) if pid else None
        return self.code

    def wait(self) -> int:
        if self.code is None:
            self.code = _code(os.waitpid(self.pid, 0)[1])
        return self.code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def _code(status: int) -> int:
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _take_size(terminal: int) -> None:
    """The pseudo terminal is as wide as the real one: bars fit."""
    import fcntl
    import termios

    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, fcntl.ioctl(1, termios.TIOCGWINSZ, b"\0" * 8))


def _end(child: _Forked | subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if child.poll() is not None:
                return
            time.sleep(0.05)
        child.send_signal(number)


def _tell(over: threading.Event) -> None:
    """Without a terminal an installer is silent for minutes: how much has been written since it began."""
    before = shutil.disk_usage(".").used
    while not over.wait(TELL_S):
        written = max(shutil.disk_usage(".").used - before, 0) / 1e9
        print(f"… {written:.1f} GB written", flush=True)


def main(arguments: list[str]) -> int:
    """The command line; the exit status."""
    at = arguments.index("--")
    options, command = arguments[:at], arguments[at + 1 :]
    if options[:1] == ["--needs"] and (said := lacking(float(options[1]))):
        print(said, file=sys.stderr)
        return 1
    return run(command, plain="--plain" in options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
