"""A command shown is the command run; secrets are in neither."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backend.processes.command import CommandSpec, SecretFile

PRINT = (
    "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ.get('A'), os.environ.get('HOME'), os.getcwd()]))"
)


def test_a_preview_runs_in_a_shell_whatever_the_arguments(tmp_path: Path) -> None:
    folder = tmp_path / "a folder; with 'quotes' \"and\" $HOME `x`\n模型"
    folder.mkdir()
    secret = tmp_path / "key file"
    secret.write_text("s3cret $x 'y'")
    arguments = ("--x", "a b", "", "-n", "--", "$(id)", "';rm", "*", "\\", "新\n行")
    spec = CommandSpec(
        (sys.executable, "-c", PRINT, *arguments, SecretFile(secret)), (("A", "1 2 $x"), ("HOME", None)), folder
    )
    assert "s3cret" not in spec.preview()
    said = subprocess.run(["sh", "-c", spec.preview()], capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == [[*arguments, "s3cret $x 'y'"], "1 2 $x", None, str(folder)]


def test_secrets_are_read_by_the_entry(tmp_path: Path) -> None:
    spec = CommandSpec(("program", "--key", SecretFile(tmp_path / "key"), "x"), secret_entry=("python", "entry.py"))
    assert spec.launch_argv() == ["python", "entry.py", "--key", f"@{tmp_path / 'key'}", "x"]


def test_a_secret_without_an_entry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="secret_entry"):
        CommandSpec(("program", SecretFile(tmp_path / "key"))).launch_argv()


def test_without_secrets_what_is_shown_is_what_is_started() -> None:
    assert CommandSpec(("a", "b c"), secret_entry=("never",)).launch_argv() == ["a", "b c"]
