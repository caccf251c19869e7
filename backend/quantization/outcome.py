"""How a job ended: its true state from its run, its output and its log; what was half written is removed."""

import json
import time
from dataclasses import replace
from pathlib import Path

from backend.diagnosis import Diagnosis
from backend.errors import ConsoleError, Message
from backend.models.checkpoint import read_tensors
from backend.processes import runner
from backend.processes.log_file import tail_lines
from backend.processes.supervisor import Run
from backend.quantization import sizes
from backend.quantization.children.worker import RECORD, is_own, remove_own
from backend.quantization.diagnose import diagnose
from backend.quantization.job import Job, JobResult, JobState

_LOG_END_LINES = 400


def settled(job: Job, run: Run, gpu_peak_bytes: int) -> Job:
    """The job after its run's end. ``gpu_peak_bytes`` is what was seen of the GPU, 0 = nothing; the log comes first."""
    ended = run.ended_at or time.time()
    if is_whole(job):
        result = _result(job, _seconds(job, run, ended), gpu_peak_bytes)
        return replace(job, state=JobState.SUCCEEDED, ended_at=ended, result=result)
    left = _left_over(job)
    beside = None if left is None else Diagnosis(left)
    if run.interrupted:
        return replace(job, state=JobState.INTERRUPTED, ended_at=ended, diagnosis=beside)
    if run.stop_requested:
        return replace(job, state=JobState.CANCELLED, ended_at=ended, diagnosis=beside)
    if run.exit_code is None and run.problem is not None:
        diagnosis = Diagnosis(run.problem)
    else:
        lines = tail_lines(run.log_path, _LOG_END_LINES) if run.log_path.exists() else ()
        diagnosis = diagnose("\n".join(lines), run.exit_code, job.config)
    return replace(job, state=JobState.FAILED, ended_at=ended, diagnosis=replace(diagnosis, left=left))


def _left_over(job: Job) -> Message | None:
    """Remove what the job has half written. What is still there then is named: it takes the disk of a model, and is in
    the next job's way."""
    partial = Path(job.partial)
    if remove_own(partial, job.id):
        return None
    key = "stuck" if is_own(partial, job.id) else "not-own"
    return Message(f"quantize.left-over.{key}", {"partial": job.partial})


def is_whole(job: Job) -> bool:
    """Whether the output is there and this job's own: then it succeeded, whatever became of its process afterwards."""
    try:
        return bool(json.loads((Path(job.output) / RECORD).read_bytes())["job"] == job.id)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def last_line(run: Run) -> str:
    """The last line of its log that isn't empty."""
    lines = tail_lines(run.log_path, 20) if run.log_path.exists() else ()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def lost(run_id: str) -> Run:
    """A run that nothing is known of any more."""
    now = time.time()
    nowhere = Path("/nonexistent")
    return Run(run_id, "", "", 0, now, now, None, "", False, True, None, nowhere, nowhere)


def _seconds(job: Job, run: Run, ended: float) -> float:
    """How long it ran, by its runner's clock, which can't be set; by the time of day where an older runner ran it."""
    status = runner.read_result(run.folder, runner.STATUS) or {}
    return float(status.get("seconds", max(ended - job.started_at, 0.0)))


def _result(job: Job, seconds: float, gpu_peak_bytes: int) -> JobResult:
    try:
        after = sizes.sizes(read_tensors(Path(job.output)))
    except ConsoleError:
        after = {}
    return JobResult(
        before=job.before,
        after=after,
        seconds=seconds,
        peak_gpu_bytes=job.progress.peak_gpu_bytes or gpu_peak_bytes,
        deploy_dtype=job.deploy_dtype,
        model_format=job.model_format,
    )
