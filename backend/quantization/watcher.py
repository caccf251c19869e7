"""Moves the jobs on, in one thread: starts the next of every device, reads how far each is, takes note of each end.

Everything that waits for a disk or a process is done here, with no lock held, so that no page ever waits for it.
"""

import logging
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.diagnosis import Diagnosis
from backend.errors import ConsoleError, InvalidInput, Message, NotFound
from backend.machine.machine import Machine
from backend.processes.command import CommandSpec
from backend.processes.growing_log import GrowingLog
from backend.processes.standing_watch import StandingWatch
from backend.processes.supervisor import Run, Supervisor
from backend.quantization import evaluation, outcome, surroundings
from backend.quantization.job import Job, JobState
from backend.quantization.log_reader import Progress, ProgressReader, is_counting, remaining_seconds
from backend.quantization.preview import PLAN, WORKER
from backend.records import Records

KIND = "quantize"
COMPARE_KIND = "quantize-compare"
PERPLEXITY_KIND = "quantize-perplexity"
CANCEL_GRACE_S = 1.2
LOOK_S = 0.2

log = logging.getLogger(__name__)


class _Following:
    """One running job's log, and since when it counts layers: (seconds, fraction)."""

    def __init__(self, path: Path, job: Job) -> None:
        self.log = GrowingLog(path)
        # Read from the beginning after a restart; meanwhile the bar doesn't go back.
        self.reader = ProgressReader(job.expected, Progress(fraction=job.progress.fraction))
        self.counting_since: tuple[float, float] | None = None


