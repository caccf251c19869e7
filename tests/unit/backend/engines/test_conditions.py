"""LMDeploy's own conditions: what it would die of is refused, what starts isn't."""

from dataclasses import replace
from typing import Any

import pytest

from backend.engines import ENGINES
from backend.engines.conditions import dp_and_ep, flag_names
from backend.engines.remedies import Case, remedies
from backend.machine.machine import Machine
from tests.support.machines import CONSOLE, GPUS, KEY, SERVER, config, model
from ui.i18n import say

HOPPER = Machine((replace(GPUS[0], name="NVIDIA H100", compute=9.0),), "580.95.05", "13.0", (CONSOLE,))
AMPERE = Machine((replace(GPUS[0], compute=8.0),), "580.95.05", "13.0", (CONSOLE,))


def quantized(method: str, group: int = 128, **more: Any) -> Any:
    about = {"quant_method": method, "group_size": group, **more}
    return model(
        quantization=method, group_size=group, quantization_source="config", config={"quantization_config": about}
    )


def said(settings: Any, chosen: Any, machine: Machine = SERVER) -> dict[str, str]:
    return {m.key: m.level for m in ENGINES[settings.engine].check(settings, chosen, machine)}


@pytest.mark.parametrize(
    ("engine", "chosen", "key"),
    [
        ("turbomind", quantized("bitsandbytes", 0), "engines.quantization"),
        ("turbomind", quantized("smooth_quant", 0), "engines.quantization"),
        ("pytorch", quantized("gptq"), "engines.quantization"),
        ("pytorch", quantized("bitsandbytes", 0), "engines.quantization"),
        ("turbomind", quantized("awq", 64), "engines.group-size"),
        ("turbomind", quantized("compressed-tensors", 64), "engines.group-size"),
        ("pytorch", quantized("compressed-tensors", 128), "engines.group-size"),
        ("pytorch", replace(quantized("awq"), all_plain=True), "engines.quantization-plain"),
        ("turbomind", replace(quantized("gptq"), packed_as="awq"), "engines.quantization-differs"),
        ("turbomind", replace(quantized("awq"), packed_as="awq", bits=8), "engines.quantization-bits"),
        ("pytorch", replace(quantized("awq"), packed_as="awq", bits=8), "engines.quantization-bits"),
        ("turbomind", quantized("awq", version="gemv"), "engines.quantization-form"),
        ("turbomind", quantized("gptq", desc_act=True), "engines.quantization-form"),
        ("turbomind", quantized("gptq", sym=False), "engines.quantization-form"),
        ("turbomind", model(head_dim=100), "engines.no-kernel"),
        ("turbomind", model(head_dim=80), "engines.no-kernel"),
    ],
)
def test_what_dies_is_refused(engine: str, chosen: Any, key: str) -> None:
    assert said(config(engine), chosen).get(key) == "error"


@pytest.mark.parametrize(
    ("engine", "chosen"),
    [
        ("turbomind", quantized("awq", version="gemm")),
        ("turbomind", quantized("gptq", desc_act=False, sym=True)),
        ("turbomind", replace(quantized("gptq"), packed_as="gptq", bits=4)),
        ("turbomind", replace(quantized("compressed-tensors", 32), bits=4)),
        ("turbomind", quantized("fp8")),
        ("pytorch", quantized("awq", 64)),
        ("pytorch", quantized("smooth_quant", 0)),
        ("turbomind", model(head_dim=64)),
        ("turbomind", model(head_dim=0)),
        ("pytorch", model(head_dim=100)),
    ],
)
def test_what_starts_is_not_refused(engine: str, chosen: Any) -> None:
    assert "error" not in said(config(engine), chosen).values()


@pytest.mark.parametrize("method", ["awq", "gptq"])
def test_plain_weights_that_are_declared_as_quantized_run_unquantized_on_turbomind(method: str) -> None:
    found = said(config("turbomind"), replace(quantized(method), all_plain=True))
    assert found["engines.quantization-not-there"] == "warning"
    assert "error" not in found.values()


def test_a_group_size_is_refused_in_the_name_of_the_engine_that_does() -> None:
    for engine, group in (("turbomind", 64), ("pytorch", 128)):
        found = ENGINES[engine].check(config(engine), quantized("compressed-tensors", group), SERVER)
        (message,) = (one for one in found if one.key == "engines.group-size")
        assert f"{engine} takes" in say(message, "en")
        assert f"{engine} 只支持" in say(message, "zh")


