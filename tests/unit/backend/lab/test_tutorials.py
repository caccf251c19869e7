"""The tutorials' table: the course's arithmetic, which weights belong to a model, what is started for each line."""

from dataclasses import replace
from pathlib import Path

import pytest

from backend.errors import Message
from backend.lab.tutorials import LINES, Weights, claimed_bytes, find_weights, settings
from backend.models.checkpoint import ModelInfo

GIB = 1024**3
LINE = {line.id: line for line in LINES}
SIZES = {"hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 92544}


def model(name: str, **changes: object) -> ModelInfo:
    made = ModelInfo(
        path=Path("/m") / name, name=name, architecture="InternLM2ForCausalLM", text_architecture="",
        parameters=7_740_000_000, dtype="bfloat16", quantization="", group_size=0, size_bytes=0,
        context_length=0, takes_images=False, needs_remote_code=False, head_dim=128, config={}, text=SIZES,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "said"), [("plain", 23), ("kv4", 19), ("w4a16", 20.9), ("all", 13.5)]
)  # the course: 7B of 14 GB (3.5 in 4 bits) on 24 GB
def test_the_courses_arithmetic(line: str, said: float) -> None:
    parameters = 7 * GIB  # so that 2 bytes each are its 14 GB
    assert (claimed_bytes(LINE[line], parameters, 24 * GIB) or 0) / GIB == pytest.approx(said, abs=0.11)


def test_what_it_cant_work_out_is_not_known() -> None:
    assert claimed_bytes(LINE["plain"], 0, 24 * GIB) is None
    assert claimed_bytes(LINE["plain"], 12 * GIB, 24 * GIB) is None
    assert claimed_bytes(LINE["w4a16"], 12 * GIB, 24 * GIB) is not None


def test_weights_of_another_model_are_not_taken() -> None:
    plain = model("internlm2_5-7b-chat")
    awq = {"quantization": "awq"}
    listed = model("Shanghai/internlm2_5-7b-chat-w4a16-4bit", **awq)
    others = (
        plain,
        model("internlm2_5-7b-chat-gptq", quantization="gptq"),
        model("internlm2_5-7b-chat-broken", problem=Message("x"), **awq),
        model("internlm2_5-7b-chat-small", text={**SIZES, "num_hidden_layers": 24}, **awq),
        model("qwen-awq", **awq),
    )
    assert find_weights(plain, others, []) is None
    assert find_weights(plain, (*others, listed), []) == Weights(str(listed.path))
    # What this console made of it comes first, if it is still there.
    mine = model("my-result", **awq)
    made = [Weights("/gone"), Weights(str(mine.path), "float16")]
    assert find_weights(plain, (*others, listed, mine), made) == made[1]
    seeing = replace(listed, takes_images=True)
    assert find_weights(plain, (seeing,), []) == Weights(str(listed.path), "float16")


def test_every_line_is_started_as_the_course_does() -> None:
    weights = Weights("/m/awq", "float16")
    made = {line.id: settings(line, "/m/plain", weights, ("0",), trusted=False) for line in LINES}
    assert {name: (one.model, one.model_format, one.quant_policy, one.cache_max_entry_count, one.dtype)
            for name, one in made.items()} == {
        "plain": ("/m/plain", "auto", 0, 0.8, "auto"),
        "kv4": ("/m/plain", "auto", 4, 0.4, "auto"),
        "w4a16": ("/m/awq", "awq", 0, 0.8, "float16"),
        "all": ("/m/awq", "awq", 4, 0.4, "float16"),
    }  # fmt: skip
    assert all(one.engine == "turbomind" and one.gpus == ("0",) for one in made.values())
