"""Jobs with the real worker and supervisor: a fake auto_awq that misbehaves on request, and the real one on the CPU."""

import itertools
import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.errors import Conflict, ConsoleError, InvalidInput
from backend.machine.machine import Environment, Machine
from backend.models.catalog import Catalog
from backend.models.checkpoint import read_tensors
from backend.processes import runner
from backend.processes.supervisor import Supervisor
from backend.quantization.base import QuantConfig
from backend.quantization.job import Job, JobState
from backend.quantization.manager import JobManager
from backend.quantization.token_count import TokenCounter
from backend.settings import Settings
from backend.store import Store
from tests.conftest import make_settings
from tests.support.tiny_models import fake_model
from tests.support.waiting import wait_for

FAKE = Path(__file__).parents[1] / "children" / "fake_auto_awq.py"
TEXT_TOWER = Path(__file__).parents[2] / "backend" / "quantization" / "children" / "text_tower.py"
INDEPENDENT = Path(__file__).parents[1] / "children" / "awq_errors.py"
DEADLINE_S = 240.0


class Jobs:
    """A console's jobs without its page. ``close`` leaves the processes running, as the end of a console does."""

    def __init__(self, settings: Settings, environment: Environment) -> None:
        self.settings = settings
        self.store = Store(settings.state_dir)
        self.supervisor = Supervisor(settings, self.store)
        machine = Machine((), "", "", (environment,))
        self.manager = JobManager(settings, self.store, self.supervisor, Catalog(()), lambda: machine)

    def job(self, job_id: str) -> Job:
        return self.manager.get(job_id).job

    def wait(self, job_id: str, *states: JobState) -> Job:
        def reached() -> Job | None:
            job = self.job(job_id)
            if job.state not in states and job.state not in (JobState.QUEUED, JobState.RUNNING):
                raise AssertionError(f"{job.state}: {job.diagnosis}")
            return job if job.state in states else None

        return wait_for(f"job {states}", reached, DEADLINE_S)

    def wait_for_log(self, job_id: str, text: str) -> None:
        def written() -> bool:
            run_id = self.job(job_id).run_id
            return bool(run_id) and text in self.supervisor.get(run_id).log_path.read_text()

        wait_for(f"{text!r} in the log", written, DEADLINE_S)

    def close(self) -> None:
        self.manager.close()
        self.supervisor.close()
        self.store.close()


def real_environment() -> Environment:
    return Environment("console", "console", Path(sys.executable), "console", "0.18.0", "5.23.0", "2.12.1")


@pytest.fixture
def fake_environment(tmp_path: Path) -> Environment:
    """An environment whose lmdeploy is tests/children/fake_auto_awq.py."""
    folder = tmp_path / "environment"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    script = folder / "lmdeploy"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(FAKE))} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return Environment("fake", "fake", folder / "python", "console", "0.18.0", "5.23.0", "2.12.1")


@pytest.fixture
def open_jobs(settings: Settings, fake_environment: Environment) -> Iterator[Callable[[], Jobs]]:
    """Opens the jobs of one state directory, as often as the console starts anew; at the end nothing runs."""
    opened: list[Jobs] = []

    def open_again() -> Jobs:
        if opened:
            opened[-1].close()
        opened.append(Jobs(settings, fake_environment))
        return opened[-1]

    yield open_again
    jobs = opened[-1]
    for view in jobs.manager.snapshot():
        if view.job.state in (JobState.QUEUED, JobState.RUNNING):
            jobs.manager.cancel(view.job.id)
    jobs.manager.close()  # what it was just starting is there by now, and is stopped
    wait_for("every run's end", lambda: all(run.ended for run in jobs.supervisor.all()), DEADLINE_S)
    jobs.close()


@pytest.fixture
def jobs(open_jobs: Callable[[], Jobs]) -> Jobs:
    return open_jobs()


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str, str], QuantConfig]:
    """Makes a hollow model that behaves so, and the settings that quantize it without data."""

    def make(behave: str, name: str = "m") -> QuantConfig:
        folder = fake_model(tmp_path / "models" / name)
        (folder / "tokenizer.json").write_text("{}")
        (folder / "behave").write_text(behave)
        output = tmp_path / "models" / f"{name}-w4a16"
        return QuantConfig(model=str(folder), output=str(output), dataset="none", group_size=64)

    return make


