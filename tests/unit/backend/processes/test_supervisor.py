"""A restarted supervisor among files that aren't what was written: one run's damage is that run's alone."""

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.errors import Unavailable
from backend.processes import runner
from backend.processes.control import LIVES_S
from backend.processes.supervisor import Run, Supervisor
from backend.settings import Settings
from backend.store import Store

SPEC = {
    "id": "damaged",
    "kind": "server",
    "name": "n",
    "started_at": 1.0,
    "boot_id": runner.boot_id(),
    "about": {},
    "argv": ["x"],
    "env": {},
    "cwd": None,
    "leftovers_grace_s": 5,
}
ENDED = {"exit_code": 3, "ended_at": 2.0}
DEEP = "[" * 200_000
Found = Callable[..., dict[str, Run]]


def write(folder: Path, **contents: Any) -> None:
    """The files of a run; a text is written as it is."""
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def found(settings: Settings) -> Iterator[Found]:
    """The runs that a console finds at its start, where one has those files and the other is sound."""
    store = Store(settings.state_dir)
    opened: list[Supervisor] = []

    def find(**contents: Any) -> dict[str, Run]:
        write(settings.runs_dir / "sound", spec={**SPEC, "id": "sound"}, status=ENDED)
        write(settings.runs_dir / "damaged", **contents)
        opened.append(Supervisor(settings, store))
        return {run.id: run for run in opened[0].all()}

    yield find
    for supervisor in opened:
        supervisor.close()
    assert store.settle()
    store.close()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("status", ENDED | change) for change in ({"ended_at": None}, {"exit_code": "x"}, {"error": "x"})),
        ("status", ENDED | {"error": {"errno": 2}}),
        ("status", '{"exit_code": 0, "ended_at": 1e999}'),
        ("status", '{"exit_code": 0, "ended_at": NaN}'),
        ("status", '{"exit_code": 0, "ended_at": -1}'),
        ("status", f'{{"exit_code": {10**30}, "ended_at": 1}}'),
        ("status", DEEP),
        ("process", {"boot_id": "", "runner_pid": "x", "runner_start": 1, "pid": 1, "start": 1}),
        ("process", {"boot_id": "", "runner_pid": 1, "runner_start": 1, "pid": 10**30, "start": 1}),
        ("stop", {"kill_at": None}),
    ],
)
def test_a_file_that_is_not_what_was_written_is_none(found: Found, name: str, content: Any) -> None:
    runs = found(spec=SPEC, **{name: content})
    assert runs["sound"].exit_code == 3
    damaged = runs["damaged"]
    assert damaged.ended
    assert damaged.exit_code is None
    assert damaged.problem is not None
    assert damaged.problem.key == "servers.process.exit-unknown"


def test_a_disk_of_any_size_leaves_the_end_known(found: Found) -> None:
    runs = found(spec=SPEC, status=ENDED | {"free_bytes": 1 << 63})  # as Amazon's EFS tells it
    assert (runs["damaged"].exit_code, runs["damaged"].problem) == (3, None)


@pytest.mark.parametrize(
    "spec", [DEEP, *(SPEC | change for change in ({"about": [1]}, {"started_at": "x"}, {"name": ["x"]}, {"env": 1}))]
)
def test_a_run_whose_spec_is_damaged_is_said_and_its_folder_stays(
    found: Found, settings: Settings, caplog: pytest.LogCaptureFixture, spec: Any
) -> None:
    assert set(found(spec=spec, status=ENDED)) == {"sound"}
    damaged = settings.runs_dir / "damaged" / runner.SPEC
    assert damaged.exists()
    assert str(damaged) in caplog.text


def test_a_folder_that_cannot_be_entered_is_said_and_stays(
    found: Found, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    closed, stat = settings.runs_dir / "damaged", os.stat

    def refusing(path: Any, *rest: Any, **more: Any) -> os.stat_result:
        if path == closed / runner.SPEC:  # root enters every folder
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, *rest, **more)

    monkeypatch.setattr(os, "stat", refusing)
    assert set(found()) == {"sound"}
    assert f"{closed / runner.SPEC} (Permission denied)" in caplog.text


def test_what_fails_on_one_run_leaves_the_others_watched(
    found: Found, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended = Supervisor._ended

    def failing(supervisor: Supervisor, row: Any) -> Any:
        if row.id == "damaged":
            raise RuntimeError("of this run")
        return ended(supervisor, row)

    monkeypatch.setattr(Supervisor, "_ended", failing)
    runs = found(spec=SPEC)
    assert (runs["sound"].exit_code, runs["damaged"].ended) == (3, False)
    assert "run damaged" in caplog.text


HERE = runner.machine()
THERE = {"name": "node7", "id": "7" * 32}


@pytest.mark.parametrize(
    ("machine", "silent_s", "status"),
    [
        (None, 0.0, None),  # of an older runner
        (HERE, 0.0, None),
        (HERE | {"id": ""}, 0.0, None),
        (THERE, LIVES_S + 5, None),
        (THERE, 0.0, ENDED),
    ],
)
def test_a_run_of_another_boot_is_over_where_nothing_says_that_it_lives(
    found: Found, settings: Settings, machine: Any, silent_s: float, status: Any
) -> None:
    assert at_start(found, settings, machine, silent_s, status)["elsewhere"].ended


def test_a_run_that_lives_on_another_machine_is_left_to_it(found: Found, settings: Settings) -> None:
    with pytest.raises(Unavailable) as caught:
        at_start(found, settings, THERE, LIVES_S / 2, None)
    [message] = caught.value.messages
    assert (message.key, message.params["machine"]) == ("servers.process.elsewhere", "node7")
    assert message.params["path"] == str(settings.state_dir)


def at_start(found: Found, settings: Settings, machine: Any, silent_s: float, status: Any) -> dict[str, Run]:
    """The runs, one of them of another boot, whose runner was last heard of so long ago."""
    process = {"boot_id": "another", "runner_pid": 1, "runner_start": 1, "pid": 1, "start": 1}
    contents = {
        "spec": SPEC | {"id": "elsewhere", "boot_id": "another"},
        "process": process if machine is None else process | {"machine": machine},
        "status": status,
    }
    folder = settings.runs_dir / "elsewhere"
    write(folder, **{name: content for name, content in contents.items() if content is not None})
    at = time.time() - silent_s
    os.utime(folder / runner.PROCESS, (at, at))
    return found(spec=SPEC)
