"""Moves the downloads on, in one thread: starts the next, reads how far it is, takes note of each end.

Everything that waits for a disk or a process is done here, with no lock held, so that no page ever waits for it.
"""

import json
import logging
import secrets
import shutil
import time
from dataclasses import replace
from pathlib import Path

from backend.downloads import online
from backend.downloads.download import Download, DownloadState
from backend.downloads.offers import trouble_message
from backend.downloads.progress import ByteReader
from backend.errors import ConsoleError, Message, NotFound
from backend.processes.growing_log import GrowingLog
from backend.processes.log_file import tail_lines
from backend.processes.standing_watch import StandingWatch
from backend.processes.supervisor import Run, Supervisor
from backend.records import Records

KIND = "download"
PLAN, RESULT = "plan.json", "result.json"
STOP_GRACE_S = 2.0
LOOK_S = 0.25
STALLED_S = 1.0

log = logging.getLogger(__name__)


class _Following:
    """A running download's log."""

    def __init__(self, run: Run, done: int) -> None:
        self.log = GrowingLog(run.log_path)
        self.reader = ByteReader(done)
        self.shown_at = 0.0


class DownloadWatcher(StandingWatch):
    """The one that changes a download which has been started. ``step`` is one look at everything."""

    def __init__(self, records: Records[Download], supervisor: Supervisor, folder: Path) -> None:
        super().__init__("downloads", LOOK_S)
        self._records = records
        self._supervisor = supervisor
        self._folder = folder
        self._following: dict[str, _Following] = {}

    def step(self) -> float | None:
        for download in self._records.all():
            try:
                if download.state is DownloadState.RUNNING:
                    self._look_at(download)
            except Exception:  # the others' turn comes now
                log.exception("download %s", download.id)
        self._launch_next()
        if any(following.log.behind for following in self._following.values()):
            return 0.0
        return LOOK_S if any(one.state is DownloadState.RUNNING for one in self._records.all()) else None

    def pace(self, download: Download) -> tuple[float | None, float | None]:
        """A running download's bytes a second, and the seconds that it still takes; None while that can't be said."""
        following = self._following.get(download.id)
        if following is None:
            return None, None
        speed = following.reader.speed(time.monotonic())
        left = max(download.total_bytes - download.done_bytes, 0)
        return speed, left / speed if speed and speed > 0 else None

    def _look_at(self, download: Download) -> None:
        run = self._run(download.run_id)
        if download.wish and run is not None and not run.ended and not run.stop_requested:
            self._supervisor.stop(run.id, grace_s=STOP_GRACE_S)
        if run is not None:
            following = self._following.setdefault(download.id, _Following(run, download.done_bytes))
            now = time.monotonic()
            done = following.reader.feed(following.log.read(), now)
            if done != download.done_bytes or now - following.shown_at > STALLED_S:
                following.shown_at = now
                self._show(download.id, done)
            if not run.ended or following.log.behind:
                return
        self._following.pop(download.id, None)
        ended = self._ended(download.id, run)
        if ended is not None and ended.state is DownloadState.CANCELLED:
            shutil.rmtree(ended.stage, ignore_errors=True)

    def _show(self, download_id: str, done: int) -> None:
        """Pages see how far it is, and how slow a line has become that gives nothing."""
        with self._records.lock:
            download = self._records.get(download_id)
            if download is not None and download.state is DownloadState.RUNNING:
                self._records.put(download_id, replace(download, done_bytes=done), stored=False)

    def _ended(self, download_id: str, run: Run | None) -> Download | None:
        """Take note of a run's end."""
        result = _result(self._folder / download_id / RESULT)
        lines = tail_lines(run.log_path, 20) if run is not None else ()

        def settled(now: Download) -> Download:
            return outcome(now, run, result, next((line for line in reversed(lines) if line.strip()), ""))

        return self._records.change(download_id, settled)

    def _run(self, run_id: str) -> Run | None:
        try:
            return self._supervisor.get(run_id)
        except NotFound:
            return None

    def _launch_next(self) -> None:
        """Start the next, where none runs: two would share one line."""
        downloads = self._records.all()
        if any(one.state is DownloadState.RUNNING for one in downloads):
            return
        waiting = [one for one in downloads if one.state is DownloadState.QUEUED]
        if waiting:
            self._launch(min(waiting, key=lambda one: one.order))

    def _launch(self, download: Download) -> None:
        folder = self._folder / download.id
        started = replace(
            download, state=DownloadState.RUNNING, started_at=time.time(), run_id=secrets.token_hex(6), problem=None
        )
        try:
            (folder / RESULT).unlink(missing_ok=True)
            about = {"download": started.to_json()}
            command = online.fetch_command(folder / PLAN)
            self._supervisor.start(command, kind=KIND, name=download.name, run_id=started.run_id, about=about)
        except (ConsoleError, OSError) as error:
            no_disk = Message("downloads.failed.disk", {"error": str(error)})
            problem = error.messages[0] if isinstance(error, ConsoleError) else no_disk
            started = replace(download, state=DownloadState.FAILED, ended_at=time.time(), problem=problem)

        def now_started(now: Download) -> Download:
            if now.state is DownloadState.QUEUED:
                return replace(started, order=now.order)
            # Somebody has paused or cancelled it meanwhile: that is carried out on the run, which has begun.
            wish = "cancel" if now.state is DownloadState.CANCELLED else "pause"
            return replace(started, wish=wish) if started.state is DownloadState.RUNNING else now

        if self._records.change(download.id, now_started) is None and started.state is DownloadState.RUNNING:
            self._supervisor.stop(started.run_id, grace_s=STOP_GRACE_S)
        self._wake.set()


def outcome(download: Download, run: Run | None, result: dict[str, object] | None, last_line: str) -> Download:
    """The download after its run's end. Pure. ``result`` is what its child wrote, None where it couldn't."""
    ended = replace(download, ended_at=(run.ended_at if run else None) or time.time(), wish="")
    if result is not None and result.get("key") == "":
        return replace(
            ended,
            state=DownloadState.SUCCEEDED,
            done_bytes=download.total_bytes,
            path=model_folder(download),
            problem=None,
        )
    if download.wish == "cancel":
        return replace(ended, state=DownloadState.CANCELLED)
    if download.wish == "pause":
        return replace(ended, state=DownloadState.PAUSED)
    if result is not None:
        problem = trouble_message(result, download.source, download.repository)
        return replace(ended, state=DownloadState.FAILED, problem=problem)
    if run is not None and run.stop_requested:  # the wish was lost with the database
        return replace(ended, state=DownloadState.PAUSED)
    if run is None or run.interrupted:
        return replace(ended, state=DownloadState.INTERRUPTED)
    problem = run.problem or Message(
        "downloads.failed.died", {"code": run.exit_code if run.exit_code is not None else -1, "line": last_line[:300]}
    )
    return replace(ended, state=DownloadState.FAILED, problem=problem)


def model_folder(download: Download) -> str:
    """Where the model is once it is whole."""
    if download.layout == "hub":
        return str(Path(download.target) / "snapshots" / download.revision)
    return download.target


def _result(file: Path) -> dict[str, object] | None:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