def names(folder: Path) -> set[str]:
    """What is in the folder, hidden files too."""
    return {path.name for path in folder.iterdir()}


def members(jobs: Jobs, job_id: str) -> list[psutil.Process]:
    """Every process of the job's run: the worker and what it started."""
    run_id = jobs.job(job_id).run_id
    worker = psutil.Process(wait_for("the worker's pid", lambda: jobs.supervisor.get(run_id).pid, DEADLINE_S))
    return [worker, *worker.children(recursive=True)]


def test_a_result_is_whole_and_says_what_made_it(jobs: Jobs, model: Any) -> None:
    config = model("ok")
    job = jobs.wait(jobs.manager.start(config), JobState.SUCCEEDED)
    output = Path(config.output)
    assert names(output.parent) == {"m", output.name}
    assert not list(output.glob("*.pth"))
    record = json.loads((output / "lmdeploy_console.json").read_bytes())
    assert record["settings"]["group_size"] == 64
    assert record["model"] == config.model
    assert record["seconds"] > 0
    assert record["versions"]["python"]
    assert job.result is not None
    assert job.result.after["embeddings"] == 8
    assert job.progress.fraction == 1.0
    kept = jobs.settings.state_dir / "jobs" / job.id
    assert (kept / "inputs_stats.pth").read_bytes() == b"statistics"
    assert (kept / "inputs_stats.pth").stat().st_mode & 0o077 == 0


def test_one_at_a_time_and_the_queue_can_be_changed(jobs: Jobs, model: Any) -> None:
    first, second, third, fourth = (
        jobs.manager.start(model(behave, name)) for behave, name in zip(["wait", "ok", "ok", "ok"], "abcd", strict=True)
    )
    jobs.wait_for_log(first, "half written")
    order = [(view.job.model_name, view.position) for view in jobs.manager.snapshot()]
    assert order == [("a", 0), ("b", 1), ("c", 2), ("d", 3)]
    jobs.manager.move(fourth, -2)
    jobs.manager.move(second, 5)
    assert [view.job.model_name for view in jobs.manager.snapshot()] == ["a", "d", "c", "b"]
    jobs.manager.cancel(third)
    assert jobs.job(third).state is JobState.CANCELLED
    (Path(jobs.job(first).model_path) / "go").touch()
    done = [jobs.wait(job_id, JobState.SUCCEEDED) for job_id in (first, fourth, second)]
    assert [job.started_at for job in done] == sorted(job.started_at for job in done)
    assert all(before.ended_at <= after.started_at for before, after in itertools.pairwise(done))
    with pytest.raises(Conflict):
        jobs.manager.move(first, 1)


@pytest.mark.parametrize("behave", ["wait", "stubborn"])
def test_cancelling_leaves_nothing(jobs: Jobs, model: Any, behave: str) -> None:
    config = model(behave)
    job_id = jobs.manager.start(config)
    jobs.wait_for_log(job_id, "half written")
    processes = members(jobs, job_id)
    assert len(processes) >= 2
    jobs.manager.cancel(job_id)
    jobs.wait(job_id, JobState.CANCELLED)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
    assert names(Path(config.output).parent) == {"m"}
    jobs.manager.forget(job_id)
    assert jobs.manager.snapshot() == ()
    assert not (jobs.settings.state_dir / "jobs" / job_id).exists()


@pytest.mark.parametrize(
    ("behave", "reason", "remedy"),
    [
        ("memory", "gpu-memory", "smaller"),
        ("disk", "disk", ""),
        ("dataset", "dataset", "demo"),
        ("vanish", "killed", "none"),
    ],
)
def test_a_failure_says_why_and_leaves_nothing(
    jobs: Jobs, model: Any, behave: str, reason: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenCounter, "count", lambda *subject: None)  # the model is hollow
    config = replace(model(behave), dataset="demo" if behave == "memory" else "none")
    job = jobs.wait(jobs.manager.start(config), JobState.FAILED)
    assert job.diagnosis is not None
    assert job.diagnosis.reason.key == f"quantize.failed.{reason}"
    assert names(Path(config.output).parent) == {"m"}
    if behave == "memory":
        assert job.progress.peak_gpu_bytes == int(2.5 * (1 << 30))
        (again, *_) = job.diagnosis.remedies
        assert again.key == f"quantize.remedy.{remedy}"
        (Path(config.model) / "behave").write_text("ok")
        restarted = jobs.wait(jobs.manager.restart(job.id, again.settings), JobState.SUCCEEDED)
        assert (restarted.config.seqlen, restarted.config.batch_size) == (1024, 1)


