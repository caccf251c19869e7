"""What a server's and a job's report say, and to whom: the routes, over logs that hold every kind of secret."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from backend.diagnosis import Diagnosis
from backend.engines.base import ServeConfig
from backend.errors import Message, NotFound
from backend.quantization.base import QuantConfig
from backend.quantization.job import Job, JobState, JobView
from backend.quantization.log_reader import Expected
from backend.servers.server import ServerState, ServerView
from tests.conftest import make_settings
from tests.support.machines import SERVER
from ui.tabs.deploy.routes import routes as server_routes
from ui.tabs.quantize.routes import routes as job_routes
from ui.web.visitor import STATE_KEY, Role, Visitor

SECRETS = (
    "hf_AbCdEfGhIjKl", "sk-proj-0123456789", "Bearer-of-news", "hunter2", "deadbeef01", "k-one", "k-two", "bob",
    "gpu-box.lab", "secret-project",
)  # fmt: skip
LOG = """\
HF_TOKEN=hf_AbCdEfGhIjKl lmdeploy lite auto_awq /home/bob/secret-project/qwen --work-dir /home/bob/out
Namespace(api_keys=['k-one', 'k-two'], model_path='/home/bob/secret-project/qwen')
OPENAI_API_KEY: sk-proj-0123456789
Authorization: Bearer Bearer-of-news
proxy http://bob:hunter2@10.0.0.1:3128, GET https://x/y?X-Amz-Signature=deadbeef01
ssh -p 33090 bob@gpu-box.lab
  File "/home/bob/venv/lib/python3.11/site-packages/lmdeploy/lite/apis/auto_awq.py", line 3, in f
RuntimeError: CUDA error: out of memory
"""
COMMAND = "lmdeploy serve api_server /home/bob/secret-project/qwen --api-keys k-one k-two --tp 2"


@pytest.fixture
def services(tmp_path: Path) -> Any:
    log = tmp_path / "log.txt"
    log.write_text(LOG)
    config = ServeConfig("turbomind", "/home/bob/secret-project/qwen", gpus=("0", "1"), tp=2, api_key="k-one")
    why = Message("engines.died.permission", {"cause": "/home/bob/secret-project/qwen/config.json"})
    server = ServerView(
        id="s", name="qwen", state=ServerState.FAILED, config=config, model_path=config.model, model_id="qwen",
        address="http://127.0.0.1:1", base_url="http://127.0.0.1:1/v1", port=1, pid=1, command=COMMAND,
        environment="console", takes_images=False, context_length=8, created_at=1.0, exit_code=1, reason=why,
        log_path=log,
    )  # fmt: skip
    job = Job(
        id="j", config=QuantConfig(model=config.model, output="/home/bob/out"), state=JobState.FAILED, slot="cpu",
        order=1.0, created_at=1.0, model_name="qwen", model_path=config.model, output="/home/bob/out",
        partial="/home/bob/out.part", command=COMMAND.replace("serve api_server", "lite auto_awq"),
        environment="env", python="/home/bob/venv/bin/python", deploy_dtype="", model_format="awq",
        expected=Expected(1, 7, False), run_id="r", diagnosis=Diagnosis(Message("quantize.failed.gpu-memory")),
    )  # fmt: skip

    def one(known: Any) -> Any:
        def get(wanted: str) -> Any:
            if wanted not in ("s", "j", "waiting"):
                raise NotFound(Message("common.bad_request"))
            return known if wanted != "waiting" else JobView(replace(job, run_id="", diagnosis=None))

        return SimpleNamespace(get=get)

    return MagicMock(  # the other routes of the tabs keep what is theirs, and aren't asked here
        servers=one(server),
        jobs=one(JobView(job)),
        supervisor=SimpleNamespace(get=lambda run_id: SimpleNamespace(log_path=log)),
        finder=SimpleNamespace(machine=lambda wait_s: SERVER),
        settings=make_settings(tmp_path / "state"),
    )


def client(services: Any, role: Role = Role.OPERATOR) -> TestClient:
    app = Starlette(routes=[*server_routes(services), *job_routes(services)])

    async def as_visitor(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})[STATE_KEY] = Visitor(role=role, id="v", language="en")
        await app(scope, receive, send)

    return TestClient(as_visitor)


@pytest.mark.parametrize("path", ["/servers/s/report", "/jobs/j/report"])
def test_what_happened_without_what_is_a_persons(services: Any, path: str) -> None:
    text = client(services).get(path).json()["text"]
    assert [secret for secret in SECRETS if secret in text] == []
    for said in ("lmdeploy: 0.18.0", "driver: 580.95.05", "NVIDIA A100 (40 GiB)"):
        assert said in text
    assert "CUDA error: out of memory" in text
    assert "site-packages/lmdeploy/lite/apis/auto_awq.py" in text
    assert "--tp 2" in text
    assert " qwen " in text  # the model's name stays


def test_a_server_says_how_it_ended_and_a_job_why(services: Any) -> None:
    said = client(services).get("/servers/s/report").json()["text"]
    assert "ended: exit code 1" in said
    assert "settings: engine turbomind, GPUs 0, 1" in said
    assert "may not read or write" in said
    assert "why: The GPU ran out of memory" in client(services).get("/jobs/j/report").json()["text"]
    assert "```\n```" in client(services).get("/jobs/waiting/report").json()["text"].replace("\n\n", "\n")


@pytest.mark.parametrize("path", ["/servers/s/report", "/jobs/j/report"])
def test_it_is_the_operators(services: Any, path: str) -> None:
    assert client(services, Role.CLASS).get(path).status_code == 403
    assert client(services).get(path.replace("/s/", "/gone/").replace("/j/", "/gone/")).status_code == 404
