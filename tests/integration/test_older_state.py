"""A state folder that version 84e5a75 wrote, with its processes still running, is found again whole.

tests/data/state-84e5a75 was written by that version itself: `transformers serve` running, a question with a picture
answered, one quantization finished and one running, the console killed. Paths stand in it as /STATE, /MODELS, /RESULTS,
/CONSOLE and /VENV. The two running processes are started anew here, under that version's own runner.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.chat.conversation import AnswerState
from backend.console.storage import table
from backend.processes import ports, runner
from backend.quantization.job import JobState
from backend.servers.server import ServerState
from backend.services import Services, build_services
from backend.settings import Settings
from backend.store import FILE_NAME
from tests.support.tiny_models import fake_model
from tests.support.waiting import wait_for

TESTS = Path(__file__).parents[1]
WRITTEN = TESTS / "data" / "state-84e5a75"
OLD_RUNNER = WRITTEN / "runner.py"
WORKER = Path(__file__).parents[2] / "backend" / "quantization" / "children" / "worker.py"
SERVER, SERVER_PORT = "169b9aa9bf14", "23743"
FINISHED, RUNNING, RUNNING_RUN = "a2fc4bbcc981", "a5d864199a6e", "0802a6890c86"
VISITOR = "0" * 32


class OldState:
    """The folder where the test has it, and the processes of that version's runner."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.state = settings.state_dir
        self.models, self.results = folder / "models", folder / "results"
        self.port = ports.free_port()
        self._runners: list[subprocess.Popen[bytes]] = []
        shutil.copytree(WRITTEN, self.state, dirs_exist_ok=True)
        for file in self.state.rglob("*.json"):
            file.write_text(self._here(file.read_text(encoding="utf-8")), encoding="utf-8")
        self._make_job()
        self._run(SERVER, [sys.executable, str(TESTS / "children" / "fake_server.py"), str(self.port)])
        self._run(RUNNING_RUN, [sys.executable, str(WORKER), str(self.state / "jobs" / RUNNING / "plan.json")])
        self._make_database()

    def _here(self, text: str) -> str:
        console = Path(__file__).parents[2]
        places = {"/STATE": self.state, "/MODELS": self.models, "/RESULTS": self.results, "/CONSOLE": console}
        for word, place in (places | {"/VENV": Path(sys.prefix)}).items():
            text = text.replace(word, str(place))
        return text.replace(SERVER_PORT, str(self.port))

    def _make_job(self) -> None:
        """The running job's model, and its plan: a fake auto_awq that waits for a word."""
        self.model = fake_model(self.models / "qwen2")
        (self.model / "behave").write_text("wait")
        self.results.mkdir()
        file = self.state / "jobs" / RUNNING / "plan.json"
        plan = json.loads(file.read_text())
        for step in plan["steps"]:
            step["argv"][:1] = [sys.executable, str(TESTS / "children" / "fake_auto_awq.py")]
        file.write_text(json.dumps(plan))
        (self.state / "runs" / RUNNING_RUN / runner.LOG).write_bytes(b"")

    def _run(self, run_id: str, argv: list[str]) -> None:
        """As that version's supervisor did it."""
        folder = self.state / "runs" / run_id
        spec = json.loads((folder / runner.SPEC).read_text())
        (folder / runner.SPEC).write_text(json.dumps(spec | {"argv": argv, "boot_id": runner.boot_id()}))
        (folder / runner.PROCESS).unlink()
        with (folder / runner.LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(OLD_RUNNER), str(folder)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                # That version gave the id alone; the folder keeps apart two of these tests that run at once.
                env={**os.environ, **runner.marks(folder)},
            )  # fmt: skip
        self._runners.append(process)
        wait_for(f"{run_id} runs", lambda: runner.read_result(folder, runner.PROCESS))

    def _make_database(self) -> None:
        db = sqlite3.connect(self.state / FILE_NAME)
        for name, columns in (("process", ("id", "about")), ("document", ("key", "value"))):
            key, text = columns
            for row_key, value in db.execute(f"SELECT {key}, {text} FROM {name}").fetchall():
                db.execute(f"UPDATE {name} SET {text} = ? WHERE {key} = ?", (self._here(value), row_key))
        for run_id in (SERVER, RUNNING_RUN):
            now = runner.read_result(self.state / "runs" / run_id, runner.PROCESS)
            assert now is not None
            fields = ("boot_id", "runner_pid", "runner_start", "pid", "start")
            settings = ", ".join(f"{field} = ?" for field in fields)
            db.execute(f"UPDATE process SET {settings} WHERE id = ?", (*(now[field] for field in fields), run_id))
        db.commit()
        db.close()

    def close(self) -> None:
        for process in self._runners:
            process.kill()
            process.wait(30)


