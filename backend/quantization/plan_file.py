"""What a job's worker is told: the plan, a JSON file in the job's folder, written when the job is queued."""

import json
from pathlib import Path

from backend.quantization.base import Steps
from backend.quantization.job import Job

WORKER = Path(__file__).parent / "children" / "worker.py"
PLAN = "plan.json"


def write_plan(job: Job, steps: Steps, folder: Path) -> None:
    """Write what children/worker.py reads. ``folder`` is the job's own; AWQ's statistics are kept there too."""
    settings = {key: value for key, value in job.to_json()["config"].items() if key != "text"}
    plan = {
        "steps": [
            {
                "stage": step.stage,
                "argv": step.command.launch_argv(),
                "env": dict(step.command.env),
                "cwd": None if step.command.cwd is None else str(step.command.cwd),
            }
            for step in steps.steps
        ],
        "partial": str(steps.partial),
        "result": str(steps.result),
        "output": str(steps.output),
        "statistics": [str(statistics) for statistics in steps.statistics],
        "kept": str(folder),
        "record": {
            "made_by": "LMDeploy Console",
            "job": job.id,
            "model": job.model_path,
            "settings": settings,
            "environment": job.environment,
            "commands": [step.command.preview() for step in steps.steps],
        },
    }
    (folder / PLAN).write_text(json.dumps(plan), encoding="utf-8")
