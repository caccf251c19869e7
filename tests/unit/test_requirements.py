"""The three lists of dependencies say the same."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = {"lmdeploy", "torch", "gradio", "openai", "nvidia-ml-py", "plotly"}


def lines(file: str) -> dict[str, str]:
    """Requirements by name, without what they are for."""
    text = (ROOT / file).read_text(encoding="utf-8")
    bare = [line.split("#")[0].strip() for line in text.splitlines()]
    return {re.split(r"[=<>\[ ]", line)[0].lower(): line for line in bare if line and not line.startswith("-")}


def test_the_whole_holds_what_the_console_needs() -> None:
    whole = lines("requirements.txt")
    assert {name: whole.get(name) for name in lines("requirements-console.txt")} == lines("requirements-console.txt")


def test_the_whole_names_what_the_project_is_about() -> None:
    assert set(lines("requirements.txt")) >= NAMED


def test_every_dependency_says_what_it_is_for() -> None:
    for file in ("requirements.txt", "requirements-dev.txt", "requirements-unit.txt"):
        text = (ROOT / file).read_text(encoding="utf-8")
        bare = [line for line in text.splitlines() if line and not line.startswith(("#", "-")) and "#" not in line]
        assert bare == [], file
