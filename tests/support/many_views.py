"""A console with many servers and jobs, without any of them: what its snapshot is made of."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from backend.classroom.visitors import Visitors
from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.quantization.base import QuantConfig
from backend.quantization.job import Job, JobState, JobView
from backend.quantization.log_reader import Expected, Progress
from backend.servers.server import ServerState, ServerView


def server(number: int) -> ServerView:
    return ServerView(
        id=f"server-{number}", name=f"internlm2-chat-{number}", state=ServerState.RUNNING,
        config=ServeConfig(engine="turbomind", model=f"/models/internlm2-{number}", api_key="secret"),
        model_path=f"/models/internlm2-{number}", model_id=f"internlm2-{number}",
        address=f"http://127.0.0.1:{23333 + number}", base_url=f"http://127.0.0.1:{23333 + number}/v1",
        port=23333 + number, pid=1000 + number, command="lmdeploy serve api_server " + "--flag value " * 12,
        environment="/env/bin/python", takes_images=False, context_length=32768, created_at=1.0, exit_code=None,
        reason=Message("common.unexpected", {"error": "x"}), reason_lines=("one", "two"), log_path=Path("/log.txt"),
    )  # fmt: skip


def job(number: int) -> JobView:
    return JobView(
        Job(
            id=f"job-{number}", config=QuantConfig(model="/models/m", output=f"/out/{number}"),
            state=JobState.SUCCEEDED, slot="0", order=float(number), created_at=1.0, model_name=f"internlm2-{number}",
            model_path="/models/m", output=f"/out/{number}", partial=f"/out/.{number}",
            command="lmdeploy lite auto_awq " + "--flag value " * 10, environment="env", python="/env/bin/python",
            deploy_dtype="auto", model_format="awq", expected=Expected(32, 224, True), progress=Progress(),
        )
    )  # fmt: skip


class ManyViews:
    """Servers and jobs as the snapshot asks for them; ``touch`` changes one of each."""

    def __init__(self, servers: int, jobs: int) -> None:
        self._servers = [server(number) for number in range(servers)]
        self._jobs = [job(number) for number in range(jobs)]
        self._version = 1
        part = {"version": property(lambda _: self._version)}
        self.services: Any = SimpleNamespace(
            servers=type("Servers", (), {**part, "snapshot": lambda _: tuple(self._servers)})(),
            jobs=type("Jobs", (), {**part, "snapshot": lambda _: tuple(self._jobs)})(),
            downloads=SimpleNamespace(version=1, snapshot=lambda: ()),
            installer=SimpleNamespace(newest=lambda: None),
            sampler=SimpleNamespace(latest=lambda: None),
            chat=SimpleNamespace(library=SimpleNamespace(revision=lambda visitor: "0")),
            store=SimpleNamespace(problem=None),
            notices=lambda _operator: (),
            visitors=Visitors(),
            answering=lambda: 0,
            started_at=1.0,
        )

    def touch(self, number: int, **changes: Any) -> None:
        """One server and one job change."""
        self._version += 1
        at = number % len(self._servers)
        self._servers[at] = replace(self._servers[at], created_at=float(number), **changes)
        at = number % len(self._jobs)
        self._jobs[at] = replace(self._jobs[at], remaining_s=float(number))
