"""What a snapshot says of a server: everything to the operator, nothing private to a class."""

import json
from dataclasses import replace
from pathlib import Path

from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.servers.server import FirstAnswer, ServerRecord, ServerState, ServerView
from ui.web.json_answer import encode
from ui.web.snapshot_json import CLASS_FIELDS, view_json
from ui.web.visitor import Role

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


def test_a_class_sees_no_address_as_a_name() -> None:
    config = ServeConfig(engine="external", model="", address="http://10.0.0.7:8000")
    for model_id, shown in (("qwen", "qwen"), ("/secret/models/qwen", "qwen"), ("", "s1")):
        server = replace(VIEW, name="10.0.0.7:8000", config=config, model_id=model_id)
        assert view_json(server, Role.CLASS, "en")["name"] == shown
        assert "10.0.0.7" not in json.dumps(view_json(server, Role.CLASS, "en"))
        assert view_json(server, Role.OPERATOR, "en")["name"] == "10.0.0.7:8000"
    named = replace(VIEW, name="theirs", config=replace(config, model_name="theirs"))
    assert view_json(named, Role.CLASS, "en")["name"] == "theirs"


def test_a_class_sees_no_paths_commands_keys_or_logs() -> None:
    view = view_json(VIEW, Role.CLASS, "en")
    assert set(view) <= CLASS_FIELDS
    assert "secret" not in json.dumps(view)
    assert "23333" not in json.dumps(view)
    assert view["name"] == view["model_id"] == "internlm2"
    assert view["state"] == "failed"


def test_one_bad_name_takes_the_snapshot_from_nobody() -> None:
    bad = "m\ud800\x00"
    view = replace(
        VIEW, name=bad, model_id=bad, progress=float("nan"), reason_lines=(bad,), log_path=Path("/x\udcff"),
        reason=Message("common.unexpected", {"error": bad}), config=ServeConfig(engine="external", model=bad),
    )  # fmt: skip
    for role in Role:
        shown = json.loads(encode(view_json(view, role, "en")))
        assert shown["name"].startswith("m\ufffd")


def test_a_stored_record_is_mended_when_it_is_read() -> None:
    bad = "m\ud800"
    record = ServerRecord(replace(VIEW, name=bad, model_id=bad, context_length=10**300, reason_lines=(bad,)), None)
    stored = json.loads(json.dumps(record.to_json()))
    mended = ServerRecord.from_json(stored).view
    assert (mended.name, mended.model_id, mended.reason_lines) == ("m\\ud800", "m\\ud800", ("m\\ud800",))
    assert mended.context_length == 0
    assert mended.log_path == VIEW.log_path


def test_what_would_help_is_told_with_what_it_changes() -> None:
    first = FirstAnswer("strange", "!!!!", 1.0, Message("servers.first.nonsense", {"name": "n", "text": "!!!!"}))
    config = ServeConfig("turbomind", "m", quant_policy=4)
    server = replace(VIEW, state=ServerState.RUNNING, reason=None, first=first, config=config)
    assert view_json(server, Role.OPERATOR, "en")["remedies"] == [
        {"text": "Use float16", "fields": ["dtype"]},
        {"text": "KV cache of 16 bits", "fields": ["quant_policy"]},
    ]
    assert "remedies" not in view_json(server, Role.CLASS, "en")
