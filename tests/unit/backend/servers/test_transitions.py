"""A server's state follows from what is seen of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.processes.supervisor import Run
from backend.servers.server import ServerRecord, ServerState, ServerView
from backend.servers.transitions import MISSES_UNTIL_UNREACHABLE, Seen, ended_view, next_view

CONFIG = ServeConfig("turbomind", "org/模型", gpus=("0", "1"), extra=("--x", "y z"), session_len=4096)
VIEW = ServerView(
    id="a", name="n", state=ServerState.STARTING, config=CONFIG, model_path="/m", model_id="m", address="http://h:1",
    base_url="http://h:1/v1", port=1, pid=0, command="c", environment="e", takes_images=True, context_length=8,
    created_at=100.0, log_path=Path("/log"),
)  # fmt: skip
RUN = Run("a", "server", "n", 7, 100.0, None, None, "", False, False, None, Path("/log"), Path("/"))
READY = replace(VIEW, state=ServerState.RUNNING, ready_at=110.0, pid=7)
UP = Seen(True, 0, 120.0)
DOWN = Seen(False, 1, 120.0)
GONE = Seen(False, MISSES_UNTIL_UNREACHABLE, 120.0)
WHY = Message("engines.died.other")


def test_loading_shows_stage_and_rounded_progress() -> None:
    view = next_view(VIEW, RUN, replace(DOWN, stage="s", progress=0.29167))
    assert (view.state, view.pid, view.stage, view.progress) == (ServerState.STARTING, 7, "s", 0.29)
    # A log that says nothing new leaves what it said last.
    assert next_view(view, RUN, GONE) == view
    assert next_view(view, RUN, replace(DOWN, stage="t")).progress is None


def test_ready_is_when_health_first_answered() -> None:
    view = next_view(replace(VIEW, stage="s", progress=0.9), RUN, UP)
    assert (view.state, view.ready_at, view.stage, view.progress) == (ServerState.RUNNING, 120.0, "", None)
    assert next_view(view, RUN, replace(UP, now=130.0)) == view


def test_a_missed_probe_is_forgiven_three_are_not() -> None:
    assert next_view(READY, RUN, DOWN) == READY
    away = next_view(READY, RUN, GONE)
    assert away.state == ServerState.UNREACHABLE
    assert next_view(away, RUN, DOWN) == away
    assert next_view(away, RUN, UP) == READY


def test_a_stop_comes_before_everything_else() -> None:
    stopping = replace(RUN, stop_requested=True)
    for view in (VIEW, READY):
        for seen in (UP, DOWN, GONE):
            assert next_view(view, stopping, seen).state == ServerState.STOPPING


def test_a_server_whose_command_is_gone_does_not_run_while_the_rest_of_it_ends() -> None:
    ending = replace(RUN, command_ended=True)
    for view in (VIEW, READY):
        for seen in (UP, DOWN, GONE):
            assert next_view(view, ending, seen).state == ServerState.STOPPING


def test_an_external_server_has_no_process() -> None:
    assert next_view(READY, None, GONE).state == ServerState.UNREACHABLE
    assert next_view(READY, None, UP) == READY


def ended(view: ServerView = READY, **changes: object) -> ServerView:
    return ended_view(view, replace(RUN, ended_at=150.0, **changes), WHY, ("line",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("view", "changes", "state", "reason"),
    [
        (VIEW, {"exit_code": 1}, ServerState.FAILED, WHY),
        (VIEW, {"exit_code": 0}, ServerState.FAILED, WHY),
        (READY, {"exit_code": 0}, ServerState.STOPPED, None),
        (READY, {"exit_code": -6}, ServerState.FAILED, WHY),
        (READY, {"exit_code": -15, "stop_requested": True, "stop_signal": "SIGTERM"}, ServerState.STOPPED, None),
        (VIEW, {"exit_code": -9, "stop_requested": True, "stop_signal": "SIGKILL"}, ServerState.STOPPED, None),
        (READY, {"interrupted": True, "problem": Message("p")}, ServerState.STOPPED, Message("p")),
        (VIEW, {"exit_code": 127, "problem": Message("p")}, ServerState.FAILED, Message("p")),
        (replace(VIEW, reason=Message("late")), {"stop_requested": True}, ServerState.FAILED, Message("late")),
    ],
)
def test_how_it_ended(view: ServerView, changes: dict[str, object], state: ServerState, reason: Message | None) -> None:
    result = ended(view, **changes)
    assert (result.state, result.reason, result.ended_at) == (state, reason, 150.0)
    assert (result.exit_code, result.stop_signal) == (changes.get("exit_code"), changes.get("stop_signal", ""))
    assert bool(result.reason_lines) == (reason is not None and not changes.get("interrupted") and not view.reason)


@pytest.mark.parametrize("view", [VIEW, READY, ended(exit_code=1), replace(READY, log_path=None)])
def test_a_record_survives_its_document(view: ServerView) -> None:
    record = ServerRecord(replace(view, config=replace(CONFIG, api_key="secret")), Path("/keys/a.key"))
    document = record.to_json()
    assert "secret" not in str(document)
    assert ServerRecord.from_json(document) == ServerRecord(view, Path("/keys/a.key"))
    document["view"]["from_a_later_version"] = 1
    document["view"]["config"]["from_a_later_version"] = 1
    assert ServerRecord.from_json(document).view == view