class JobWatcher(StandingWatch):
    """The one that changes a job which has been started. ``step`` is one look at everything."""

    def __init__(
        self, records: Records[Job], supervisor: Supervisor, folder: Path, machine_of: Callable[[], Machine]
    ) -> None:
        super().__init__("jobs", LOOK_S)
        self._records = records
        self._supervisor = supervisor
        self._folder = folder
        self._machine_of = machine_of
        self._following: dict[str, _Following] = {}
        self._gpu_peaks: dict[str, int] = {}

    def step(self) -> float | None:
        for job in self._records.all():
            try:
                if job.state is JobState.RUNNING:
                    self._look_at(job)
                self._look_at_measurements(job.id)
            except Exception:  # the others' turn comes now
                log.exception("job %s", job.id)
        self._launch_next()
        jobs = self._records.all()
        if any(following.log.behind for following in self._following.values()):
            return 0.0
        return LOOK_S if any(_runs(job) for job in jobs) else None

    def note_gpu_memory(self, used: Mapping[str, int]) -> None:
        """Bytes of GPU memory that jobs hold now, by id."""
        with self._records.lock:
            for job_id, used_bytes in used.items():
                job = self._records.get(job_id)
                if job is not None and job.state is JobState.RUNNING:
                    self._gpu_peaks[job_id] = max(used_bytes, self._gpu_peaks.get(job_id, 0))

    def remaining_s(self, job: Job) -> float | None:
        """The seconds that a running job still takes, None while that can't be said."""
        following = self._following.get(job.id)
        if following is None or following.counting_since is None:
            return None
        return remaining_seconds(following.counting_since, job.progress.fraction, time.monotonic())

    # What has been started

    def _look_at(self, job: Job) -> None:
        """Read on in a running job's log; once its run is over and the log read, take note of its end."""
        run = self._run(job.run_id)
        following = self._following.setdefault(job.id, _Following(run.log_path, job))
        progress = following.reader.feed(following.log.read())
        if is_counting(progress) and following.counting_since is None:
            following.counting_since = (time.monotonic(), progress.fraction)
        if progress != job.progress:
            job = replace(job, progress=progress)
            self._records.put(job.id, job, stored=False)
        if not run.ended or following.log.behind:
            return
        with self._records.lock:
            peak = self._gpu_peaks.pop(job.id, 0)
        del self._following[job.id]
        job = outcome.settled(job, run, peak)
        self._records.put(job.id, self._compared(job) if job.state is JobState.SUCCEEDED else job)

    def _look_at_measurements(self, job_id: str) -> None:
        """Take note of the ends of what is measured of a result."""
        folder = self._folder / job_id
        job = self._records.get(job_id)
        if job is None or job.result is None:
            return
        if job.result.errors_state == "running" and self._run(job.follow_up).ended:
            result = evaluation.with_errors(job, folder).result
            assert result is not None
            self._change_result(job_id, errors=result.errors, errors_state=result.errors_state)
        if measures(job, "running") and (run := self._run(job.perplexity_run)).ended:
            result = evaluation.with_perplexity(job, folder, outcome.last_line(run)).result
            assert result is not None
            self._change_result(
                job_id,
                perplexity=result.perplexity,
                perplexity_state=result.perplexity_state,
                perplexity_problem=result.perplexity_problem,
            )

    def _change_result(self, job_id: str, **changes: Any) -> None:
        """Change these fields of the job's result, and nothing that somebody else has changed meanwhile."""

        def changed(job: Job) -> Job:
            return job if job.result is None else replace(job, result=replace(job.result, **changes))

        self._records.change(job_id, changed)

    def _run(self, run_id: str) -> Run:
        """The run; one that is gone altogether counts as interrupted."""
        try:
            return self._supervisor.get(run_id)
        except NotFound:
            return outcome.lost(run_id)

    def _compared(self, job: Job) -> Job:
        """The comparison of the quantized weights with the originals is started; the model can be used meanwhile."""
        assert job.result is not None
        command = evaluation.comparison(job, self._folder / job.id)
        try:
            run = self._supervisor.start(command, kind=COMPARE_KIND, name=job.title, about={"of": job.id})
        except ConsoleError as error:
            log.warning("the comparison of %s can't be started: %s", job.output, error)
            return replace(job, result=replace(job.result, errors_state="failed"))
        return replace(job, follow_up=run.id, result=replace(job.result, errors_state="running"))

    # What is started

    def _launch_next(self) -> None:
        """Start the next of every device that is free, until nothing more can be started."""
        while (job := self._next()) is not None:
            if job.state is JobState.QUEUED:
                self._launch(job)
            else:
                self._launch_perplexity(job)

    def _next(self) -> Job | None:
        """The next job that a free device has for it: to be run, or its perplexity to be measured."""
        jobs = self._records.all()
        busy = {job.slot for job in jobs if job.state is JobState.RUNNING or measures(job, "running")}
        # Measuring takes a minute or two and belongs to what is done: it comes first.
        for job in jobs:
            if job.slot not in busy and measures(job, "queued"):
                return job
        waiting = [job for job in jobs if job.state is JobState.QUEUED and job.slot not in busy]
        return min(waiting, key=lambda job: job.order, default=None)

    def _launch(self, job: Job) -> None:
        """Start the worker. A job that can't be started any more fails, with the reason."""
        blocked = surroundings.in_the_way(Path(job.output), job.config.method)
        started = replace(job, state=JobState.RUNNING, started_at=time.time(), run_id=secrets.token_hex(6))
        try:
            if blocked:
                params = {"path": job.output, "parent": str(Path(job.output).parent), "partial": job.partial}
                raise InvalidInput(Message(f"quantize.output.{blocked}", params, "output"))
            command = CommandSpec((job.python, str(WORKER), str(self._folder / job.id / PLAN)))
            about = {"job": started.to_json()}
            self._supervisor.start(command, kind=KIND, name=job.title, run_id=started.run_id, about=about)
        except ConsoleError as error:
            started = replace(job, state=JobState.FAILED, ended_at=time.time(), diagnosis=Diagnosis(error.messages[0]))
        cancelled = False

        def now_started(now: Job) -> Job:
            nonlocal cancelled
            cancelled = now.state is not JobState.QUEUED
            return replace(now, run_id=started.run_id) if cancelled else replace(started, order=now.order)

        self._records.change(job.id, now_started)
        if cancelled and started.run_id:
            self._supervisor.stop(started.run_id, grace_s=CANCEL_GRACE_S)

    def _launch_perplexity(self, job: Job) -> None:
        """Start the measurement of a finished job's perplexity."""
        try:
            command = evaluation.perplexity_command(job, self._machine_of(), self._folder / job.id, sys.executable)
            run = self._supervisor.start(command, kind=PERPLEXITY_KIND, name=job.title, about={"of": job.id})
        except ConsoleError as error:
            self._change_result(job.id, perplexity_state="failed", perplexity_problem=error.messages[0])
            return
        self._records.change(job.id, lambda now: replace(now, perplexity_run=run.id))
        self._change_result(job.id, perplexity_state="running")


def measures(job: Job, state: str) -> bool:
    """Whether the job's perplexity is in that state."""
    return job.result is not None and job.result.perplexity_state == state


def _runs(job: Job) -> bool:
    """Whether something of it is under way."""
    compares = job.result is not None and job.result.errors_state == "running"
    return job.state is JobState.RUNNING or compares or measures(job, "running")
