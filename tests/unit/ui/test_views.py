"""What a snapshot says of a server: everything to the operator, nothing private to a class."""

import json
from pathlib import Path

from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.servers.view import ServerState, ServerView
from ui.access import Role
from ui.views import CLASS_FIELDS, view_json

VIEW = ServerView(
    id="s1",
    name="/secret/models/internlm2",
    state=ServerState.FAILED,
    config=ServeConfig(engine="turbomind", model="/secret/models/internlm2", api_key="secret-key"),
    model_path="/secret/models/internlm2",
    model_id="/secret/models/internlm2",
    address="http://127.0.0.1:23333",
    base_url="http://127.0.0.1:23333/v1",
    port=23333,
    pid=42,
    command="lmdeploy serve api_server /secret/models/internlm2",
    environment="/secret/bin/python",
    takes_images=False,
    context_length=32768,
    created_at=1.0,
    exit_code=1,
    reason=Message("common.unexpected", {"error": "/secret/reason"}),
    reason_lines=("/secret/line",),
    log_path=Path("/secret/log.txt"),
)


def test_the_operator_sees_all_but_the_key() -> None:
    view = view_json(VIEW, Role.OPERATOR, "zh")
    assert view["state"] == "failed"
    assert view["engine"] == "turbomind"
    assert view["command"] == VIEW.command
    assert view["log_path"] == "/secret/log.txt"
    assert "控制台内部出错（/secret/reason）" in view["reason"]
    assert "secret-key" not in json.dumps(view)


def test_a_class_sees_no_paths_commands_keys_or_logs() -> None:
    view = view_json(VIEW, Role.CLASS, "en")
    assert set(view) <= CLASS_FIELDS
    assert "secret" not in json.dumps(view)
    assert "23333" not in json.dumps(view)
    assert view["name"] == view["model_id"] == "internlm2"
    assert view["state"] == "failed"