def test_the_tutorials_own_line_for_the_pytorch_engine_starts() -> None:
    settings = config("pytorch", model_format="hf")
    assert said(settings, model()) == {"engines.format-left-out": "info"}
    engine = ENGINES["pytorch"]
    for chosen in (model(), None):
        command = engine.command(settings, chosen, CONSOLE, 1, KEY)
        assert command is not None
        assert "--model-format" not in command.preview()
    kept = ENGINES["turbomind"].command(config("turbomind", model_format="hf"), model(), CONSOLE, 1, KEY)
    assert kept is not None
    assert "--model-format hf" in kept.preview()


def test_fp8_is_what_it_is() -> None:
    settings = config("pytorch", model_format="fp8")
    assert said(settings, model(), HOPPER)["engines.fp8-loading"] == "info"
    assert said(settings, model(), AMPERE)["engines.fp8-gpu"] == "error"
    assert "error" not in said(settings, model(), SERVER).values()  # what isn't known stops nobody
    assert said(config("turbomind", model_format="fp8"), model(), HOPPER)["engines.format-unquantized"] == "error"
    (message,) = [m for m in ENGINES["pytorch"].check(settings, model(), AMPERE) if m.level == "error"]
    (remedy,) = remedies(message, Case(settings, model(), AMPERE))
    assert remedy.settings == {"model_format": "auto"}


@pytest.mark.parametrize(
    ("heads", "tp", "refused"), [(2, 2, False), (1, 2, False), (2, 4, False), (4, 3, True), (3, 2, True)]
)
def test_kv_heads_are_dealt_out(heads: int, tp: int, refused: bool) -> None:
    chosen = model(text={"num_key_value_heads": heads})
    for engine in ("turbomind", "pytorch"):
        found = said(config(engine, tp=tp, gpus=("0", "1")), chosen)
        assert (found.get("engines.tp-kv-heads") == "error") is refused


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (("--tool-call-parser", "qwen"), 0),
        (("--tool-call-parser", "nosuch"), 1),
        (("--tool-call-parser=nosuch", "--reasoning-parser", "nosuch"), 2),
        (("--reasoning-parser", "default"), 0),
        (("--reasoning-parser", "deepseek-r1"), 0),  # a legacy name
        (("--eager-mode",), 0),
    ],
)
def test_parsers_are_those_of_the_installed_lmdeploy(words: tuple[str, ...], refused: int) -> None:
    settings = config(extra=words)
    found = flag_names(settings, None)
    assert len(found) == refused
    for message in found:
        (remedy,) = remedies(message, Case(settings, model(), SERVER))
        assert len(flag_names(replace(settings, **remedy.settings), None)) < refused  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("engine", "words", "gpus", "expected"),
    [
        ("turbomind", ("--dp", "1", "--ep=1"), 1, {}),
        ("turbomind", ("--dp", "2"), 2, {"engines.parallel-untried": "warning"}),
        ("turbomind", ("--dp=2",), 1, {"engines.parallel-gpus": "error"}),
        ("turbomind", ("--dp", "2", "--cp", "2"), 2, {"engines.parallel-gpus": "error"}),
        ("turbomind", ("--ep", "4"), 2, {"engines.parallel-gpus": "error"}),
        ("turbomind", ("--ep", "2"), 2, {"engines.parallel-untried": "warning"}),
        ("pytorch", ("--ep", "2"), 2, {"engines.parallel-untried": "warning"}),
        ("pytorch", ("--ep", "2"), 1, {"engines.parallel-gpus": "error"}),
        ("pytorch", ("--dp", "2", "--ep", "2"), 2, {"engines.dp-pytorch": "error"}),
    ],
)
def test_data_and_expert_parallelism(engine: str, words: tuple[str, ...], gpus: int, expected: dict[str, str]) -> None:
    """PyTorch's dp opens ports on the network, past --server-name; the rest is passed on where the GPUs suffice."""
    found = dp_and_ep(replace(config(engine=engine, extra=words), gpus=("0", "1")[:gpus]))
    assert {message.key: message.level for message in found} == expected
    assert all(message.field == "extra" for message in found)
    for message in found:
        offered = remedies(message, Case(config(engine=engine, extra=words), model(), SERVER))
        left = words[2:] if "=" not in words[0] else words[1:]
        assert [remedy.settings["extra"] for remedy in offered] == ([left] if message.level == "error" else [])
