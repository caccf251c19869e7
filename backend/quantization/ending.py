"""How a job ended: its true state from its run, its output and its log; what was half written is removed."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

from backend.errors import ConsoleError
from backend.models.checkpoint import read_tensors
from backend.processes.log_file import tail_lines
from backend.processes.supervisor import Run
from backend.quantization import sizes
from backend.quantization.base import Diagnosis
from backend.quantization.children.worker import RECORD
from backend.quantization.diagnose import diagnose
from backend.quantization.job import Job, JobResult, JobState

_LOG_END_LINES = 400


def settled(job: Job, run: Run, gpu_peak_bytes: int) -> Job:
    """The job after its run's end. ``gpu_peak_bytes`` is what was seen of the GPU, 0 = nothing; the log comes first."""
    ended = run.ended_at or time.time()
    if is_whole(job):
        return replace(job, state=JobState.SUCCEEDED, ended_at=ended, result=_result(job, ended, gpu_peak_bytes))
    shutil.rmtree(job.partial, ignore_errors=True)
    if run.interrupted:
        return replace(job, state=JobState.INTERRUPTED, ended_at=ended)
    if run.stop_requested:
        return replace(job, state=JobState.CANCELLED, ended_at=ended)
    if run.exit_code is None and run.problem is not None:
        found = Diagnosis(run.problem)
    else:
        lines = tail_lines(run.log_path, _LOG_END_LINES) if run.log_path.exists() else ()
        found = diagnose("\n".join(lines), run.exit_code, job.config)
    return replace(job, state=JobState.FAILED, ended_at=ended, diagnosis=found)


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


def _result(job: Job, ended: float, gpu_peak_bytes: int) -> JobResult:
    try:
        after = sizes.sizes(read_tensors(Path(job.output)))
    except ConsoleError:
        after = {}
    return JobResult(
        before=job.before,
        after=after,
        seconds=ended - job.started_at,
        peak_gpu_bytes=job.progress.peak_gpu_bytes or gpu_peak_bytes,
        deploy_dtype=job.deploy_dtype,
        model_format=job.model_format,
    )
