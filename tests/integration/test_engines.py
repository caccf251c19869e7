"""The engines' commands against the real programs of this environment: their parsers, a server, the process list."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backend.engines import ENGINES
from backend.machine.child import ask
from backend.machine.environments import PROBE, Candidate, probe
from backend.machine.flag_reader import read_capabilities
from backend.machine.flags import Capabilities, find, snapshot
from backend.machine.machine import Environment
from backend.models.checkpoint import NATIVE_WITH_AUTO_MAP, ModelInfo, read_model
from backend.processes.command import CommandSpec
from backend.processes.ports import free_port
from backend.servers.log_reader import diagnose
from tests.support.machines import GPUS, INTERNVL_AWQ, KEY, config
from tests.support.waiting import wait_for

READY_S = 300.0
pytestmark = pytest.mark.timeout(900)  # several programs that import torch, one after another


@pytest.fixture(scope="module")
def here() -> Environment:
    """This environment, as the console sees it."""
    answer = probe(Candidate(Path(sys.executable), "console", given=True))
    assert answer is not None
    return answer[0]


@pytest.fixture(scope="module")
def asked(here: Environment, tmp_path_factory: pytest.TempPathFactory) -> Capabilities:
    """What the installed LMDeploy's and transformers' own parsers say."""
    return read_capabilities(here, 0.0, tmp_path_factory.mktemp("cache"))


def test_the_probe_reads_versions_without_importing(here: Environment) -> None:
    from importlib.metadata import version

    assert here.problem is None
    assert (here.lmdeploy, here.transformers) == (version("lmdeploy"), version("transformers"))
    assert here.torch == version("torch")
    assert here.turbomind_cuda.split(".")[0].isdigit()


def test_the_snapshot_is_what_the_parsers_say(asked: Capabilities, here: Environment) -> None:
    assert asked.source == "parser"
    if (here.lmdeploy, here.transformers) == ("0.18.0", "5.23.0"):
        assert replace(asked, source="snapshot") == snapshot()


def test_every_flag_of_ours_exists(asked: Capabilities, here: Environment) -> None:
    everything = config(
        gpus=tuple(gpu.id for gpu in GPUS), model_format="awq", quant_policy=4, cache_max_entry_count=0.4, tp=2,
        session_len=2048, dtype="float16", model_name="m", trust_remote_code=True,
    )  # fmt: skip
    for engine, flags in (
        ("turbomind", asked.serve), ("pytorch", asked.serve), ("transformers", asked.transformers_serve),
    ):  # fmt: skip
        spec = ENGINES[engine].command(replace(everything, engine=engine), INTERNVL_AWQ, here, 2333, KEY)
        assert spec is not None
        given = [word for word in spec.argv if isinstance(word, str) and word.startswith("--")]
        assert len(given) > 4
        assert [word for word in given if find(flags, word) is None] == []


def test_native_classes_are_in_transformers() -> None:
    """Read as text: the console's process, and so this one, imports no transformers."""
    folder = Path(ask_path("transformers"))
    names = (folder / "models" / "auto" / "modeling_auto.py").read_text(encoding="utf-8")
    assert {name for name in NATIVE_WITH_AUTO_MAP if f'"{name}"' not in names} == set()


def ask_path(package: str) -> str:
    from importlib.util import find_spec

    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return os.path.dirname(spec.origin)


