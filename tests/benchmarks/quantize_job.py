"""A job through the console against the same command by hand: at most 1.02 ×. Both in turn; the quickest counts.

python -m tests.benchmarks.quantize_job [rounds]
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from backend.machine.machine import Environment, Machine
from backend.models.catalog import Catalog
from backend.processes.supervisor import Supervisor
from backend.quantization.base import QuantConfig
from backend.quantization.job import JobState
from backend.quantization.manager import JobManager
from backend.settings import Settings
from backend.store import Store
from tests.support.tiny_models import make_model

LIMIT = 1.02
SAMPLES, LENGTH = 64, 512
ENVIRONMENT = Environment("console", "console", Path(sys.executable), "console", "0.18.0", "5.23.0", "2.12.1")


def by_hand(model: Path, out: Path, text: Path) -> float:
    """Seconds of the command itself."""
    began = time.monotonic()
    subprocess.run(
        [str(Path(sys.executable).parent / "lmdeploy"), "lite", "auto_awq", str(model), "--work-dir", str(out),
         "--calib-samples", str(SAMPLES), "--calib-seqlen", str(LENGTH), "--dtype", "float16", "--device", "cpu"],
        cwd=text, check=True, capture_output=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    return time.monotonic() - began


def through_the_console(jobs: JobManager, model: Path, out: Path) -> float:
    """Seconds from the job's start to the finished model in its place."""
    config = QuantConfig(str(model), str(out), samples=SAMPLES, seqlen=LENGTH)
    job_id = jobs.start(config)
    pause = threading.Event()
    while (job := jobs.get(job_id).job).state in (JobState.QUEUED, JobState.RUNNING):
        pause.wait(0.25)  # as often as a page asks
    if job.state is not JobState.SUCCEEDED or job.result is None:
        raise SystemExit(f"the job failed: {job.diagnosis}")
    seconds = job.result.seconds
    while (result := jobs.get(job_id).job.result) is not None and result.errors_state == "running":
        pause.wait(0.25)  # the comparison would slow the next round
    return seconds


def main(rounds: int) -> None:
    """Prints both times and their ratio; exit status 1 beyond the limit."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        model = make_model("qwen2", place / "qwen2")
        settings = Settings("127.0.0.1", 0, True, place / "state", (), (), "en", "", False)
        store = Store(settings.state_dir)
        supervisor = Supervisor(settings, store)
        jobs = JobManager(settings, store, supervisor, Catalog(()), lambda: Machine((), "", "", (ENVIRONMENT,)))
        text = Path(__file__).parents[2] / "assets" / "calibration"
        hand, console = [], []
        for number in range(rounds):
            hand.append(by_hand(model, place / f"hand-{number}", text))
            console.append(through_the_console(jobs, model, place / f"console-{number}"))
        jobs.close()
        supervisor.close()
        store.close()
    ratio = min(console) / min(hand)
    print(f"by hand {min(hand):.2f} s, through the console {min(console):.2f} s: {ratio:.3f} × (at most {LIMIT})")
    sys.exit(ratio > LIMIT)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