@pytest.fixture
def old_state(settings: Settings, tmp_path: Path) -> Iterator[OldState]:
    state = OldState(settings, tmp_path)
    yield state
    state.close()


@pytest.fixture
def services(old_state: OldState) -> Iterator[Services]:
    services = build_services(replace(old_state.settings, models=(old_state.models,)))
    yield services
    for run in services.supervisor.all():
        services.supervisor.stop(run.id, grace_s=0)
    wait_for("all runs have ended", lambda: all(run.ended for run in services.supervisor.all()))
    services.close()


async def test_everything_is_found_again(old_state: OldState, services: Services) -> None:
    assert services.notices() == ()
    # The server: found, running, asked, and stopped through that version's runner.
    assert [view.id for view in services.servers.snapshot()] == [SERVER]
    view = services.servers.get(SERVER)
    assert (view.state, view.name, view.config.engine) == (ServerState.RUNNING, "internvl", "transformers")
    assert view.ready_at
    assert services.servers.endpoint(SERVER).base_url == f"http://127.0.0.1:{old_state.port}/v1"
    wait_for("its process is known", lambda: services.servers.get(SERVER).pid == services.supervisor.get(SERVER).pid)
    services.servers.stop(SERVER)
    wait_for("it is stopped", lambda: services.servers.get(SERVER).state == ServerState.STOPPED)
    assert services.servers.get(SERVER).stop_signal == "SIGTERM"

    # The jobs: one whose measurements are there, one that goes on.
    jobs = {view.job.id: view.job for view in services.jobs.snapshot()}
    assert jobs.keys() == {FINISHED, RUNNING}
    finished = jobs[FINISHED]
    assert finished.state is JobState.SUCCEEDED
    assert finished.result is not None
    assert (finished.result.errors_state, len(finished.result.errors)) == ("done", 2)
    assert finished.progress.fraction == 1.0
    assert jobs[RUNNING].state is JobState.RUNNING
    wait_for("its log is read", lambda: services.jobs.get(RUNNING).job.progress.calibrated == 2)
    (old_state.model / "go").touch()
    wait_for("it is done", lambda: services.jobs.get(RUNNING).job.state is JobState.SUCCEEDED)
    done = services.jobs.get(RUNNING).job
    assert done.result is not None
    assert done.result.seconds > 0
    assert json.loads((old_state.results / "running" / "lmdeploy_console.json").read_text())["job"] == RUNNING

    # The conversation, with its picture.
    [exchange] = (await services.chat.view(VISITOR)).conversation.exchanges
    assert exchange.question.text == "What colour is this?"
    assert exchange.answers[0].state is AnswerState.DONE
    assert services.chat.pictures.path(VISITOR, exchange.question.pictures[0].id).read_bytes()[:4] == b"\x89PNG"
    await services.chat.close()
    # And nothing of it is taken for what can be cleared but what has ended.
    kept = {row.kind: row for row in table(services.kept())}
    assert (kept["pictures"].files, kept["pictures"].clearable_bytes) == (1, 0)
    assert kept["logs"].files == 5  # the four runs of then, and the comparison that has followed


def test_a_cancelled_job_of_the_older_runner(old_state: OldState, services: Services) -> None:
    wait_for("half is written", lambda: services.jobs.get(RUNNING).job.progress.calibrated == 2)
    services.jobs.cancel(RUNNING)
    wait_for("it is cancelled", lambda: services.jobs.get(RUNNING).job.state is JobState.CANCELLED)
    assert not list(old_state.results.iterdir())