@pytest.fixture
def stub_lmdeploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package named lmdeploy that starts a spawned process and writes down what each process got, then waits."""
    package = tmp_path / "stub" / "lmdeploy" / "cli"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").write_text(
        "import json, multiprocessing, os, sys, time, pathlib\n"
        f"OUT = pathlib.Path({str(tmp_path)!r})\n"
        "def work(name):\n"
        "    found = {'argv': sys.argv, 'path': sys.path, 'pid': os.getpid()}\n"
        "    (OUT / (name + '.tmp')).write_text(json.dumps(found))\n"
        "    (OUT / (name + '.tmp')).rename(OUT / (name + '.json'))\n"
        "    time.sleep(300)\n"
        "def run():\n"
        "    multiprocessing.get_context('spawn').Process(target=work, args=('spawned',), daemon=True).start()\n"
        "    work('main')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stub"))
    return tmp_path


def test_no_process_list_shows_the_key(stub_lmdeploy: Path, here: Environment) -> None:
    key_file = stub_lmdeploy / "key"
    key_file.write_text("0123456789abcdef\n")
    spec = ENGINES["turbomind"].command(config(), INTERNVL_AWQ, here, 2333, key_file)
    assert spec is not None
    server = subprocess.Popen(spec.launch_argv(), start_new_session=True)
    try:
        for name in ("main", "spawned"):
            file = stub_lmdeploy / f"{name}.json"
            wait_for(f"the {name} process", file.exists)
            found = json.loads(file.read_text())
            assert found["argv"][found["argv"].index("--api-keys") + 1] == "0123456789abcdef"
            assert not any(entry.endswith("backend/engines/children") for entry in found["path"])
            shown = Path("/proc", str(found["pid"]), "cmdline").read_bytes()
            assert shown
            assert b"0123456789abcdef" not in shown
            assert b"0123456789abcdef" not in Path("/proc", str(found["pid"]), "environ").read_bytes()
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(30)


def test_an_empty_key_file_starts_nothing(stub_lmdeploy: Path, here: Environment) -> None:
    key_file = stub_lmdeploy / "key"
    key_file.touch()
    spec = ENGINES["turbomind"].command(config(), INTERNVL_AWQ, here, 2333, key_file)
    assert spec is not None
    ended = subprocess.run(spec.launch_argv(), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "empty" in ended.stderr
    assert not (stub_lmdeploy / "main.json").exists()


def test_lmdeploys_own_parser_takes_the_command(here: Environment, tmp_path: Path, tiny_qwen2: Path) -> None:
    """The whole command, key and all, as LMDeploy reads it; without a GPU it then fails, in its own words."""
    key_file = tmp_path / "key"
    key_file.write_text("k")
    wrong = config(extra=("--no-such-flag",))
    spec = ENGINES["turbomind"].command(wrong, read_model(tiny_qwen2), here, free_port(), key_file)
    assert spec is not None
    ended = subprocess.run(
        spec.launch_argv(), env=environ(spec), capture_output=True, text=True, timeout=READY_S, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.rstrip().endswith("unrecognized arguments: --no-such-flag")
    diagnosis = diagnose(ended.stdout + ended.stderr, ended.returncode)
    assert diagnosis.message.key == "engines.died.arguments"


def environ(spec: CommandSpec) -> dict[str, str]:
    variables = dict(os.environ)
    for name, value in spec.env:
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    return variables


class Served:
    """`transformers serve` as the engine starts it, with a shell reading the preview."""

    def __init__(self, model: ModelInfo, environment: Environment, state: Path) -> None:
        (state / "hub").mkdir(parents=True)
        self.model = model
        self.port = free_port()
        spec = ENGINES["transformers"].command(
            config("transformers"), model, environment, self.port, state / "keys" / "k"
        )
        assert spec is not None
        self.log = state / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec env {spec.preview()}"], stdout=log, stderr=log, start_new_session=True
            )

    def text(self) -> str:
        return self.log.read_bytes().decode("utf-8", "replace")


def test_awq_weights_do_not_load_on_the_cpu(here: Environment, tiny_qwen2: Path, tmp_path: Path) -> None:
    """What the engine refuses dies indeed, and the log reader says why."""
    folder = tmp_path / "awq"
    folder.mkdir()
    for file in tiny_qwen2.iterdir():
        (folder / file.name).symlink_to(file)
    quantized = json.loads((tiny_qwen2 / "config.json").read_text()) | {
        "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"}
    }
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(quantized))
    model = read_model(folder)
    assert ENGINES["transformers"].refuses(model) is not None
    server = Served(model, here, tmp_path / "state")
    try:
        code = server.process.wait(READY_S)
    finally:
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait(30)
    assert diagnose(server.text(), code).message.key == "engines.died.gptqmodel"


def test_the_probe_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    """It is run by Pythons that have nothing else, as an isolated one here."""
    python = tmp_path / "bare" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    python.chmod(0o755)
    assert json.loads(ask(python, PROBE, deadline_s=60.0))["lmdeploy"] == ""
