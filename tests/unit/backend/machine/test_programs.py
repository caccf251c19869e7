from pathlib import Path

from backend.machine import programs
from backend.machine.machine import Environment


def test_a_script_beside_the_python_goes_by_its_full_path(tmp_path: Path) -> None:
    environment = Environment("a", "a", tmp_path / "python", "found")
    (tmp_path / "lmdeploy").touch()
    assert programs.lmdeploy(environment) == (str(tmp_path / "lmdeploy"),)
    assert programs.transformers(environment) == (str(tmp_path / "python"), "-m", "transformers.cli.transformers")


def test_without_a_script_the_python_runs_the_module(tmp_path: Path) -> None:
    environment = Environment("a", "a", tmp_path / "python", "found")
    assert programs.lmdeploy(environment) == (str(tmp_path / "python"), "-m", "lmdeploy")
