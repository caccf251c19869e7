import ast
import shlex
import tomllib
from pathlib import Path

import pytest

from backend.engines.base import ServeConfig
from backend.servers.server import ServerState, ServerView
from ui.ssh import parse_login
from ui.tabs.deploy.code_lines import code_lines

KEY = Path("/state of/keys/a'b.key")


def view(**changes: object) -> ServerView:
    values: dict[str, object] = {
        "id": "a", "name": "tiny", "state": ServerState.RUNNING, "config": ServeConfig("turbomind", "/m"),
        "model_path": "/m", "model_id": "/m's \"tiny\"", "address": "http://127.0.0.1:23333",
        "base_url": "http://127.0.0.1:23333/v1", "port": 23333, "pid": 1, "command": "", "environment": "",
        "takes_images": False, "context_length": 0, "created_at": 1.0,
    }  # fmt: skip
    return ServerView(**(values | changes))  # type: ignore[arg-type]


def test_without_a_key_no_line_speaks_of_one() -> None:
    lines = code_lines(view(), None, None)
    assert set(lines) == {"curl", "ask", "python", "claude", "codex", "ssh"}
    assert lines["curl"] == "curl http://127.0.0.1:23333/v1/models"
    assert not any("Bearer" in line for line in lines.values())


def test_the_key_is_read_where_it_is_used() -> None:
    lines = code_lines(view(), KEY, parse_login("ssh -p 41682 root@ssh.example.com"))
    assert '"Authorization: Bearer $(cat ' in lines["curl"]
    assert lines["ssh"] == "ssh -CN -L 23333:127.0.0.1:23333 -p 41682 root@ssh.example.com"
    assert lines["key"].startswith('export LMDEPLOY_KEY="$(ssh -p 41682 root@ssh.example.com ')
    remote = shlex.split(lines["key"].removeprefix('export LMDEPLOY_KEY="$(').removesuffix(')"'))[-1]
    assert shlex.split(remote) == ["cat", str(KEY)]


def words_of(lines: str) -> list[str]:
    return shlex.split(lines.replace("\\\n", ""))


def test_claude_code_asks_the_server_itself() -> None:
    *variables, program = words_of(code_lines(view(), None, None)["claude"])
    values = dict(variable.split("=", 1) for variable in variables)
    assert program == "claude"
    assert values.pop("ANTHROPIC_BASE_URL") == "http://127.0.0.1:23333"  # it adds /v1/messages
    assert values.pop("ANTHROPIC_AUTH_TOKEN") == "none"
    # Its agents name "haiku" and "sonnet", which no server of ours has.
    assert {"ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL"} <= set(values)
    assert set(values.values()) == {'/m\'s "tiny"'}
    assert 'ANTHROPIC_AUTH_TOKEN="$(cat ' in code_lines(view(), KEY, None)["claude"]


@pytest.mark.parametrize("key_file", [None, KEY])
@pytest.mark.parametrize("name", ["tiny", '/m\'s "tiny"', "模型 \\ $HOME \x7f\t😀"])
def test_codex_is_told_on_the_line(key_file: Path | None, name: str) -> None:
    line = code_lines(view(model_id=name, context_length=32768), key_file, None)["codex"]
    key, _, options = line.partition("codex ")
    words = words_of(options)
    settings = tomllib.loads("\n".join(words[1::2]))  # "-c", "name=value in TOML", ...
    assert set(words[::2]) == {"-c"}
    assert (settings["model"], settings["model_context_window"]) == (name, 32768)
    provider = settings["model_providers"][settings["model_provider"]]
    assert (provider["base_url"], provider["wire_api"]) == ("http://127.0.0.1:23333/v1", "responses")
    assert provider.get("env_key") == (key_file and "LMDEPLOY_KEY")
    assert key == (f'LMDEPLOY_KEY="$(cat {shlex.quote(str(KEY))})" ' if key_file else "")


def test_a_server_without_their_endpoints_is_no_place_for_them() -> None:
    assert not {"claude", "codex"} & set(code_lines(view(config=ServeConfig("transformers", "/m")), KEY, None))


@pytest.mark.parametrize("key_file", [None, KEY])
def test_the_python_lines_are_python(key_file: Path | None) -> None:
    source = code_lines(view(), key_file, None)["python"]
    names = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    assert {"http://127.0.0.1:23333/v1", '/m\'s "tiny"'} <= names
    assert (str(KEY) in names) == (key_file is not None)


def test_the_question_is_one_shell_word_of_json() -> None:
    words = shlex.split(code_lines(view(), None, None)["ask"])
    assert '"model": "/m\'s \\"tiny\\""' in words[words.index("-d") + 1]
