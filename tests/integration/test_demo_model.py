"""The shipped demo model in a real ``transformers serve``: a sample of its evaluation, and what the page offers."""

import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assets.demo_model.train import evaluate
from backend.processes.ports import free_port
from tests.model_servers import complete, model_server

FOLDER = Path(__file__).parents[2] / "assets" / "demo_model"
SAMPLES = Path(__file__).parents[2] / "assets" / "sample_pictures"
READY_S = 300
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API address of a server with the demo model on the CPU."""
    home = tmp_path_factory.mktemp("hub")
    port = free_port()
    program = Path(sys.executable).parent / "transformers"
    argv = [str(program), "serve", str(FOLDER), "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(home)}
    with model_server(argv, port, home / "log", READY_S, environment):
        yield f"http://127.0.0.1:{port}/v1"


def ask(address: str, **body: Any) -> dict[str, Any]:
    """The answer's message to one request."""
    answer = complete(address, {"model": str(FOLDER), "max_tokens": 300} | body, 300)
    message: dict[str, Any] = answer["choices"][0]["message"]
    return message


def test_a_sample_of_the_evaluation_meets_the_bars(address: str) -> None:
    cases = evaluate.all_cases(scale=0.05, seed=11)
    results = evaluate.evaluate(cases, evaluate.server(address, str(FOLDER)))
    marks = [(evaluate.BARS[case.group], right) for case, right, _ in results]
    expected = sum(bar for bar, _ in marks)
    spread = sum(bar * (1 - bar) for bar, _ in marks) ** 0.5  # of a sample of this size
    wrong = [(c.group, c.kind, c.expected, m.get("content")) for c, right, m in results if not right]
    assert sum(right for _, right in marks) >= expected - 2 * spread, wrong


def test_the_card_says_what_the_evaluation_found() -> None:
    measured = json.loads((FOLDER / "evaluation.json").read_text(encoding="utf-8"))
    for row, values in measured.items():
        assert min(values["en"], values["zh"]) >= evaluate.BARS[row.split(":")[0]], row
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for line in evaluate.printed(measured).splitlines()[2:]:
        assert line.split("|", 2)[2] in card, line  # the card's names of the rows are longer


@pytest.mark.parametrize(
    ("picture", "english", "chinese"),
    [
        (
            "two_shapes", "2 shapes: a red circle at the top left and a blue square at the bottom right.",
            "2 个图形：左上方的红色圆形和右下方的蓝色正方形。",
        ),
        (
            "big_and_small", "2 shapes: an orange triangle at the top right and a purple square on the left.",
            "2 个图形：右上方的橙色三角形和左边的紫色正方形。",
        ),
        (
            "hand_drawn", "2 shapes: a red heart at the top left and a black circle at the bottom right.",
            "2 个图形：左上方的红色心形和右下方的黑色圆形。",
        ),
        (
            "three_stars",
            "3 shapes: an orange star on the left, a purple star in the centre, and a green star on the right.",
            "3 个图形：左边的橙色星形、中间的紫色星形和右边的绿色星形。",
        ),
        (
            "five_shapes",
            "5 shapes: a yellow star at the top left, a pink heart at the top right, a white circle in the centre, "
            "a green triangle at the bottom left, and a red cross at the bottom right.",
            "5 个图形：左上方的黄色星形、右上方的粉色心形、中间的白色圆形、左下方的绿色三角形和右下方的红色十字。",
        ),
    ],
)  # fmt: skip
def test_the_sample_pictures_are_described(address: str, picture: str, english: str, chinese: str) -> None:
    part = evaluate.picture_part(("image/png", (SAMPLES / f"{picture}.png").read_bytes()))
    english, chinese = f"The picture shows {english}", f"图中有 {chinese}"
    for question, answer in (("What is in the picture?", english), ("图里有什么？", chinese)):
        content = [part, {"type": "text", "text": question}]
        assert ask(address, messages=[{"role": "user", "content": content}], temperature=0)["content"] == answer


def test_compute_takes_two_calls_and_ends_in_16(address: str) -> None:
    case = next(c for c in evaluate.tool_cases(1, random.Random(1)) if c.kind == "two steps")
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Compute (3+5)*2"}]
    for name, arguments, result in (("add", {"a": 3, "b": 5}, "8"), ("mul", {"a": 8, "b": 2}, "16")):
        call = ask(address, messages=messages, tools=case.tools, temperature=0)["tool_calls"][0]
        assert call["function"]["name"] == name
        assert json.loads(call["function"]["arguments"]) == arguments
        messages += [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": result},
        ]
    assert "16" in ask(address, messages=messages, tools=case.tools, temperature=0)["content"]


def test_a_story_is_the_same_at_0_and_another_at_1(address: str) -> None:
    messages = [{"role": "user", "content": "Tell me a short story about a fox and a watermelon"}]
    first = ask(address, messages=messages, temperature=0)["content"]
    assert "fox" in first
    assert "watermelon" in first
    assert ask(address, messages=messages, temperature=0)["content"] == first
    varied = {ask(address, messages=messages, temperature=1, top_p=1, seed=seed)["content"] for seed in (1, 2, 3)}
    assert len(varied) > 1
