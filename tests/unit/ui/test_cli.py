"""The command line: values, errors that name field, value and remedy, addresses."""

from pathlib import Path

import pytest

from backend.console.tokens import keep_token
from tests.conftest import make_settings
from ui.cli import DEFAULT_PORT, base_address, page_address, parse_command_line, ssh_line, terminal_language
from ui.ssh import parse_login


def test_defaults(own_folders: Path) -> None:
    parsed = parse_command_line([])
    settings = parsed.settings
    assert (settings.host, settings.port, settings.port_asked) == ("127.0.0.1", DEFAULT_PORT, False)
    assert own_folders in settings.state_dir.parents
    assert (settings.models, settings.lmdeploy, settings.root_path) == ((), (), "")
    assert not parsed.check


def test_several_models(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "中 文"]
    for folder in folders:
        folder.mkdir()
    arguments = ["--models", str(folders[0]), str(folders[1]), "--models", str(tmp_path)]
    assert parse_command_line(arguments).settings.models == (*folders, tmp_path)


def test_web_pages_that_may_use_v1() -> None:
    arguments = ["--api-origin", "https://notebook.example", "--api-origin", "http://127.0.0.1:8888/"]
    settings = parse_command_line(arguments).settings
    assert settings.api_origins == ("https://notebook.example", "http://127.0.0.1:8888")
    others = ("chrome-extension://abcdefgh", "app://obsidian.md", "tauri://localhost", "null")
    arguments = [f"--api-origin={origin}" for origin in others]
    assert parse_command_line(arguments).settings.api_origins == others


def test_a_virtual_environment_stands_for_its_python(tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    arguments = ["--lmdeploy", str(tmp_path / "env"), "--lmdeploy", str(python)]
    assert parse_command_line(arguments).settings.lmdeploy == (python, python)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("--port", "99999"),
        ("--port", "-1"),
        ("--port", "x"),
        ("--models", "/no/such/folder"),
        ("--lmdeploy", "/no/such/python"),
        ("--models", "~nobody-of-that-name/models"),
        ("--state-dir", "~nobody-of-that-name/state"),
        ("--language", "de"),
        ("--root-path", "prefix"),
        ("--host", "http://x"),
        ("--api-origin", "notebook.example"),
        ("--api-origin", "https://a.example/path"),
        ("--api-origin", "javascript:alert"),
        ("--api-origin", "app://a b"),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_bad_values(
    field: str, value: str, language: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}[language])
    with pytest.raises(SystemExit) as ended:
        parse_command_line([f"{field}={value}"])
    assert ended.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert field in line
    assert value in line
    assert ("请" in line) == (language == "zh")


def test_a_state_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        parse_command_line(["--state-dir", str(tmp_path / "file")])


def test_language_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert terminal_language([]) == "zh"
    assert terminal_language(["--language", "en"]) == "en"
    assert terminal_language(["--language=en"]) == "en"
    monkeypatch.setenv("LC_ALL", "C")
    assert terminal_language([]) == "en"


@pytest.mark.parametrize(
    ("host", "root_path", "address"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:8300"),
        ("0.0.0.0", "", "http://127.0.0.1:8300"),
        ("::1", "", "http://[::1]:8300"),
        ("gpu.example.edu", "", "http://gpu.example.edu:8300"),
        ("127.0.0.1", "https://hub.example.edu/me", "https://hub.example.edu/me"),
        ("127.0.0.1", "/prefix", "http://127.0.0.1:8300"),
    ],
)
def test_addresses(tmp_path: Path, host: str, root_path: str, address: str) -> None:
    settings = make_settings(tmp_path / "s", host=host, root_path=root_path)
    assert base_address(settings, 8300) == address
    assert page_address(settings, 8300, "abc") == f"{address}/?token=abc"


def test_ssh_line() -> None:
    assert ssh_line(None, 8301).startswith("ssh -CN -L 8301:127.0.0.1:8301 ")
    login = parse_login("ssh -p 41682 root@ssh.example.com")
    assert ssh_line(login, 8301) == "ssh -CN -L 8301:127.0.0.1:8301 -p 41682 root@ssh.example.com"


def test_tokens_are_kept_private_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = keep_token(path)
    assert len(token) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    assert keep_token(path) == token
    assert path.stat().st_mode & 0o777 == 0o600
    assert keep_token(tmp_path / "other") != token


@pytest.mark.parametrize("content", ["", "short\n", "\x00" * 40])
def test_a_useless_token_is_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    assert len(keep_token(path)) >= 32
