"""Where LMDeploy has no packages, a word comes before anything is downloaded, and it names what does work."""

import subprocess
import sys
from pathlib import Path

import pytest

from assets.setup.supported import ALONE, problem

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
def test_it_can_be_installed(machine: str) -> None:
    assert problem("Linux", machine) == ""


@pytest.mark.parametrize(
    ("system", "machine", "words"),
    [
        ("Linux", "aarch64", ("x86-64", "aarch64", ALONE)),
        ("Linux", "riscv64", ("riscv64", ALONE)),
        ("Darwin", "arm64", ("macOS", "ssh", ALONE)),
        ("Darwin", "x86_64", ("macOS", "ssh")),
        ("Windows", "AMD64", ("WSL2",)),
        ("MINGW64_NT-10.0-22631", "x86_64", ("WSL2",)),
        ("FreeBSD", "amd64", ("FreeBSD", ALONE)),
    ],
)
def test_what_works_instead(system: str, machine: str, words: tuple[str, ...]) -> None:
    said = problem(system, machine)
    assert all(word in said for word in words), said


def test_make_asks_first() -> None:
    """The word comes before uv, the first download."""
    rule = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".venv/.installed:"))
    before, _, after = rule.partition("supported")
    assert "$(UV)" not in before
    assert "$(UV)" in after
    done = subprocess.run(
        [sys.executable, str(ROOT / "assets/setup/supported.py")], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
