"""What an earlier server left on a GPU: found by what it runs, ended by its pid alone, and nothing else."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from backend.errors import Forbidden, Message, NotFound
from backend.machine.nvml import GpuReading, ProcessMemory
from backend.processes.runner import RUN_MARK, marks
from backend.servers.leftovers import Leftover, end, find, start_of
from ui.i18n import say

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
MEEK = "import signal; print(1, flush=True); signal.pause()"


@contextmanager
def process(code: str = MEEK, *words: str, marked: Mapping[str, str] = {}) -> Iterator[subprocess.Popen[bytes]]:
    """A process with these words behind it on its command line, and these marks of a run in its environment."""
    child = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE, start_new_session=True, env={**os.environ, **marked},
    )  # fmt: skip
    assert child.stdout is not None
    child.stdout.readline()
    try:
        yield child
    finally:
        child.kill()
        child.wait(10)
        child.stdout.close()


SERVES = ("lmdeploy", "serve", "api_server", "/models/internlm2_5-1_8b-chat", "--server-port", "23333")


def gpu(*held: tuple[int, int | None]) -> GpuReading:
    return GpuReading("0", "GPU-0", "H100", processes=tuple(ProcessMemory(*one) for one in held))


def one_of(pid: int) -> Leftover:
    (found,) = find([gpu((pid, 1))], {})
    return found


def test_what_runs_a_model_server_is_found() -> None:
    with process(MEEK, *SERVES) as server, process(MEEK, "/envs/lmdeploy/train.py") as training:
        held = gpu((server.pid, 3 << 30), (training.pid, 5 << 30), (2**22 - 1, 1), (os.getpid(), 7))
        (found,) = find([held, gpu((server.pid, 1 << 30))], {})
        assert (found.pid, found.used_bytes, found.own) == (server.pid, 4 << 30, True)
        assert found.what == "lmdeploy serve internlm2_5-1_8b-chat"
        with process(MEEK, "/envs/lmdeploy/train.py", "--data", "vllm", marked={RUN_MARK: "lost"}) as child:
            (marked,) = find([gpu((child.pid, 1))], {})
            assert marked.what == "python"
        assert find([GpuReading("0", "GPU-0", "H100")], {}) == ()  # NVML lists none


def test_the_consoles_own_are_none(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "abc"
    with process(MEEK, *SERVES, marked=marks(folder)) as server:
        held = [gpu((server.pid, 1))]
        assert find(held, {server.pid: folder}) == ()  # a run's command, by its session
        assert find(held, {1: folder}) == ()  # or by its marks, where its session is another
        assert find(held, {1: folder.with_name("other")}) != ()  # one that an earlier console lost
        assert find(held, {1: tmp_path / "copy" / "runs" / "abc"}) != ()  # one of another console, with the same id
    with process(MEEK, *SERVES, marked={RUN_MARK: "abc"}) as server:  # an older console's runner says no folder
        assert find([gpu((server.pid, 1))], {1: folder}) == ()


@pytest.mark.parametrize("code", [MEEK, DEAF])
def test_it_is_ended(code: str) -> None:
    with process(code, *SERVES) as server, process(MEEK, *SERVES) as other:
        leftover = one_of(server.pid)
        end(leftover.pid, leftover.start, [leftover, one_of(other.pid)], grace_s=0.3)
        assert server.wait(10) == (-signal.SIGTERM if code == MEEK else -signal.SIGKILL)
        assert other.poll() is None


def test_another_process_of_that_pid_is_let_alone() -> None:
    with process(MEEK, *SERVES) as server:
        leftover = one_of(server.pid)
        older = replace(leftover, start=leftover.start - 1)
        for start, among in ((older.start, [leftover]), (older.start, [older]), (leftover.start, [])):
            with pytest.raises(NotFound):
                end(server.pid, start, among)
        with pytest.raises(Forbidden) as refused:
            end(server.pid, leftover.start, [replace(leftover, own=False, user="li")])
        assert "li" in say(refused.value.messages[0], "en")
        assert server.poll() is None
    assert start_of(server.pid) is None
    with pytest.raises(NotFound) as gone:
        end(server.pid, leftover.start, [leftover])
    assert gone.value.messages == (Message("servers.leftover.gone", {"pid": server.pid}),)


def test_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with process(MEEK, *SERVES) as server:
        monkeypatch.setattr(os, "getuid", lambda: psutil.Process().uids().real + 1)
        assert not one_of(server.pid).own
