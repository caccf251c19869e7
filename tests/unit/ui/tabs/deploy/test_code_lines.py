import ast
import shlex
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
    assert set(lines) == {"curl", "ask", "python", "claude", "ssh"}
    assert lines["curl"] == "curl http://127.0.0.1:23333/v1/models"
    assert not any("Bearer" in line for line in lines.values())


def test_the_key_is_read_where_it_is_used() -> None:
    lines = code_lines(view(), KEY, parse_login("ssh -p 41682 root@ssh.example.com"))
    assert '"Authorization: Bearer $(cat ' in lines["curl"]
    assert lines["ssh"] == "ssh -CN -L 23333:127.0.0.1:23333 -p 41682 root@ssh.example.com"
    assert lines["key"].startswith('export LMDEPLOY_KEY="$(ssh -p 41682 root@ssh.example.com ')
    remote = shlex.split(lines["key"].removeprefix('export LMDEPLOY_KEY="$(').removesuffix(')"'))[-1]
    assert shlex.split(remote) == ["cat", str(KEY)]


def test_claude_code_asks_the_server_itself() -> None:
    words = shlex.split(code_lines(view(), None, None)["claude"])
    assert words[0] == "ANTHROPIC_BASE_URL=http://127.0.0.1:23333"  # it adds /v1/messages
    assert 'ANTHROPIC_MODEL=/m\'s "tiny"' in words
    assert words[-1] == "claude"
    assert 'ANTHROPIC_AUTH_TOKEN="$(cat ' in code_lines(view(), KEY, None)["claude"]
    assert "claude" not in code_lines(view(config=ServeConfig("transformers", "/m")), KEY, None)


@pytest.mark.parametrize("key_file", [None, KEY])
def test_the_python_lines_are_python(key_file: Path | None) -> None:
    source = code_lines(view(), key_file, None)["python"]
    names = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    assert {"http://127.0.0.1:23333/v1", '/m\'s "tiny"'} <= names
    assert (str(KEY) in names) == (key_file is not None)


def test_the_question_is_one_shell_word_of_json() -> None:
    words = shlex.split(code_lines(view(), None, None)["ask"])
    assert '"model": "/m\'s \\"tiny\\""' in words[words.index("-d") + 1]
