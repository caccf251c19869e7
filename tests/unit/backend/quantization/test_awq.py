"""Settings → commands, and everything that is refused or pointed out before the start."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.errors import Message
from backend.machine.choice import choose
from backend.machine.machine import Machine
from backend.quantization import QUANT_METHODS
from backend.quantization.base import GpuUser, QuantConfig, Surroundings
from tests.support.quantization import CONSOLE, GIB, GPU, INTERNLM2, LAPTOP, config_for, model_at, native_internvl
from tests.support.tiny_models import QWEN2, fake_model

AWQ = QUANT_METHODS["awq"]


def check(folder: Path, around: Surroundings | None = None, machine: Machine = LAPTOP, **changes: Any) -> list[Message]:
    model, tensors = model_at(folder, **changes.pop("model_config", {}))
    return check_model(model, tensors, config_for(folder, **changes), around, machine)


def check_model(
    model: Any, tensors: Any, config: QuantConfig, around: Surroundings | None = None, machine: Machine = LAPTOP
) -> list[Message]:
    environment = choose(machine, config.environment, on_gpu=bool(config.gpu), transformers4=AWQ.needs_internlm2(model))
    return list(AWQ.check(config, model, tensors, machine, environment, around or Surroundings()))


def errors(messages: list[Message]) -> list[str]:
    return [message.key for message in messages if message.level == "error"]


def keys(messages: list[Message]) -> list[str]:
    return [message.key for message in messages]


def steps(folder: Path, text: Path | None = Path("/texts/1"), **changes: Any) -> Any:
    model, _ = model_at(folder, **changes.pop("model_config", {}))
    config = config_for(folder, **changes)
    return AWQ.steps(config, model, CONSOLE, text)


# Commands


def test_the_tutorials_command(tmp_path: Path) -> None:
    made = steps(tmp_path / "m", device="cuda:0", dataset="c4", text=None)
    (step,) = made.steps
    assert step.command.launch_argv() == [
        "/opt/console/bin/python", "-m", "lmdeploy", "lite", "auto_awq", str(tmp_path / "m"),
        "--work-dir", str(tmp_path / ".out.partial-awq"), "--calib-dataset", "c4", "--calib-samples", "128",
        "--calib-seqlen", "2048", "--batch-size", "1", "--w-bits", "4", "--w-group-size", "128", "--device", "cuda",
    ]  # fmt: skip
    assert dict(step.command.env) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "0", "HF_HUB_OFFLINE": None,
        "TRANSFORMERS_OFFLINE": None,
    }  # fmt: skip


def test_on_the_cpu_auto_means_float16_and_no_gpu_is_seen(tmp_path: Path) -> None:
    command = steps(tmp_path / "m").steps[0].command
    argv = command.launch_argv()
    assert argv[argv.index("--dtype") + 1] == "float16"
    assert argv[argv.index("--device") + 1] == "cpu"
    assert dict(command.env) == {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}


def test_own_text_is_found_in_the_working_directory(tmp_path: Path) -> None:
    command = steps(tmp_path / "m", dataset="own").steps[0].command
    assert command.cwd == Path("/texts/1")
    assert "--calib-dataset" not in command.launch_argv()


def test_without_data(tmp_path: Path) -> None:
    argv = steps(tmp_path / "m", text=None, dataset="none", search_scale=True).steps[0].command.launch_argv()
    assert argv[argv.index("--calib-samples") + 1] == "0"
    assert not {"--calib-seqlen", "--search-scale", "--batch-size"} & set(argv)


def test_switches_and_mirror(tmp_path: Path) -> None:
    made = steps(tmp_path / "m", dataset="c4", search_scale=True, symmetric=True, mirror="https://mirror.example")
    command = made.steps[0].command
    assert {"--search-scale", "--w-sym"} <= set(command.launch_argv())
    assert dict(command.env)["HF_ENDPOINT"] == "https://mirror.example"


def test_the_preview_does_the_same_as_the_job(tmp_path: Path) -> None:
    made = steps(tmp_path / "a 'b'")
    lines = made.preview().split(" &&\n")
    assert lines[0].startswith("(cd /texts/1 && CUDA_VISIBLE_DEVICES='' HF_HUB_OFFLINE=1 ")
    words = shlex.split(lines[0].removeprefix("(").removesuffix(")"))
    assert words[-len(made.steps[0].command.argv) :] == list(made.steps[0].command.argv)
    assert shlex.split(lines[1]) == ["mv", "-T", str(made.result), str(made.output)]


def test_a_native_vision_model_goes_through_its_text_model(tmp_path: Path) -> None:
    made = steps(tmp_path / "m", model_config=native_internvl())
    assert [step.stage for step in made.steps] == ["extract", "quantize", "merge"]
    partial = tmp_path / ".out.partial-awq"
    assert made.steps[0].command.launch_argv()[2:] == ["extract", str(tmp_path / "m"), str(partial / "text-model")]
    assert str(partial / "text-model") in made.steps[1].command.launch_argv()
    assert made.steps[2].command.launch_argv()[3:] == [
        str(tmp_path / "m"), str(partial / "quantized"), str(partial / "result"),
    ]  # fmt: skip
    assert made.result == partial / "result"
    assert made.preview().splitlines()[-1] == f"rm -r {partial}"


# Checks


def test_nothing_is_wrong_with_a_supported_model(tmp_path: Path) -> None:
    messages = check(tmp_path / "m")
    assert errors(messages) == []
    assert keys(messages) == ["quantize.info.environment", "quantize.info.cpu"]


@pytest.mark.parametrize(
    ("changes", "key", "field"),
    [
        ({"bits": 8}, "quantize.bits", "bits"),
        ({"symmetric": True}, "quantize.symmetric", "symmetric"),
        ({"group_size": 100}, "quantize.group-divides", "group_size"),
        ({"group_size": 0}, "quantize.group-size", "group_size"),
        ({"samples": 0}, "quantize.samples.zero", "samples"),
        ({"samples": -1, "batch_size": 1}, "quantize.range", "samples"),
        ({"seqlen": 0}, "quantize.range", "seqlen"),
        ({"batch_size": 0}, "quantize.range", "batch_size"),
        ({"batch_size": 129}, "quantize.range", "batch_size"),
        ({"dtype": "bfloat16"}, "quantize.dtype.cpu", "dtype"),
        ({"dtype": "int3"}, "quantize.choice", "dtype"),
        ({"device": "cuda:0"}, "quantize.device.unknown", "device"),
        ({"device": "abacus"}, "quantize.choice", "device"),
        ({"dataset": "own"}, "quantize.text.missing", "text"),
        ({"dataset": "ptb"}, "quantize.choice", "dataset"),
        ({"mirror": "hf-mirror"}, "quantize.mirror", "mirror"),
        ({"output": ""}, "quantize.output.missing", "output"),
        ({"output": "a\nb"}, "quantize.output.characters", "output"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, changes: dict[str, Any], key: str, field: str) -> None:
    found = [m for m in check(tmp_path / "m", **changes) if m.level == "error"]
    assert (found[0].key, found[0].field) == (key, field)


def test_the_output_may_not_be_the_model_nor_inside_it(tmp_path: Path) -> None:
    for output in (tmp_path / "m", tmp_path / "m" / "sub" / "dir", tmp_path / "link" / "x"):
        if not (tmp_path / "link").exists():
            (tmp_path / "link").symlink_to(tmp_path / "m")
        assert errors(check(tmp_path / "m", output=str(output))) == ["quantize.output.inside"]


@pytest.mark.parametrize("why", ["file", "not-empty", "partial", "no-parent", "not-writable"])
def test_an_output_that_cannot_be_written(tmp_path: Path, why: str) -> None:
    assert errors(check(tmp_path / "m", Surroundings(output=why))) == [f"quantize.output.{why}"]


def test_too_little_space(tmp_path: Path) -> None:
    (message,) = [m for m in check(tmp_path / "m", Surroundings(free_disk_bytes=GIB)) if m.level == "error"]
    assert message.key == "quantize.output.space"
    assert message.params["needed"] == "1.4"


def test_models_that_are_refused(tmp_path: Path) -> None:
    quantized = {"quantization_config": {"quant_method": "awq", "bits": 4}}
    assert errors(check(tmp_path / "a", model_config=quantized)) == ["quantize.model.quantized"]
    other = {"architectures": ["MambaForCausalLM"]}
    assert errors(check(tmp_path / "b", model_config=other)) == ["quantize.model.unsupported"]
    assert errors(check(tmp_path / "c", model_config=native_internvl("gemma"))) == ["quantize.model.tower-unsupported"]
    fake_model(tmp_path / "d", {**QWEN2})
    bare = model_at(tmp_path / "e")
    (tmp_path / "e" / "tokenizer.json").unlink()
    assert errors(check_model(*bare, config_for(tmp_path / "e"))) == ["quantize.model.no-tokenizer"]


def test_a_group_size_that_fits_is_named(tmp_path: Path) -> None:
    tensors = {"model.layers.0.mlp.down_proj.weight": ("BF16", [64, 4800])}
    fake_model(tmp_path / "m", {**QWEN2}, tensors)
    model, _ = model_at(tmp_path / "other")
    from backend.models.checkpoint import read_tensors

    found = check_model(model, read_tensors(tmp_path / "m"), config_for(tmp_path / "other"))
    (message,) = [m for m in found if m.level == "error"]
    assert (message.key, message.params["fitting"]) == ("quantize.group-divides", 64)


def test_code_that_must_be_trusted(tmp_path: Path) -> None:
    own_code = {"auto_map": {"AutoModelForCausalLM": "modeling.Own"}, "architectures": ["InternLM2ForCausalLM"]}
    assert errors(check(tmp_path / "m", model_config=own_code)) == ["quantize.trust"]
    messages = check(tmp_path / "m", model_config=own_code, trust_remote_code=True)
    assert errors(messages) == []
    assert "quantize.info.environment-internlm2" in keys(messages)


def test_internlm2_needs_its_environment(tmp_path: Path) -> None:
    machine = Machine((), "", "", (CONSOLE,))
    config = {"architectures": ["InternLM2ForCausalLM"]}
    (message,) = [m for m in check(tmp_path / "m", machine=machine, model_config=config) if m.level == "error"]
    assert message.key == "quantize.environment.internlm2-missing"
    assert message.params["command"] == "make install-internlm2"
    nothing = Machine((), "", "", ())
    assert errors(check(tmp_path / "n", machine=nothing)) == ["quantize.environment.none"]


def test_the_text_must_be_long_enough(tmp_path: Path) -> None:
    assert errors(check(tmp_path / "m", Surroundings(tokens=2048))) == ["quantize.demo.short"]
    own = check(tmp_path / "m", Surroundings(tokens=100), dataset="own", text="abc")
    assert errors(own) == ["quantize.text.short"]
    assert errors(check(tmp_path / "m", Surroundings(tokens=2049))) == []


def test_datasets_are_there_or_not(tmp_path: Path) -> None:
    assert errors(check(tmp_path / "m", Surroundings(dataset="neither"), dataset="c4")) == [
        "quantize.dataset.unreachable"
    ]
    assert "quantize.dataset.downloads" in keys(check(tmp_path / "m", Surroundings(dataset="reachable"), dataset="c4"))
    assert errors(check(tmp_path / "m", Surroundings(dataset="cached"), dataset="c4")) == []


def test_memory_of_the_gpu(tmp_path: Path) -> None:
    machine = Machine((GPU,), "580.65", "13.0", (replace(CONSOLE, torch_cuda="13.0", turbomind_cuda="12"),))
    around = Surroundings(free_gpu_bytes=5 * GIB, users=(GpuUser("chat", 14 * GIB),))
    messages = check(tmp_path / "m", around, machine, device="cuda:0")
    (message,) = [m for m in messages if m.level == "error"]
    assert message.key == "quantize.gpu.memory"
    assert (message.params["seqlen"], message.params["samples"]) == (1024, 128)
    assert "quantize.gpu.shared" in keys(messages)
    plenty = check(tmp_path / "m", Surroundings(free_gpu_bytes=20 * GIB), machine, device="cuda:0")
    assert errors(plenty) == []
    assert "quantize.info.gpu-memory" in keys(plenty)


def test_warnings(tmp_path: Path) -> None:
    messages = check(tmp_path / "m", group_size=64, seqlen=40000)
    assert errors(messages) == []
    assert [m.key for m in messages if m.level == "warning"] == ["quantize.group-served", "quantize.seqlen.context"]
    assert "quantize.info.text-tower" in keys(check(tmp_path / "v", model_config=native_internvl()))


def test_deploying_a_vision_model_needs_one_dtype(tmp_path: Path) -> None:
    vision, _ = model_at(tmp_path / "v", **native_internvl())
    text, _ = model_at(tmp_path / "t")
    assert AWQ.deploy_dtype(vision) == "float16"
    assert AWQ.deploy_dtype(text) == ""
    assert INTERNLM2.kind == "internlm2"
