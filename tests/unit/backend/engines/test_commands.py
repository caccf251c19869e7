"""The command of each engine: what is shown, what is started, and only what differs from the default."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.machine.flags import find
from backend.machine.machine import Environment
from backend.models.checkpoint import ModelInfo
from backend.processes.command import CommandSpec, SecretFile
from tests.support import machines as made
from tests.support.machines import ASKED_COURSE, CONSOLE, INTERNVL_AWQ, KEY, config, model

DEFAULT = [
    "/env/bin/python", "-m", "lmdeploy", "serve", "api_server", "/models/qwen", "--server-name", "127.0.0.1",
    "--server-port", "2333", "--model-name", "qwen", "--api-keys", SecretFile(KEY), "--allow-origins", "none",
    "--allowed-media-domains", "none",
]  # fmt: skip
REPORTING = ["--log-level", "INFO"]  # TurboMind's own


def command(config: ServeConfig, model: ModelInfo | None, environment: Environment = CONSOLE) -> CommandSpec:
    spec = ENGINES[config.engine].command(config, model, environment, 2333, KEY)
    assert spec is not None
    return spec


def added(config: ServeConfig, model: ModelInfo | None = None) -> list[object]:
    """What the settings add to the default command."""
    argv = list(command(config, model or made.model()).argv)
    return [word for word in argv if word not in DEFAULT + REPORTING]


def test_the_default_command() -> None:
    spec = command(config(), model())
    assert list(spec.argv) == DEFAULT + REPORTING
    assert dict(spec.env) == {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model_format": "awq"}, ["--model-format", "awq"]),
        ({"quant_policy": 4}, ["--quant-policy", "4"]),
        ({"cache_max_entry_count": 0.4}, ["--cache-max-entry-count", "0.4"]),
        ({"tp": 2}, ["--tp", "2"]),
        ({"session_len": 8192}, ["--session-len", "8192"]),
        ({"dtype": "float16"}, ["--dtype", "float16"]),
        ({"trust_remote_code": True}, ["--trust-remote-code"]),
        ({"extra": ("--max-batch-size", "8")}, ["--max-batch-size", "8"]),
        ({"model_name": "mine"}, ["mine"]),
        ({"engine": "pytorch"}, ["--backend", "pytorch"]),
    ],
)
def test_only_what_differs_is_added(changes: dict[str, Any], expected: list[str]) -> None:
    assert added(config(**changes)) == expected


def test_gpus_are_numbered_as_nvml_numbers_them() -> None:
    spec = command(config(gpus=("1", "0")), model())
    assert ("CUDA_VISIBLE_DEVICES", "1,0") in spec.env
    assert ("CUDA_DEVICE_ORDER", "PCI_BUS_ID") in spec.env
    assert "CUDA_VISIBLE_DEVICES" not in dict(command(config(), model()).env)


def test_an_awq_model_with_pictures_gets_its_dtype() -> None:
    trusted = config(trust_remote_code=True)
    assert added(trusted, INTERNVL_AWQ) == ["--dtype", "float16", "--trust-remote-code"]
    assert "bfloat16" in added(replace(trusted, dtype="bfloat16"), INTERNVL_AWQ)
    assert "--dtype" not in added(config(), model(quantization="awq"))


def test_a_hub_id_keeps_the_hub() -> None:
    spec = command(config(), None)
    assert spec.env == ()
    assert ENGINES["turbomind"].model_id(config(), None) == "/models/qwen"


def test_the_page_of_a_model_is_given_to_the_engine_by_its_name() -> None:
    settings = replace(config(), model="https://huggingface.co/org/name/tree/main")
    assert "org/name" in command(settings, None).argv
    assert ENGINES["turbomind"].model_id(settings, None) == "org/name"


def test_a_script_is_named_in_full(tmp_path: Path) -> None:
    for name in ("lmdeploy", "transformers"):
        (tmp_path / name).touch()
    here = replace(CONSOLE, python=tmp_path / "python")
    spec = command(config(), model(), here)
    assert spec.argv[0] == str(tmp_path / "lmdeploy")
    started = spec.launch_argv()
    assert started[0] == str(tmp_path / "python")
    assert started[1].endswith("children/lmdeploy_entry.py")
    assert started[2:4] == ["serve", "api_server"]
    assert command(config("transformers"), model(), here).argv[0] == str(tmp_path / "transformers")


def test_no_key_on_any_command_line() -> None:
    spec = command(config(), model())
    assert f"@{KEY}" in spec.launch_argv()
    assert f'"$(cat {KEY})"' in spec.preview()


@pytest.mark.parametrize("given", ["--log-level WARNING", "--log-level=DEBUG"])
def test_a_log_level_of_ones_own_is_left_alone(given: str) -> None:
    argv = command(config(extra=tuple(given.split())), model()).argv
    assert [str(word).split("=")[0] for word in argv].count("--log-level") == 1


@pytest.mark.parametrize("name", ["a b", "it's", '"', "--model", "two\nlines", "通义千问", "$(touch x)"])
@pytest.mark.parametrize("engine", ["turbomind", "pytorch", "transformers"])
def test_odd_names_survive_a_shell(engine: str, name: str) -> None:
    odd = model(path=Path("/models") / name, name=name)
    spec = command(config(engine), odd)
    assert str(odd.path) in spec.argv
    words = [word for word in shlex.split(spec.preview()) if "=" not in word or word.startswith("--")]
    assert words == [str(word) if not isinstance(word, SecretFile) else f"$(cat {KEY})" for word in spec.argv]
    assert "--model" not in spec.argv  # never a word that begins with a dash and is no flag of ours


def test_an_old_lmdeploy_gets_only_flags_it_knows() -> None:
    everything = config(trust_remote_code=True, quant_policy=4, model_format="awq")
    spec = command(everything, INTERNVL_AWQ, ASKED_COURSE)
    given = {word for word in spec.argv if isinstance(word, str) and word.startswith("--")}
    assert given == {
        "--server-name", "--server-port", "--model-name", "--model-format", "--quant-policy", "--api-keys",
        "--allow-origins",
    }  # fmt: skip
    assert all(find(ASKED_COURSE.capabilities.serve, flag) for flag in given)


def test_transformers_serve() -> None:
    spec = command(config("transformers", dtype="float32", extra=("--default-seed", "1")), model())
    assert spec.preview() == (
        "HF_HUB_DISABLE_UPDATE_CHECK=1 HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_HUB_CACHE=/state/hub "
        "/env/bin/python -m transformers.cli.transformers serve /models/qwen --device cpu --host 127.0.0.1 --port 2333 "
        "--dtype float32 --default-seed 1"
    )
    assert "HF_HUB_OFFLINE" not in dict(command(config("transformers"), None).env)


def test_an_external_server_is_not_started() -> None:
    assert ENGINES["external"].command(config("external"), None, CONSOLE, 2333, KEY) is None


@pytest.mark.parametrize(
    ("engine", "model_name", "expected"),
    [
        ("turbomind", "", "qwen"),
        ("pytorch", "mine", "mine"),
        ("transformers", "", "/models/qwen"),
        ("external", "", ""),
        ("external", "gpt", "gpt"),
    ],
)
def test_model_ids(engine: str, model_name: str, expected: str) -> None:
    assert ENGINES[engine].model_id(config(engine, model_name=model_name), model()) == expected


def test_every_engine_uses_fields_that_exist() -> None:
    fields = set(ServeConfig.__dataclass_fields__)
    for name, engine in ENGINES.items():
        assert engine.name == name
        assert engine.fields <= fields
        assert engine.choices(CONSOLE).keys() <= engine.fields
