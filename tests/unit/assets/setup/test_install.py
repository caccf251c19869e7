"""The first install: what failed is said with its remedy; how far it is; broken off, it goes on."""

import importlib.util
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.waiting import wait_for

FILE = Path(__file__).parents[4] / "assets" / "setup" / "install.py"


@pytest.fixture(scope="module")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("error: Failed to fetch: `https://pypi.org/simple/torch/`\n dns error: failed to lookup", "UV_DEFAULT"),
        ("WARNING: Retrying: NewConnectionError(': Failed to establish a new connection')", "UV_DEFAULT_INDEX"),
        ("  Caused by: operation timed out", "https_proxy"),
        ("  Caused by: tunnel error: unsuccessful", "https_proxy"),
        ("HTTP/1.1 407 Proxy Authentication Required", "NAME:PASSWORD"),
        ("  Caused by: invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
        ("error: failed to write to `.venv/x`: No space left on device (os error 28)", "df -h"),
        ("  × No solution found when resolving:\n  lmdeploy has no wheels with a matching", "ENGINES=none"),
        ("ERROR: No matching distribution found for lmdeploy==0.18.0", "ENGINES=none"),
        ("ERROR: Package 'x' requires a different Python: 3.9.2 not in '>=3.11'; Requires-Python", "PYTHON="),
        ("error: command 'gcc' failed: No such file or directory", "build-essential"),
        ("\x1b[31merror\x1b[39m: Failed to build `psutil==7`", "build-essential"),
        ("error: failed to create directory `.venv`: Permission denied (os error 13)", "belongs to another user"),
        ("something never seen", ""),
    ],
)  # fmt: skip
def test_what_to_do(install: ModuleType, written: str, remedy: str) -> None:
    said = install.remedy(written)
    assert remedy in said
    assert bool(said) is bool(remedy)


def test_the_page_has_words_for_each_cause(install: ModuleType) -> None:
    names = [name for name, _, _ in install.REMEDIES]
    assert len(set(names)) == len(names)
    told = json.loads((FILE.parents[2] / "ui" / "locales" / "installation.json").read_text(encoding="utf-8"))
    failures = {key.removeprefix("installation.failed.") for key in told if key.startswith("installation.failed.")}
    assert failures == {*names, "unknown"}
    assert install.cause("error: Failed to fetch: `x`") == "network"


def test_room(install: ModuleType, tmp_path: Path) -> None:
    assert install.lacking(0.0, str(tmp_path)) == ""
    assert "ENGINES=none" in install.lacking(10**9, str(tmp_path))


def test_a_failure_keeps_its_status_and_is_explained() -> None:
    code = "import sys; print('error: dns error'); sys.exit(2)"
    done = subprocess.run([sys.executable, FILE, "--", sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout.startswith("error: dns error\n")
    assert "The package server can't be reached." in done.stdout
    assert "goes on" in done.stdout


def test_on_a_terminal_the_bars_are_seen_and_it_can_be_broken_off(tmp_path: Path) -> None:
    """The installer believes that it writes to a terminal; Ctrl-C ends it too, and the status says so."""
    pids = tmp_path / "pid"
    code = (
        "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid()));"
        "print('bar' if sys.stdout.isatty() else 'no bar', flush=True); time.sleep(300)"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, FILE, "--", sys.executable, "-c", code, pids],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        # Whoever runs the tests in the background has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    os.close(theirs)
    written = b""

    def shown() -> bool:
        nonlocal written
        written += os.read(ours, 4096)
        return b"bar" in written

    try:
        wait_for("its bar is shown", shown)
        assert b"no bar" not in written
        child = int(pids.read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert not Path(f"/proc/{child}").exists()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