def test_the_preview_pasted_into_a_shell_does_the_same(jobs: Jobs, model: Any) -> None:
    config = model("ok", "it's a model")
    command = jobs.manager.preview(config).command
    subprocess.run(["bash", "-c", command], check=True, capture_output=True, timeout=60)
    pasted = names(Path(config.output))
    shutil.rmtree(config.output)
    jobs.wait(jobs.manager.start(config), JobState.SUCCEEDED)
    assert names(Path(config.output)) - {"lmdeploy_console.json"} == pasted - {"inputs_stats.pth"}


def test_a_model_deleted_while_it_runs(jobs: Jobs, model: Any) -> None:
    config = model("wait")
    job_id = jobs.manager.start(config)
    jobs.wait_for_log(job_id, "half written")
    for file in Path(config.model).iterdir():
        file.unlink()
    (Path(config.model) / "go").touch()
    failed = jobs.wait(job_id, JobState.FAILED)
    assert failed.diagnosis is not None
    assert failed.diagnosis.reason.key == "quantize.failed.model-gone"
    assert not Path(config.output).exists()


def test_two_jobs_never_write_to_one_folder(jobs: Jobs, model: Any) -> None:
    config = model("wait")
    jobs.manager.start(config)
    other = replace(model("ok", "other"), output=config.output + "/")
    with pytest.raises(ConsoleError) as error:
        jobs.manager.start(other)
    assert [message.key for message in error.value.messages] in (
        ["quantize.output.taken"], ["quantize.output.partial", "quantize.output.taken"],
    )  # fmt: skip


def test_two_consoles_never_remove_each_others_folder(
    open_jobs: Callable[[], Jobs], fake_environment: Environment, model: Any, tmp_path: Path
) -> None:
    """Both have looked, and seen that nothing is in the way, before either's worker begins."""
    jobs, other = open_jobs(), Jobs(make_settings(tmp_path / "other"), fake_environment)
    config = model("wait")
    partial = Path(config.output).with_name(".m-w4a16.partial-awq")
    try:
        first = jobs.manager.start(config)
        jobs.wait_for_log(first, "half written")
        hidden = partial.rename(tmp_path / "hidden")  # as if it weren't there yet
        blocker = other.manager.start(model("wait", "blocker"))
        other.wait_for_log(blocker, "half written")
        second = other.manager.start(config)
        hidden.rename(partial)
        (Path(other.job(blocker).model_path) / "go").touch()
        failed = other.wait(second, JobState.FAILED)
        assert failed.diagnosis is not None
        left = failed.diagnosis.left
        assert (left or failed.diagnosis.reason).key in ("quantize.left-over.not-own", "quantize.output.partial")
        assert (partial / "model.safetensors").read_bytes() == b"half"
        (Path(config.model) / "go").touch()
        jobs.wait(first, JobState.SUCCEEDED)
        assert not partial.exists()
        assert ".lmdeploy_console_job" not in names(Path(config.output))
    finally:
        other.close()


def test_what_a_killed_worker_left_is_removed_and_what_stays_is_named(jobs: Jobs, model: Any) -> None:
    for name, strange in (("a", False), ("b", True)):
        config = model("wait", name)
        partial = Path(config.output).with_name(f".{name}-w4a16.partial-awq")
        job_id = jobs.manager.start(config)
        jobs.wait_for_log(job_id, "half written")
        if strange:  # another's from here on
            (partial / ".lmdeploy_console_job").write_text("another")
        worker, *steps = members(jobs, job_id)
        for process in (worker, *steps):
            process.kill()
        failed = jobs.wait(job_id, JobState.FAILED)
        assert partial.exists() is strange
        assert failed.diagnosis is not None
        assert (failed.diagnosis.left is not None) is strange


def test_bad_models_are_refused_and_nothing_is_written(jobs: Jobs, model: Any) -> None:
    config = model("ok")
    weights = Path(config.model) / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    for changes, field in (
        ({}, "model"),
        ({"model": config.model + "-gone"}, "model"),
        ({"method": "gptq"}, "method"),
    ):
        with pytest.raises(InvalidInput) as error:
            jobs.manager.start(replace(config, **changes))
        assert error.value.messages[0].field == field
    assert jobs.manager.snapshot() == ()
    assert names(Path(config.output).parent) == {"m"}


