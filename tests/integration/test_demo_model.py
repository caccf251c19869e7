"""The demo model's chat template writes what its training saw, and its card says what the evaluation found."""

import json
import random
from pathlib import Path

import jinja2

from assets.demo_model.train import dialogue, evaluate

FOLDER = Path(__file__).parents[2] / "assets" / "demo_model"


def test_chat_template_writes_what_training_saw() -> None:
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


def test_the_card_says_what_the_evaluation_found() -> None:
    measured = json.loads((FOLDER / "evaluation.json").read_text(encoding="utf-8"))
    for row, values in measured.items():
        assert min(values["en"], values["zh"]) >= evaluate.BARS[row.split(":")[0]], row
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for line in evaluate.printed(measured).splitlines()[2:]:
        assert line.split("|", 2)[2] in card, line  # the card's names of the rows are longer
