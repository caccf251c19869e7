"""A process that misbehaves on request: ``python misbehave.py WHAT [ARGUMENTS]``. The standard library only."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def wait_for_ever() -> None:
    while True:
        signal.pause()


def say(text: str) -> None:
    print(text, flush=True)


def leave(code: str = "0", text: str = "") -> None:
    """Ends at once with that exit code."""
    if text:
        say(text)
    sys.exit(int(code))


def wait() -> None:
    """Waits for ever."""
    say("waiting")
    wait_for_ever()


def deaf() -> None:
    """Ignores SIGTERM, as a hung server does."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("deaf")
    wait_for_ever()


def report(path: str) -> None:
    """Writes what it was given: arguments, folder, environment, open files, session, signals."""
    facts = {
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "descriptors": {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in ("0", "1", "2")},
        "descriptor_count": len([fd for fd in range(3, 256) if os.path.exists(f"/proc/self/fd/{fd}")]),
        "pid": os.getpid(),
        "session": os.getsid(0),
        "group": os.getpgid(0),
        "default_signals": all(
            signal.getsignal(number) == signal.SIG_DFL for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
        ),
    }
    Path(path).write_text(json.dumps(facts))


def family(path: str, own_session: str, deaf_ones: str, stay: str) -> None:
    """Starts two children (in own sessions, ignoring SIGTERM), writes all pids, then stays or leaves with 7."""
    what = "deaf" if deaf_ones == "yes" else "wait"
    children = [
        subprocess.Popen(
            [sys.executable, __file__, what], start_new_session=own_session == "yes", stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()  # its signals are set up by then
    draft = Path(path + ".part")
    draft.write_text(json.dumps([os.getpid(), *(child.pid for child in children)]))
    draft.rename(path)
    if stay == "yes":
        wait_for_ever()
    os._exit(7)


def flood(size: str) -> None:
    """Writes that many bytes of lines as fast as it can."""
    line = b"x" * 127 + b"\n"
    for _ in range(int(size) // len(line)):
        sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def progress() -> None:
    """Writes progress as tqdm does, with carriage returns, then waits."""
    for step in range(25):
        sys.stdout.write(f"\rLoading: {step * 4:3d}%|{'█' * step}{' ' * (24 - step)}| {step}/24")
    sys.stdout.flush()
    wait_for_ever()


if __name__ == "__main__":
    actions: dict[str, Callable[..., None]] = {
        "leave": leave,
        "wait": wait,
        "deaf": deaf,
        "report": report,
        "family": family,
        "flood": flood,
        "progress": progress,
    }
    actions[sys.argv[1]](*sys.argv[2:])
