"""Which Pythons are found, and what is made of their answers. Fake environments answer with a script of their own."""

import json
import os
import sys
from functools import partial
from pathlib import Path

import pytest

from backend.machine import environments
from backend.machine.child import NoAnswer, ask
from backend.machine.environments import PROBE, Candidate, EnvironmentFinder, find_pythons, name_apart, probe
from backend.machine.flag_reader import read_capabilities
from backend.machine.machine import Environment
from tests.conftest import make_settings
from tests.support.machines import CONSOLE, GPUS
from tests.support.waiting import wait_for

VERSIONS = {
    "lmdeploy": "0.5.3", "transformers": "4.42.0", "torch": "2.1.2", "torch_cuda": "12.1", "turbomind_cuda": "12",
    "modified": 1.0,
}  # fmt: skip
PARSER = {
    "serve": [{"names": ["--tp"], "kind": "int", "nargs": "", "choices": [], "suggestions": [], "default": "1",
               "help": ""}],
    "awq": [], "turbomind_architectures": [], "pytorch_architectures": [],
}  # fmt: skip


def fake_environment(prefix: Path, versions: object = VERSIONS, parser: object = PARSER, code: str = "") -> Path:
    """An environment whose python answers probe.py and read_flags.py with these values, after running ``code``."""
    python = prefix / "bin" / "python"
    python.parent.mkdir(parents=True)
    (prefix / "lib" / "python3.10" / "site-packages" / "lmdeploy").mkdir(parents=True)
    python.write_text(
        f"#!{sys.executable}\nimport sys, json, os, time\n{code}\n"
        f"answer = {versions!r} if sys.argv[1].endswith('probe.py') else {parser!r}\n"
        "print(answer if isinstance(answer, str) else json.dumps(answer))\n"
    )
    python.chmod(0o755)
    return python


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only what a test makes is there to be found."""
    monkeypatch.setattr(environments, "CONDA_ROOTS", ("~/miniconda3",))
    monkeypatch.setattr(environments, "CONDA_ENVS", ("~/.conda/envs",))
    monkeypatch.setattr(environments, "PROJECT", tmp_path / "project")
    for name in [name for name in os.environ if environments.ACTIVE.fullmatch(name)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def found(tmp_path: Path, *given: Path) -> dict[Path, str]:
    settings = make_settings(tmp_path / "state", lmdeploy=given)
    return {candidate.python: candidate.kind for candidate in find_pythons(settings)}


def test_where_environments_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path(os.environ["HOME"])
    second = fake_environment(tmp_path / "project" / ".venv-internlm2")
    given = fake_environment(tmp_path / "given")
    folder = fake_environment(tmp_path / "folder")
    conda = fake_environment(home / ".conda" / "envs" / "course")
    listed = fake_environment(tmp_path / "listed")
    active = fake_environment(tmp_path / "active")
    on_path = fake_environment(tmp_path / "on-path")
    (on_path.parent / "lmdeploy").write_text("#!/bin/sh\n")
    (on_path.parent / "lmdeploy").chmod(0o755)
    (home / ".conda" / "environments.txt").write_text(f"{listed.parents[1]}\n\n{tmp_path / 'gone'}\n")
    monkeypatch.setenv("CONDA_PREFIX_1", str(active.parents[1]))
    monkeypatch.setenv("PATH", f"{on_path.parent}:/usr/bin:/bin")
    pythons = found(tmp_path, given, folder.parents[1], given)
    assert pythons == {
        Path(sys.executable): "console", second: "internlm2", given: "found", folder: "found", on_path: "found",
        active: "found", listed: "found", conda: "found",
    }  # fmt: skip
    assert list(pythons)[:2] == [Path(sys.executable), second]


def test_an_environment_is_asked_once_and_only_where_it_holds_lmdeploy(tmp_path: Path) -> None:
    envs = Path(os.environ["HOME"]) / ".conda" / "envs"
    real = fake_environment(envs / "a")
    (envs / "b").symlink_to(envs / "a")
    without = fake_environment(envs / "c")
    (without.parents[1] / "lib" / "python3.10" / "site-packages" / "lmdeploy").rmdir()
    assert found(tmp_path) == {Path(sys.executable): "console", real: "found"}


def test_a_script_without_a_python_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = fake_environment(tmp_path / "elsewhere")
    script = tmp_path / "bin" / "lmdeploy"
    script.parent.mkdir()
    script.write_text(f"#!{python}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    assert python in found(tmp_path)


def test_what_an_environment_answers(tmp_path: Path) -> None:
    answer = probe(Candidate(fake_environment(tmp_path / "course"), "found"))
    assert answer is not None
    environment, modified = answer
    assert (environment.label, modified) == ("course: LMDeploy 0.5.3, transformers 4.42.0", 1.0)
    assert (environment.torch, environment.torch_cuda, environment.turbomind_cuda) == ("2.1.2", "12.1", "12")
    assert environment.problem is None


@pytest.mark.parametrize("code", ["sys.exit('broken')", "print('noise')", "raise SystemExit(3)"])
def test_a_broken_environment(tmp_path: Path, code: str) -> None:
    python = fake_environment(tmp_path / "broken", code=code)
    assert probe(Candidate(python, "found")) is None
    answer = probe(Candidate(python, "found", given=True))
    assert answer is not None
    assert answer[0].problem is not None
    assert answer[0].problem.key == "environments.probe-failed"


def test_a_given_python_without_lmdeploy_is_listed(tmp_path: Path) -> None:
    python = fake_environment(tmp_path / "bare", VERSIONS | {"lmdeploy": ""})
    assert probe(Candidate(python, "found")) is None
    answer = probe(Candidate(python, "found", given=True))
    assert answer is not None
    assert answer[0].problem is not None
    assert answer[0].problem.key == "environments.lacks-lmdeploy"


def test_a_python_that_never_answers_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"pid = os.fork(); open({str(pids)!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(600)"
    python = fake_environment(tmp_path / "hangs", code=code)
    with pytest.raises(NoAnswer, match="no answer within"):
        ask(python, PROBE, deadline_s=2.0)
    for pid in pids.read_text().split():
        wait_for(f"{pid} to end", partial(_has_ended, pid))


def _has_ended(pid: str) -> bool:
    return not Path("/proc", pid, "cmdline").exists() or _is_zombie(pid)


def _is_zombie(pid: str) -> bool:
    try:
        return ") Z " in Path("/proc", pid, "stat").read_text()
    except OSError:
        return True


def test_environments_of_one_name_get_their_folder() -> None:
    a = Environment("/a/env/bin/python", "env: LMDeploy 1", Path("/a/env/bin/python"), "found", "1")
    b = Environment("/b/env/bin/python", "env: LMDeploy 1", Path("/b/env/bin/python"), "found", "1")
    assert [e.label for e in name_apart([a, b])] == ["/a/env: LMDeploy 1", "/b/env: LMDeploy 1"]
    assert name_apart([a]) == [a]


def test_the_finder_knows_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "QUIET_SECONDS", 0.0)
    course = fake_environment(tmp_path / "course")
    broken = fake_environment(tmp_path / "broken", parser="no JSON")
    own = fake_environment(tmp_path / "own", VERSIONS | {"lmdeploy": "0.18.0"})
    monkeypatch.setattr(sys, "executable", str(own))
    settings = make_settings(tmp_path / "state", lmdeploy=(course, broken))
    finder = EnvironmentFinder(settings, lambda: (GPUS, "535.54", "12.2"))
    try:
        machine = finder.machine(wait_s=60.0)
        assert (machine.gpus, machine.driver, machine.driver_cuda) == (GPUS, "535.54", "12.2")
        assert [e.id for e in machine.environments] == [str(own), str(course), str(broken)]

        def all_asked() -> bool:
            answers = {e.id: e for e in finder.machine().environments}
            asked = all(answers[str(python)].capabilities.source == "parser" for python in (own, course))
            return asked and answers[str(broken)].problem is not None

        wait_for("the parsers' answers", all_asked)
        assert (settings.state_dir / "hub").is_dir()
        course.unlink()
        finder.refresh()
        wait_for("the course's environment to be reported broken", lambda: _problem(finder, course))
        assert next(e for e in finder.machine().environments if e.id == str(own)).capabilities.source == "parser"
    finally:
        finder.close()


def _problem(finder: EnvironmentFinder, python: Path) -> bool:
    finder.refresh()
    return any(e.id == str(python) and e.problem is not None for e in finder.machine().environments)


def test_a_parser_is_asked_once_for_each_version(tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'asked')!r}, 'a').write('x')"
    python = fake_environment(tmp_path / "env", code=code)
    environment = Environment(str(python), "env", python, "found", lmdeploy="0.5.3")
    cache = tmp_path / "cache"
    first = read_capabilities(environment, 1.0, cache)
    assert first.serve[0].names == ("--tp",)
    assert read_capabilities(environment, 1.0, cache) == first
    assert (tmp_path / "asked").read_text() == "x"
    read_capabilities(environment, 2.0, cache)  # installed again
    assert (tmp_path / "asked").read_text() == "xx"
    for file in cache.iterdir():
        file.write_text(json.dumps([1]))  # a cache that nothing can be made of
    assert read_capabilities(environment, 1.0, cache) == first


def test_an_environment_that_is_not_there() -> None:
    with pytest.raises(NoAnswer):
        ask(CONSOLE.python, PROBE, deadline_s=5.0)
