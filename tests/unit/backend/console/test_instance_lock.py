"""The lock of a state directory."""

import json
import os
from pathlib import Path

import pytest

from backend.console.instance_lock import ADDRESS_FILE, InstanceLock, RunningInstance
from backend.errors import Unavailable


def test_one_holder_at_a_time_and_the_second_learns_the_address(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    first, second = InstanceLock(state), InstanceLock(state)
    assert first.acquire() is None
    assert state.stat().st_mode & 0o777 == 0o700
    starting = second.acquire()
    assert starting is not None
    assert starting.address == ""
    first.write_address("http://127.0.0.1:8300/?token=x")
    assert second.acquire() == RunningInstance("http://127.0.0.1:8300/?token=x", starting.pid)
    assert (state / ADDRESS_FILE).stat().st_mode & 0o777 == 0o600
    first.release()
    first.release()
    assert second.acquire() is None
    second.release()


@pytest.mark.parametrize(
    ("said", "machine"),
    [
        ({"machine": "node7", "network": ""}, "node7"),  # an older console's
        ({"machine": "node7", "network": "another boot"}, "node7"),
        ({"network": "another container"}, os.uname().nodename),
        ({"machine": "renamed since"}, ""),
    ],
)
def test_a_holder_on_another_machine_is_named(tmp_path: Path, said: dict[str, str], machine: str) -> None:
    first, second = InstanceLock(tmp_path), InstanceLock(tmp_path)
    first.acquire()
    first.write_address("http://127.0.0.1:1/")
    file = tmp_path / ADDRESS_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | said))
    assert second.acquire() == RunningInstance("http://127.0.0.1:1/", os.getpid(), machine)
    first.release()


def test_an_address_file_that_cannot_be_read(tmp_path: Path) -> None:
    first, second = InstanceLock(tmp_path), InstanceLock(tmp_path)
    first.acquire()
    for content in ("{", "[]", '{"address": 1}'):
        (tmp_path / ADDRESS_FILE).write_text(content)
        assert second.acquire() == RunningInstance("", 0)
    first.release()


def test_a_state_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        InstanceLock(tmp_path / "file").acquire()
