"""The report of a server or job that failed: what a person copies for whom they ask."""

from collections.abc import Sequence
from pathlib import Path

from backend.causes.report import LINES_KEPT, report
from backend.machine.machine import Environment
from backend.processes.log_file import tail_lines
from backend.quantization.job import JobView
from backend.servers.server import ServerView
from backend.services import Services
from ui.i18n import say


def server_report(services: Services, view: ServerView) -> str:
    """Of a server. In English: it goes to others."""
    config = view.config
    settings = f"engine {config.engine}" + (f", GPUs {', '.join(config.gpus)}" if config.gpus else "")
    reason = say(view.reason, "en") if view.reason is not None else ""
    head = [
        ("ended", f"exit code {view.exit_code}"),
        ("why", reason),
        ("settings", settings),
        ("command", view.command),
    ]
    return _report(services, view.environment, head, view.model_path, view.log_path)


def job_report(services: Services, view: JobView) -> str:
    """Of a job."""
    job = view.job
    reason = say(job.diagnosis.reason, "en") if job.diagnosis is not None else ""
    log = services.supervisor.get(job.run_id).log_path if job.run_id else None
    return _report(services, job.environment, [("why", reason), ("command", job.command)], job.model_path, log)


def _report(services: Services, label: str, head: Sequence[tuple[str, str]], model: str, log: Path | None) -> str:
    machine = services.finder.machine(60.0)
    environment = next((e for e in machine.environments if e.label == label), next(iter(machine.environments), None))
    gpus = ", ".join(f"{gpu.name} ({gpu.total_bytes / 2**30:.0f} GiB)" for gpu in machine.gpus)
    about = [*_versions(environment), ("driver", machine.driver), ("GPUs", gpus or "none")]
    folders = {str(Path.home()): "~", model: Path(model).name, str(services.settings.state_dir): "STATE"}
    return report([*about, *head], tail_lines(log, LINES_KEPT) if log is not None else (), folders)


def _versions(environment: Environment | None) -> list[tuple[str, str]]:
    if environment is None:
        return []
    names = ("lmdeploy", "transformers", "torch")
    return [(name, getattr(environment, name)) for name in names]
