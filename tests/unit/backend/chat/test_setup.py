"""What a compared server ran with: bits of its weights and of its KV cache; and who was better."""

import json
from dataclasses import replace
from typing import Any

import pytest

from backend.chat.archive import Entry
from backend.chat.conversation import Answer, AnswerState, Conversation, Exchange, Question, from_json, to_json
from backend.chat.export import exported
from backend.chat.setup import Setup, setup_of
from backend.engines.base import ServeConfig
from backend.models.catalog import DEMO_MODEL
from backend.models.checkpoint import read_model

PLAIN = replace(read_model(DEMO_MODEL), quantization="", config={}, dtype="bfloat16")


@pytest.mark.parametrize(
    ("engine", "settings", "model", "bits", "kv_bits"),
    [
        ("turbomind", {}, {}, 16, 16),
        ("turbomind", {}, {"dtype": "float32"}, 16, 16),  # it loads that in 16
        ("turbomind", {"quant_policy": 4}, {"quantization": "awq"}, 4, 4),
        (
            "turbomind",
            {"quant_policy": 8},
            {"quantization": "gptq", "config": {"quantization_config": {"bits": 8}}},
            8,
            8,
        ),
        ("turbomind", {"model_format": "fp8"}, {}, 8, 16),
        ("pytorch", {"quant_policy": 16}, {"quantization": "smooth_quant"}, 8, 8),
        ("pytorch", {"quant_policy": 99}, {"quantization": "of its own"}, None, None),
        ("transformers", {}, {"dtype": "float32"}, 32, None),
        ("transformers", {}, {"dtype": ""}, None, None),
        ("transformers", {"dtype": "float32"}, {}, 32, None),
    ],
)
def test_bits_of_a_server(
    engine: str, settings: dict[str, Any], model: dict[str, Any], bits: int | None, kv_bits: int | None
) -> None:
    found = setup_of(ServeConfig(engine, "/m", **settings), replace(PLAIN, **model), 5)
    assert found == Setup(bits, kv_bits, 5)


def test_nothing_is_said_of_somebody_elses_server() -> None:
    assert setup_of(ServeConfig("external", "", address="http://x"), PLAIN, 5) == Setup()
    assert setup_of(ServeConfig("turbomind", "org/name"), None, 0) == Setup(None, 16, None)


def answered(text: str, setup: Setup | None = None) -> Answer:
    return Answer(text, f"server {text}", "m", AnswerState.DONE, text, setup=setup)


def test_the_better_answer_is_kept_and_exported() -> None:
    one, two = answered("one", Setup(16, 8, 3 << 30)), answered("two", Setup(4))
    asked = Conversation((Exchange(Question("Hi"), (one, two)),)).with_vote(0, 1)
    stored = json.loads(json.dumps(to_json(asked)))
    assert from_json(stored) == asked
    entry = Entry("id", "me", "Hi", False, False, 0, 0, 1)

    def export(form: str) -> str:
        return exported([(entry, stored)], form, False, lambda visitor, picture: "").data.decode()

    text = export("markdown")
    assert "### server two ★" in text
    assert "### server one\n" in text
    assert "16 bits · KV 8 bits · GPU 3.00 GiB" in text
    assert json.loads(export("json"))["conversations"][0]["conversation"]["exchanges"][0]["better"] == 1
    # Of several answers a program gets the one that was found better.
    assert json.loads(export("openai"))["messages"][-1]["content"] == "two"
    stored["exchanges"][0]["better"] = 7  # of a file from elsewhere
    assert json.loads(export("openai"))["messages"][-1]["content"] == "one"
    assert from_json(to_json(asked.with_vote(0, None))).exchanges[0].better is None
