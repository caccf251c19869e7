"""How a download ended: by what its child wrote, by what a person wanted, by its run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.downloads.download import Download, DownloadState, download_from_json
from backend.downloads.sources import Source
from backend.downloads.watcher import outcome
from backend.errors import Message
from backend.processes.supervisor import Run

DOWNLOAD = Download(
    id="1", name="Org/M", state=DownloadState.RUNNING, source=Source("huggingface", "https://hf.example"),
    repository="Org/M", revision="c" * 40, ref="main", target="/models/M", layout="folder",
    stage="/models/.M.1.loading", total_bytes=100, files=2, order=1.0, created_at=1.0, run_id="r", done_bytes=40,
)  # fmt: skip
RUN = Run("r", "download", "Org/M", 7, 1.0, 9.0, 0, "", False, False, None, Path("/nowhere/log"), Path("/nowhere"))


@pytest.mark.parametrize(
    ("wish", "run", "result", "state", "key"),
    [
        ("", {}, {"key": "", "params": {}}, "succeeded", ""),
        ("cancel", {"exit_code": 143}, {"key": "", "params": {}}, "succeeded", ""),
        ("pause", {"exit_code": 143, "stop_requested": True}, None, "paused", ""),
        ("cancel", {"exit_code": 143, "stop_requested": True}, None, "cancelled", ""),
        ("cancel", {"exit_code": 1}, {"key": "gated", "params": {}}, "cancelled", ""),
        ("", {"exit_code": 143, "stop_requested": True}, None, "paused", ""),
        ("", {"exit_code": 1}, {"key": "gated", "params": {}}, "failed", "downloads.failed.gated"),
        ("", {"exit_code": 1}, {"key": "of another version"}, "failed", "downloads.failed.answer"),
        ("", {"exit_code": None, "interrupted": True}, None, "interrupted", ""),
        ("", None, None, "interrupted", ""),
        ("", {"exit_code": -9}, None, "failed", "downloads.failed.died"),
        ("", {"exit_code": None, "problem": Message("servers.process.no-program")}, None, "failed",
         "servers.process.no-program"),
    ],
)  # fmt: skip
def test_ends(wish: str, run: dict[str, Any] | None, result: dict[str, object] | None, state: str, key: str) -> None:
    ended = outcome(replace(DOWNLOAD, wish=wish), None if run is None else replace(RUN, **run), result, "the last line")
    assert ended.state == state
    assert (ended.problem.key if ended.problem else "") == key
    assert ended.wish == ""
    assert ended.ended_at > 0
    assert ended.path == ("/models/M" if state == "succeeded" else "")


def test_it_is_remembered_whole() -> None:
    failed = replace(DOWNLOAD, problem=Message("downloads.failed.gated", {"repository": "Org/M"}))
    assert download_from_json(failed.to_json()) == failed
    assert download_from_json({**DOWNLOAD.to_json(), "of_a_later_version": 1}) == DOWNLOAD


def test_a_hub_snapshot_is_the_models_folder() -> None:
    hub = replace(DOWNLOAD, layout="hub", target="/cache/models--Org--M")
    ended = outcome(hub, RUN, {"key": ""}, "")
    assert ended.path == f"/cache/models--Org--M/snapshots/{'c' * 40}"
