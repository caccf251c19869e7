"""The unit of the console's service: what systemd reads of it is what was meant; a machine without one is told so."""

import os
import shutil
from pathlib import Path

import pytest

from backend.console.service import NAME, install, remove, unit_path, unit_text, verify
from backend.errors import InvalidInput, Unavailable
from ui import service as command

PYTHON = Path("/usr/bin/env")
APP = Path(__file__).absolute().parents[4] / "app.py"


def values(text: str, name: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{name}=")]


def test_servers_outlive_the_console() -> None:
    text = unit_text(PYTHON, APP, ["--port", "9000"], {})
    assert values(text, "KillMode") == ["process"]
    assert values(text, "ExecStart") == [f'"{PYTHON}" "{APP}" "--port" "9000"']
    assert values(text, "Environment") == []


def test_what_systemd_reads_specially_is_written_so_that_it_comes_through() -> None:
    text = unit_text(Path("/opt/my env/bin/python"), APP, ["--models", '/data/50% "$HOME" \\x'], {})
    (line,) = values(text, "ExecStart")
    assert line.startswith('"/opt/my env/bin/python"')
    assert line.endswith('"--models" "/data/50%% \\"$$HOME\\" \\\\x"')
    with pytest.raises(InvalidInput):
        unit_text(PYTHON, APP, ["--models", "/a\nExecStart=/bin/evil"], {})


def test_no_secret_gets_into_the_file() -> None:
    environ = {"PATH": "/a:/b", "HF_TOKEN": "hf_x", "https_proxy": "http://me:pw@p:1", "HF_HOME": "/data/$x"}
    text = unit_text(PYTHON, APP, [], environ)
    assert values(text, "Environment") == ['"PATH=/a:/b"', '"HF_HOME=/data/$x"']


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze isn't here")
def test_systemd_has_nothing_against_it() -> None:
    environ = {"PATH": os.environ.get("PATH", ""), "HF_HOME": "/data/a b"}
    assert verify(unit_text(PYTHON, APP, ["--models", "/tmp/50% of it", "--port", "9000"], environ)) == ""
    assert "relative" in verify("[Service]\nExecStart=relative/path\n")


@pytest.mark.parametrize(("systemctl", "key"), [(None, "service.no-systemd"), ("false", "service.no-manager")])
def test_a_machine_without_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, systemctl: str | None, key: str
) -> None:
    found = shutil.which(systemctl) if systemctl else None
    monkeypatch.setattr(shutil, "which", lambda name: found)
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    with pytest.raises(Unavailable) as refused:
        install("x", environ)
    assert refused.value.messages[0].key == key
    with pytest.raises(Unavailable) as refused:
        remove(environ)
    assert refused.value.messages[0].key == key
    assert not unit_path(environ).exists()


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A systemctl and a loginctl that write down what they were asked; the real systemd-analyze, where it is."""
    programs = tmp_path / "bin"
    programs.mkdir()
    log = tmp_path / "log"
    for name in ("systemctl", "loginctl"):
        script = programs / name
        script.write_text(f'#!/bin/sh\necho "{name} $*" >> "{log}"\n[ ! -e "{tmp_path}/fail" ]\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ.get('PATH', '')}")
    return tmp_path


def test_installed_and_taken_away(systemd: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(systemd / "config")}
    text = unit_text(PYTHON, APP, [], environ)
    assert [message.key for message in install(text, environ)] == ["service.installed"]
    path = unit_path(environ)
    assert path.read_text() == text
    asked = (systemd / "log").read_text()
    for words in ("--user daemon-reload", f"--user enable {NAME}", f"--user restart {NAME}", "enable-linger"):
        assert words in asked
    assert [message.key for message in remove(environ)] == ["service.removed"]
    assert not path.exists()
    assert [message.key for message in remove(environ)] == ["service.none"]


def test_the_command(systemd: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(systemd / "config"))
    assert command.main(["--port", "9000", "--language=en"]) == 0
    assert "service" in capsys.readouterr().out
    assert '"--port" "9000"' in unit_path(os.environ).read_text()
    with pytest.raises(SystemExit):
        command.main(["--port", "many"])
    capsys.readouterr()
    (systemd / "fail").touch()
    assert command.main(["--remove", "--language=zh"]) == 1
    assert "systemd" in capsys.readouterr().err
