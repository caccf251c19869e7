"""What is refused before the start, and what is warned about: bad values, LMDeploy's traps, machines that don't fit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.engines.external import base_url
from backend.errors import Message
from backend.machine.flags import Capabilities, snapshot
from backend.machine.machine import Machine
from backend.models.checkpoint import ModelInfo
from tests.support.machines import (
    ASKED_COURSE,
    CONSOLE,
    COURSE,
    COURSE_MACHINE,
    GPUS,
    INTERNLM2,
    INTERNVL_AWQ,
    INTERNVL_HF,
    LAPTOP,
    SERVER,
    config,
    model,
)

NOT_CHOSEN = model()


def check(config: ServeConfig, model: ModelInfo | None = NOT_CHOSEN, machine: Machine = SERVER) -> dict[str, Message]:
    return {message.key: message for message in ENGINES[config.engine].check(config, model, machine)}


def errors(config: ServeConfig, model: ModelInfo | None = NOT_CHOSEN, machine: Machine = SERVER) -> list[str]:
    return [key for key, message in check(config, model, machine).items() if message.level == "error"]


@pytest.mark.parametrize("engine", ["turbomind", "pytorch", "transformers"])
def test_sound_settings_have_no_errors(engine: str) -> None:
    assert errors(config(engine)) == []


@pytest.mark.parametrize(
    ("changes", "key", "field"),
    [
        ({"port": 0}, "engines.port", "port"),
        ({"port": 65536}, "engines.port", "port"),
        ({"cache_max_entry_count": 0.0}, "engines.ratio", "cache_max_entry_count"),
        ({"cache_max_entry_count": 1.0}, "engines.ratio", "cache_max_entry_count"),
        ({"cache_max_entry_count": -0.4}, "engines.ratio", "cache_max_entry_count"),
        ({"cache_max_entry_count": float("nan")}, "engines.ratio", "cache_max_entry_count"),
        ({"tp": 0}, "engines.tp-below-one", "tp"),
        ({"tp": 2}, "engines.tp-above-gpus", "tp"),
        ({"tp": 3, "gpus": ("0", "1")}, "engines.tp-above-gpus", "tp"),
        ({"gpus": ("7",)}, "engines.gpu-unknown", "gpus"),
        ({"gpus": ("0", "0")}, "engines.gpu-twice", "gpus"),
        ({"session_len": 0}, "engines.session-len", "session_len"),
        ({"dtype": "float8"}, "engines.choice", "dtype"),
        ({"model_format": "gguf"}, "engines.choice", "model_format"),
        ({"quant_policy": 3}, "engines.choice", "quant_policy"),
        ({"quant_policy": 16}, "engines.choice", "quant_policy"),  # fp8: the PyTorch engine's only
        ({"model_name": "a\nb"}, "engines.model-name", "model_name"),
        ({"extra": ("--tp", "2")}, "engines.extra.owned", "tp"),
        ({"extra": ("--server-name", "0.0.0.0")}, "engines.extra.console-owned", "extra"),
        ({"environment": "/gone"}, "environments.unknown", "environment"),
    ],
)
def test_a_bad_value_names_its_field(changes: dict[str, Any], key: str, field: str) -> None:
    found = check(config(**changes))
    assert found[key].level == "error"
    assert found[key].field == field


def test_no_model_a_broken_one_and_one_to_download() -> None:
    assert errors(ServeConfig("turbomind", " "), None) == ["models.nothing-chosen"]
    broken = model(problem=Message("models.no-config", {"path": "/models/qwen"}))
    assert check(config(), broken)["models.no-config"].field == "model"
    assert errors(config("transformers"), broken) == ["models.no-config"]
    assert check(config(), None)["engines.downloads"].level == "warning"


def test_tp_must_divide_the_heads() -> None:
    three = replace(SERVER, gpus=tuple(replace(GPUS[0], id=str(n)) for n in range(3)))
    assert errors(config(tp=3, gpus=("0", "1", "2")), model(), three) == ["engines.tp-heads"]
    assert errors(config(tp=2, gpus=("0", "1")), model(), three) == []


def test_a_session_longer_than_the_model_is_a_warning() -> None:
    assert check(config(session_len=8192))["engines.session-len-long"].level == "warning"
    assert "engines.session-len-long" not in check(config(session_len=4096))


def test_kv_cache_bits_and_head_dim() -> None:
    small, other = model(head_dim=64), model(head_dim=96)
    assert errors(config(quant_policy=4), small) == ["engines.kv-int4-head-dim-64"]
    assert check(config(quant_policy=8), small)["engines.kv-head-dim"].level == "warning"
    assert check(config(quant_policy=4), other)["engines.kv-head-dim"].level == "warning"
    assert errors(config("pytorch", quant_policy=4), small) == []  # TurboMind's trap alone
    for policy in (0, 4, 8):
        assert list(check(config(quant_policy=policy))) == []


def test_the_format_must_be_the_models() -> None:
    awq = model(quantization="awq", group_size=128)
    assert errors(config(model_format="awq")) == ["engines.format-unquantized"]
    assert errors(config(model_format="gptq"), awq) == ["engines.format-mismatch"]
    assert errors(config(model_format="hf"), awq) == ["engines.format-mismatch"]
    assert errors(config(model_format="hf")) == []
    assert errors(config(model_format="awq"), awq) == []


def test_turbomind_takes_one_group_size() -> None:
    odd = model(quantization="awq", group_size=64)
    assert errors(config(), odd) == ["engines.group-size"]
    assert errors(config("pytorch"), odd) == []


def test_the_original_internvl2_asks_for_trust() -> None:
    message = check(config(), INTERNVL_AWQ)["engines.needs-trust"]
    assert (message.level, message.field) == ("error", "trust_remote_code")
    assert errors(config(trust_remote_code=True), INTERNVL_AWQ) == []
    assert check(config(), INTERNLM2)["engines.may-need-trust"].level == "warning"
    assert errors(config(), replace(INTERNLM2, own_tokenizer=True)) == ["engines.needs-trust"]


def test_a_model_with_pictures_is_told_of_its_dtype() -> None:
    for engine in ("turbomind", "pytorch"):
        message = check(config(engine), replace(INTERNVL_HF, dtype="float32"))["engines.dtype-added"]
        assert (message.level, message.params["dtype"]) == ("info", "bfloat16")
    assert "engines.dtype-added" not in check(config(), INTERNVL_HF)
    assert "engines.dtype-added" not in check(config(), model(dtype="float32"))
    assert check(config(trust_remote_code=True), INTERNVL_AWQ)["engines.dtype-added"].level == "info"
    assert "engines.dtype-added" not in check(config(dtype="float16", trust_remote_code=True), INTERNVL_AWQ)


def test_unknown_architectures() -> None:
    assert errors(config(), model("NoSuchForCausalLM")) == ["engines.architecture"]
    assert errors(config("pytorch"), model("NoSuchForCausalLM")) == ["engines.architecture"]
    assert errors(config(), model("Gemma2ForCausalLM")) == ["engines.architecture-pytorch"]
    assert errors(config("pytorch"), model("Gemma2ForCausalLM")) == []
    odd_text = replace(INTERNVL_HF, text_architecture="GemmaForCausalLM")
    assert "engines.architecture-pytorch" in errors(config(), odd_text)


def test_the_cpu_engine_refuses_what_it_can_not_load() -> None:
    engine = ENGINES["transformers"]
    awq = engine.refuses(model(quantization="awq"))
    assert awq is not None
    assert awq.key == "engines.cpu-quantized"
    for own_code in (replace(INTERNVL_AWQ, quantization=""), INTERNLM2):
        refusal = engine.refuses(own_code)
        assert refusal is not None
        assert refusal.key == "engines.cpu-own-code"
    assert engine.refuses(INTERNVL_HF) is None
    assert errors(config("transformers"), model("XForCausalLM", needs_remote_code=True)) == ["engines.needs-trust"]
    assert errors(config("transformers"), model(path=Path("/models/a@b"))) == ["engines.cpu-at-sign"]
    assert check(config("transformers"))["engines.open-server"].level == "info"


def test_no_gpu() -> None:
    for name in ("turbomind", "pytorch"):
        message = ENGINES[name].unavailable(LAPTOP)
        assert message is not None
        assert message.key == "environments.no-driver"
        assert errors(config(name), model(), LAPTOP) == ["environments.no-driver"]
    for name in ("transformers", "external"):
        assert ENGINES[name].unavailable(LAPTOP) is None
    assert errors(config("transformers"), model(), LAPTOP) == []


def test_no_environment_at_all() -> None:
    bare = Machine((), "", "", ())
    unavailable = {name: engine.unavailable(bare) for name, engine in ENGINES.items()}
    assert {name for name, message in unavailable.items() if message is None} == {"external"}
    assert errors(config("transformers"), model(), bare) == ["environments.no-transformers"]
    assert errors(config(), model(), bare) == ["environments.no-lmdeploy"]


def test_the_cpu_engine_needs_transformers_5() -> None:
    old = replace(CONSOLE, id="/old", transformers="4.57.6", kind="internlm2")
    machine = replace(LAPTOP, environments=(old,))
    unavailable = ENGINES["transformers"].unavailable(machine)
    assert unavailable is not None
    assert errors(config("transformers"), model(), machine) == ["environments.no-transformers"]
    both = replace(machine, environments=(CONSOLE, old))
    assert errors(config("transformers", environment="/old"), model(), both) == ["environments.old-transformers"]
    assert errors(config("transformers"), model(), both) == []


def test_an_old_lmdeploy_is_checked_against_its_own_parser() -> None:
    assert errors(config(), model(), COURSE_MACHINE) == ["engines.parser-unread"]
    asked = replace(COURSE_MACHINE, environments=(CONSOLE, ASKED_COURSE))
    assert check(config(quant_policy=4), model(), asked) == {}
    assert errors(config(dtype="float16"), model(), asked) == ["engines.choice"]
    assert errors(config(quant_policy=16), model(), asked) == ["engines.choice"]
    assert errors(config(extra=("--eager-mode",)), model(), asked) == ["engines.extra.unknown"]
    assert errors(config(extra=("--cap", "chat")), model(), asked) == []
    assert errors(config(), model("Qwen3ForCausalLM"), asked) == ["engines.architecture"]
    found = check(config(), INTERNVL_AWQ, asked)  # no --trust-remote-code, no --dtype
    assert list(found) == ["engines.always-trusts"]
    assert found["engines.always-trusts"].level == "warning"


def test_an_lmdeploy_without_keys_is_warned_about() -> None:
    without_keys = tuple(flag for flag in snapshot().serve if "--api-keys" not in flag.names)
    read = replace(COURSE, capabilities=Capabilities(serve=without_keys, source="parser"))
    found = check(config(), model(), replace(COURSE_MACHINE, environments=(CONSOLE, read)))
    assert (found["engines.safety-lacking"].params["flags"], len(found)) == ("--api-keys", 1)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("", "engines.external.no-address"),
        ("localhost:23333", "engines.external.bad-address"),
        ("ftp://host/v1", "engines.external.bad-address"),
        ("http://", "engines.external.bad-address"),
        ("http://host:99999", "engines.external.bad-address"),
        ("http://ho st", "engines.external.bad-address"),
        ("http://me:secret@host:1", "engines.external.credentials"),
    ],
)
def test_bad_addresses(address: str, key: str) -> None:
    assert errors(ServeConfig("external", "", address=address), None) == [key]
    with pytest.raises(ValueError):
        base_url(address)


@pytest.mark.parametrize(
    "address", ["http://gpu:23333", " http://gpu:23333/ ", "http://gpu:23333/v1", "http://gpu:23333/v1/models"]
)
def test_addresses_end_in_v1(address: str) -> None:
    assert errors(ServeConfig("external", "", address=address), None) == []
    assert base_url(address) == "http://gpu:23333/v1"


def test_a_key_that_no_header_carries() -> None:
    bad = ServeConfig("external", "", address="http://gpu", api_key="a\nb")
    assert errors(bad, None) == ["engines.external.bad-key"]
    assert "a\nb" not in repr(bad)


def test_quantized_weights_that_the_config_does_not_declare() -> None:
    """LMDeploy goes by config.json: without a format given it would look for plain weights."""
    packed = model(quantization="awq", group_size=128, quantization_source="tensors", packed_as="awq")
    for engine in ("turbomind", "pytorch"):
        found = check(config(engine), packed)["engines.format-undeclared"]
        assert (found.level, found.field, found.params["quantization"]) == ("error", "model_format", "awq")
    assert errors(config(model_format="awq"), packed) == []
    unknown = replace(packed, quantization="bitsandbytes")
    assert check(config(), unknown)["engines.format-unknown"].field == "model"
    assert errors(config(), replace(packed, quantization_source="config")) == []