def test_an_output_that_appeared_meanwhile_is_not_overwritten(jobs: Jobs, model: Any) -> None:
    first = jobs.manager.start(model("wait", "a"))
    waiting = model("ok", "b")
    second = jobs.manager.start(waiting)
    jobs.wait_for_log(first, "half written")
    Path(waiting.output).mkdir()
    (Path(waiting.output) / "precious").touch()
    (Path(jobs.job(first).model_path) / "go").touch()
    failed = jobs.wait(second, JobState.FAILED)
    assert failed.diagnosis is not None
    assert failed.diagnosis.reason.key == "quantize.output.not-empty"
    assert names(Path(waiting.output)) == {"precious"}


def test_a_job_is_found_again_and_ends_with_its_true_state(open_jobs: Callable[[], Jobs], model: Any) -> None:
    jobs = open_jobs()
    running, waiting = jobs.manager.start(model("wait", "a")), jobs.manager.start(model("ok", "b"))
    jobs.wait_for_log(running, "half written")
    jobs = open_jobs()
    assert jobs.job(running).state is JobState.RUNNING
    assert jobs.job(running).progress.calibrated == 2
    assert jobs.job(waiting).state is JobState.QUEUED
    jobs.close()
    (Path(jobs.job(running).model_path) / "go").touch()
    folder = jobs.settings.runs_dir / jobs.job(running).run_id
    wait_for("its end, while no console runs", lambda: runner.read_result(folder, runner.STATUS), DEADLINE_S)
    jobs = open_jobs()
    jobs.wait(running, JobState.SUCCEEDED)
    jobs.wait(waiting, JobState.SUCCEEDED)


def test_a_lost_database_loses_no_job(open_jobs: Callable[[], Jobs], model: Any, settings: Settings) -> None:
    jobs = open_jobs()
    job_id = jobs.manager.start(model("wait"))
    jobs.wait_for_log(job_id, "half written")
    jobs.close()
    for file in settings.state_dir.glob("console.sqlite3*"):
        file.unlink()
    jobs = open_jobs()
    (Path(jobs.job(job_id).model_path) / "go").touch()
    jobs.wait(job_id, JobState.SUCCEEDED)


def test_a_reboot_interrupts_a_job(open_jobs: Callable[[], Jobs], model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = open_jobs()
    config = model("wait")
    job_id = jobs.manager.start(config)
    jobs.wait_for_log(job_id, "half written")
    processes = members(jobs, job_id)
    jobs.close()
    # What a reboot does: every process is gone without a word, and the boot has another id.
    for process in [*psutil.Process(processes[0].pid).parents()[:1], *processes]:
        process.kill()
    psutil.wait_procs(processes, DEADLINE_S)
    assert Path(config.output).with_name(".m-w4a16.partial-awq").is_dir()
    monkeypatch.setattr(runner, "boot_id", lambda: "another")
    jobs = open_jobs()
    assert jobs.job(job_id).state is JobState.INTERRUPTED
    assert names(Path(config.output).parent) == {"m"}
    (Path(config.model) / "behave").write_text("ok")
    jobs.wait(jobs.manager.restart(job_id), JobState.SUCCEEDED)


# The real auto_awq, on the CPU


@pytest.fixture(scope="module")
def quantized(tiny_qwen2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Jobs, Job]]:
    """The tiny Qwen2, calibrated with the demo text, its weights compared with the originals."""
    folder = tmp_path_factory.mktemp("quantized")
    jobs = Jobs(make_settings(folder / "state"), real_environment())
    config = QuantConfig(model=str(tiny_qwen2), output=str(folder / "out"), samples=4, seqlen=64)
    job_id = jobs.manager.start(config)

    def compared() -> bool:
        result = jobs.wait(job_id, JobState.SUCCEEDED).result
        return result is not None and result.errors_state != "running"

    wait_for("the comparison's end", compared, DEADLINE_S)
    yield jobs, jobs.job(job_id)
    jobs.close()


