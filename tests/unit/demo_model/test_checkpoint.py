"""The shipped folder: its sizes, what the engines want of it, and its chat template."""

import json
import random
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "assets" / "demo_model"


def test_files_are_small() -> None:
    files = [f for f in FOLDER.iterdir() if f.is_file()]
    assert max(f.stat().st_size for f in files) <= 15_000_000
    assert sum(f.stat().st_size for f in files) <= 36_000_000


def test_shape_suits_kv_int4_and_group_size_128() -> None:
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    text = config["text_config"]
    assert config["architectures"] == ["InternVLForConditionalGeneration"]
    assert text["architectures"] == ["Qwen2ForCausalLM"]
    assert text["head_dim"] == 128
    assert text["hidden_size"] % 128 == text["intermediate_size"] % 128 == 0
    assert config["tie_word_embeddings"] is text["tie_word_embeddings"] is True
    assert config["dtype"] == "bfloat16"


def test_one_tile_for_every_picture() -> None:
    processor = json.loads((FOLDER / "preprocessor_config.json").read_text(encoding="utf-8"))
    assert processor["max_patches"] == 1


def test_chat_template_writes_what_training_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    jinja2 = pytest.importorskip("jinja2")
    from assets.demo_model.train import dialogue

    template = jinja2.Environment(
        extensions=["jinja2.ext.loopcontrols"], trim_blocks=True, lstrip_blocks=True
    )  # as transformers sets it up
    template.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    written = template.from_string((FOLDER / "chat_template.jinja").read_text(encoding="utf-8"))
    rng = random.Random(3)
    for make in dialogue.MAKERS.values():
        for _ in range(40):
            sample = make(rng)
            messages = []
            for role, text in sample.turns:
                if text.startswith("<tool_call>"):
                    call = json.loads(text.split("\n")[1])
                    messages.append(
                        {"role": role, "content": None, "tool_calls": [{"type": "function", "function": call}]}
                    )
                else:
                    messages.append({"role": role, "content": text})
            expected = "".join(text for _, text in dialogue.render(sample.turns, sample.offered))
            assert written.render(messages=messages, tools=sample.offered, add_generation_prompt=False) == expected
