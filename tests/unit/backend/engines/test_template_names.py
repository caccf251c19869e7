"""A folder's name chooses LMDeploy's built-in template; LoRA adapters are looked at before the start."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backend.engines.adapters import check_adapters, given_adapters
from backend.engines.remedies import Case, remedies
from backend.engines.template_names import template_by_path, template_message
from tests.support.machines import ASKED_COURSE, CONSOLE, SERVER, config, model


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/models/internlm2_5-7b-chat", ""), ("/models/Qwen2.5-7B-Instruct", ""), ("/data/Vicuna-7B", "vicuna"),
        ("/home/vicuna/models/qwen", "vicuna"), ("/m/llava-v1.5-7b", "llava-v1"), ("/m/llava-v1.6-34b", ""),
        ("/m/Mistral-7B-Instruct-v0.3", "mistral"), ("/m/Mistral-7B-v0.3", ""), ("/m/Mixtral-8x7B-Instruct", "mixtral"),
        ("/m/CodeLlama-7b", "codellama"), ("/m/Llama-2-7b-chat", "llama2"), ("/m/WizardLM-7B", "vicuna"),
        ("/m/chatglm2-6b", "chatglm"), ("/m/chatglm3-6b", ""), ("/m/deepseek-vl2-tiny", "deepseek-vl2"),
        ("/m/deepseek-vl-7b-chat", "deepseek-vl"), ("/m/cogvlm2", ""), ("/m/InternVL-Chat-V1-1", "internvl-zh"),
    ],
)  # fmt: skip
def test_the_words_of_a_path(path: str, name: str) -> None:
    assert template_by_path(path) == name


def test_what_is_said_of_it() -> None:
    chosen = model(path=Path("/m/vicuna/qwen"))
    said = template_message(config(), chosen, CONSOLE, True)
    assert said is not None
    assert (said.key, said.level) == ("engines.template-by-name", "warning")
    (remedy,) = remedies(said, Case(config(), chosen, SERVER))
    mended = replace(config(), **remedy.settings)  # type: ignore[arg-type]
    assert mended.extra == ("--chat-template", "hf")
    assert template_message(mended, chosen, CONSOLE, True) is None
    built_in = template_message(config(), chosen, CONSOLE, False)
    assert built_in is not None
    assert built_in.level == "info"
    assert template_message(config(), chosen, CONSOLE, None) is None
    assert template_message(config(), chosen, ASKED_COURSE, True) is None  # its names weren't read
    assert template_message(config(), model(), CONSOLE, True) is None


@pytest.mark.parametrize(
    ("extra", "given"),
    [
        ((), ()),
        (("--adapters", "/a", "--tp", "2"), ("/a",)),
        (("--adapters=/a",), ("/a",)),
        (("--log-level", "INFO", "--adapters", "a=/a", "b=/b"), ("a=/a", "b=/b")),
    ],
)
def test_what_stands_behind_the_flag(extra: tuple[str, ...], given: tuple[str, ...]) -> None:
    assert given_adapters(extra) == given


def test_adapters(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.mkdir()
    (good / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "Qwen/qwen"}))
    other = tmp_path / "other"
    other.mkdir()
    (other / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/llama"}))

    def said(*words: str, engine: str = "pytorch", environment: object = CONSOLE) -> list[str]:
        settings = config(engine, extra=("--adapters", *words))
        return [m.key.removeprefix("engines.adapters-") for m in check_adapters(settings, model(), environment)]  # type: ignore[arg-type]

    assert said(str(good)) == []
    assert said(f"a={good}", "b=org/lora") == []
    assert said(str(good), engine="turbomind") == ["turbomind"]
    assert said(str(good), f"b={good}") == ["names"]
    assert said(f"a={good}", f"a={good}") == ["twice"]
    assert said(str(tmp_path / "none")) == ["folder"]
    assert said(str(other)) == ["base"]
    assert said(str(good), environment=replace(CONSOLE, lacking=("peft",))) == ["peft"]
    assert check_adapters(config(), model(), CONSOLE) == ()