def test_the_real_result(quantized: tuple[Jobs, Job], tiny_qwen2: Path) -> None:
    _, job = quantized
    output = Path(job.output)
    config = json.loads((output / "config.json").read_text())
    assert config["quantization_config"] == {
        "bits": 4, "group_size": 128, "quant_method": "awq", "version": "gemm", "zero_point": True,
    }  # fmt: skip
    assert job.result is not None
    weights = sum(file.stat().st_size for file in output.glob("*.safetensors"))
    assert 0 <= weights - sum(job.result.after.values()) < 32_768  # the header alone
    assert job.result.after["decoder"] < job.result.before["decoder"] / 6  # float32 before
    assert not list(output.glob("*.pth"))
    assert json.loads((output / "lmdeploy_console.json").read_bytes())["layer_errors"]


def test_errors_agree_with_an_independent_computation(quantized: tuple[Jobs, Job], tiny_qwen2: Path) -> None:
    jobs, job = quantized
    assert job.result is not None
    assert job.result.errors_state == "done"
    statistics = jobs.settings.state_dir / "jobs" / job.id / "inputs_stats.pth"
    child = subprocess.run(
        [sys.executable, str(INDEPENDENT), str(tiny_qwen2), job.output, str(statistics)],
        capture_output=True, text=True, timeout=DEADLINE_S, check=True,
    )  # fmt: skip
    expected = json.loads(child.stdout.splitlines()[-1])
    assert [layer.error for layer in job.result.errors] == pytest.approx(expected, rel=0.02)
    assert all(0.03 < error < 0.3 for error in expected)


def test_too_long_samples_for_the_demo_text_are_refused(quantized: tuple[Jobs, Job], tmp_path: Path) -> None:
    jobs, job = quantized
    config = replace(job.config, output=str(tmp_path / "out"), seqlen=1_000_000)
    with pytest.raises(InvalidInput) as error:
        jobs.manager.start(config)
    assert [message.key for message in error.value.messages] == ["quantize.demo.short"]


IN_SMALL_SHARDS = """
import runpy, sys, torch
from pathlib import Path
from safetensors.torch import load_file
script, model, whole, parts = sys.argv[1:]
tower = runpy.run_path(script)
tower["main"](["extract", model, whole])
tower["_save"].__globals__["_SHARD_BYTES"] = 100_000
tower["main"](["extract", model, parts])
def tensors(folder):
    return {name: tensor for file in Path(folder).glob("*.safetensors") for name, tensor in load_file(file).items()}
one, several = tensors(whole), tensors(parts)
assert one.keys() == several.keys()
assert all(torch.equal(one[name], several[name]) for name in one)
"""


def test_a_large_text_tower_is_written_in_several_files(tiny_internvl: Path, tmp_path: Path) -> None:
    """Above 4 GiB; here above 100 kB."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    arguments = [str(TEXT_TOWER), str(tiny_internvl), str(whole), str(parts)]
    child = subprocess.run(
        [sys.executable, "-c", IN_SMALL_SHARDS, *arguments], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert child.returncode == 0, child.stderr
    assert {file.name for file in whole.glob("*.safetensors")} == {"model.safetensors"}
    assert len(list(parts.glob("model-0000*-of-*.safetensors"))) > 3
    assert not list(parts.glob("shard-*"))
    assert set(read_tensors(parts)) == set(read_tensors(whole))  # the index names every file


def fill(file: Path) -> None:
    """Write until nothing is left of the disk."""
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(1 << 16)):
            pass


@pytest.mark.parametrize("tiny_disk", ["16m"], indirect=True)
def test_a_disk_that_fills_up_while_it_runs(tiny_disk: Path, tiny_qwen2: Path, tmp_path: Path) -> None:
    """The real auto_awq writes its statistics and the model to a disk that was large enough when it was started."""
    jobs = Jobs(make_settings(tmp_path / "state"), real_environment())
    try:
        config = QuantConfig(model=str(tiny_qwen2), output=str(tiny_disk / "out"), samples=4, seqlen=64)
        job_id = jobs.manager.start(config)
        jobs.wait_for_log(job_id, "model.layers.0, samples")
        fill(tiny_disk / "others")
        failed = jobs.wait(job_id, JobState.FAILED)
        assert failed.diagnosis is not None
        assert failed.diagnosis.reason.key == "quantize.failed.disk"
        assert names(tiny_disk) == {"others"}
    finally:
        jobs.close()
