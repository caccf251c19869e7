"""Ask the model what it was never trained on and print how often it is right, by kind of question and language.

    python -m train.evaluate --model ..                              # with transformers, on this machine
    python -m train.evaluate --url http://127.0.0.1:23333/v1         # any OpenAI-compatible server

Pictures come from another renderer (pillow.py), wordings from ``unseen/``.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import chat, explain, pillow, scenes, stories, tools
from .unseen import others

HERE = Path(__file__).parent
BARS = {
    "pictures": 0.98,
    "two pictures": 0.98,
    "explain": 0.97,
    "tools": 0.98,
    "outside": 0.95,
    "itself": 0.95,
    "stories": 0.95,
    "turns": 0.95,
}
Message = dict[str, Any]


@dataclass
class Case:
    """One question. ``check`` gets every answer so far and says: None (right so far, go on with ``follow``) or right/wrong."""

    group: str
    kind: str
    language: str
    messages: list[Message]
    expected: str
    check: Callable[[Message], bool]
    tools: list[dict[str, Any]] | None = None
    steps: list[tuple[str, dict[str, float], str]] = field(default_factory=list)


def same_text(expected: str) -> Callable[[Message], bool]:
    """Right if the answer says exactly that, spaces aside."""
    return lambda message: " ".join((message.get("content") or "").split()) == " ".join(expected.split())


def picture_part(image: tuple[str, bytes]) -> dict[str, Any]:
    """A picture as a part of a message."""
    return {"type": "image_url", "image_url": {"url": f"data:{image[0]};base64,{base64.b64encode(image[1]).decode()}"}}


def _user(text: str, images: list[tuple[str, bytes]], rng: random.Random) -> list[Message]:
    parts: list[dict[str, Any]] = [picture_part(i) for i in images]
    words = {"type": "text", "text": text}
    return [{"role": "user", "content": [*parts, words] if rng.random() < 0.7 else [words, *parts]}]


def _image(scene: scenes.Scene, rng: random.Random) -> tuple[str, bytes]:
    return pillow.file(pillow.draw(scene, rng, rng.choice(("filled", "filled", "outline", "hand"))), rng)


def _words(colour: str | None, kind: str | None, language: str, many: bool = False) -> str:
    if language == "en":
        noun = {"cross": "crosses"}.get(kind or "", f"{kind or 'shape'}s") if many else (kind or "shape")
        return f"{colour} {noun}" if colour else noun
    return (scenes.COLOUR_ZH[colour] if colour else "") + (
        scenes.KIND_ZH[kind] if kind else ("的图形" if colour else "图形")
    )


def _article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def picture_cases(per_kind: int, rng: random.Random) -> list[Case]:
    """Questions about one picture."""
    cases = []
    for language in ("en", "zh"):
        for kind, wordings in others.PICTURE.items():
            made = 0
            while made < per_kind:
                scene = pillow.scene(rng, rng.randint(2 if kind == "larger" else 1, 5))
                pattern = wordings[language][made % len(wordings[language])]
                shape = rng.choice(scene.shapes)
                alone = len(scenes.matching(scene, shape.kind, None)) == 1
                text = answer = ""
                if kind == "describe":
                    text, answer = pattern, scenes.describe(scene, language)
                elif kind == "count":
                    k, c = rng.choice(
                        [
                            (None, None),
                            (shape.kind, None),
                            (shape.kind, shape.colour),
                            (None, shape.colour),
                            (rng.choice(scenes.KINDS), None),
                        ]
                    )
                    text, answer = (
                        pattern.format(w=_words(c, k, language, True)),
                        scenes.count_answer(len(scenes.matching(scene, k, c)), c, k, language),
                    )
                elif kind == "colour" and alone:
                    text = pattern.format(w=_words(None, shape.kind, language))
                    answer = (
                        f"The {shape.kind} is {shape.colour}."
                        if language == "en"
                        else f"{scenes.KIND_ZH[shape.kind]}是{scenes.COLOUR_ZH[shape.colour]}。"
                    )
                elif kind == "where" and alone:
                    c = rng.choice((None, shape.colour))
                    text = pattern.format(w=_words(c, shape.kind, language))
                    answer = (
                        f"The {scenes.name(shape, 'en')} is {scenes.PLACE_EN[shape.place]}."
                        if language == "en"
                        else f"{scenes.name(shape, 'zh')}在{scenes.PLACE_ZH[shape.place]}。"
                    )
                elif kind == "exists":
                    k, c = (
                        (shape.kind, rng.choice((None, shape.colour)))
                        if rng.random() < 0.5
                        else (rng.choice(scenes.KINDS), rng.choice((None, rng.choice(scenes.COLOURS))))
                    )
                    words = _words(c, k, language)
                    text, answer = (
                        pattern.format(w=words, a=_article(words) if language == "en" else ""),
                        scenes.exists_answer(scene, k, c, language),
                    )
                elif kind == "larger":
                    one, two = rng.sample(scene.shapes, 2)
                    big, small = sorted((one, two), key=lambda s: -s.size)
                    unlike = all(len(scenes.matching(scene, s.kind, s.colour)) == 1 for s in (one, two))
                    if big.size > 1.6 * small.size and unlike:
                        text = pattern.format(
                            w1=_words(one.colour, one.kind, language), w2=_words(two.colour, two.kind, language)
                        )
                        answer = (
                            f"The {scenes.name(big, 'en')} is larger."
                            if language == "en"
                            else f"{scenes.name(big, 'zh')}更大。"
                        )
                elif kind == "background" and scene.background:
                    text = pattern
                    answer = (
                        f"The background is {scene.background}."
                        if language == "en"
                        else f"背景是{scenes.COLOUR_ZH[scene.background]}。"
                    )
                if text:
                    cases.append(
                        Case(
                            "pictures",
                            kind,
                            language,
                            _user(text, [_image(scene, rng)], rng),
                            answer,
                            same_text(answer),
                        )
                    )
                    made += 1
    return cases


def two_cases(per_kind: int, rng: random.Random) -> list[Case]:
    """Questions about two pictures."""
    cases = []
    for language in ("en", "zh"):
        for kind, wordings in others.TWO.items():
            for i in range(per_kind):
                one, two = (pillow.scene(rng, rng.randint(1, 4)) for _ in range(2))
                pattern = wordings[language][i % len(wordings[language])]
                if kind == "both":
                    text, answer = pattern, scenes.describe_two(one, two, language)
                elif kind == "more":
                    k = rng.choice((None, rng.choice(one.shapes).kind))
                    counts = [len(scenes.matching(s, k, None)) for s in (one, two)]
                    text, answer = (
                        pattern.format(w=_words(None, k, language, True)),
                        scenes.more_answer(*counts, k, None, language),
                    )
                else:
                    shape = rng.choice(rng.choice((one, two)).shapes)
                    c = rng.choice((None, shape.colour))
                    words = _words(c, shape.kind, language)
                    found = [bool(scenes.matching(s, shape.kind, c)) for s in (one, two)]
                    text, answer = (
                        pattern.format(w=words, a=_article(words) if language == "en" else ""),
                        scenes.which_answer(*found, shape.kind, c, language),
                    )
                content = [
                    picture_part(_image(one, rng)),
                    picture_part(_image(two, rng)),
                    {"type": "text", "text": text},
                ]
                cases.append(
                    Case(
                        "two pictures",
                        kind,
                        language,
                        [{"role": "user", "content": content}],
                        answer,
                        same_text(answer),
                    )
                )
    return cases


def unseen_topics() -> list[tuple[str, str, str]]:
    """``(topic, language, wording)`` of unseen/topics.txt."""
    found = []
    for line in (HERE / "unseen" / "topics.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, *wordings = line.split(" | ")
            found += [(name, "en" if i < 2 else "zh", w) for i, w in enumerate(wordings)]
    return found


def outside_questions() -> dict[str, list[str]]:
    """The lines of unseen/outside.txt by language."""
    english, chinese = (HERE / "unseen" / "outside.txt").read_text(encoding="utf-8").split("---\n")
    return {
        "en": [x for x in english.splitlines() if x and not x.startswith("#")],
        "zh": [x for x in chinese.splitlines() if x],
    }


def text_cases(rng: random.Random) -> list[Case]:
    """Explanations, questions it can't answer, itself, and stories."""
    cases = []
    answers = {t.name: t.answer for t in explain.topics()}
    for name, language, wording in unseen_topics():
        cases.append(
            Case(
                "explain",
                name,
                language,
                [{"role": "user", "content": wording}],
                answers[name][language],
                same_text(answers[name][language]),
            )
        )
    for language, questions in outside_questions().items():
        answer = chat.ANSWERS["fallback"][language]
        cases += [
            Case("outside", "fallback", language, [{"role": "user", "content": q}], answer, same_text(answer))
            for q in questions
        ]
        answer = chat.ANSWERS["itself"][language]
        cases += [
            Case("itself", "itself", language, [{"role": "user", "content": q}], answer, same_text(answer))
            for q in others.ITSELF[language]
        ]
        for i in range(20):
            a, b = rng.choice(stories.ANIMALS[language]), rng.choice(stories.THINGS[language])
            wished = (stories.article(a), stories.article(b)) if language == "en" else (a, b)
            text = others.STORY[language][i % len(others.STORY[language])].format(a=wished[0], b=wished[1])

            def told(message: Message, a: str = a, b: str = b, least: int = 120 if language == "en" else 40) -> bool:
                content = message.get("content") or ""
                return a in content and b in content and len(content) >= least

            cases.append(
                Case("stories", "both in it", language, [{"role": "user", "content": text}], f"{a}, {b}", told)
            )
    return cases


def turn_cases(per_kind: int, rng: random.Random) -> list[Case]:
    """After questions about a picture: something about LMDeploy, something unknown, the same picture again."""
    cases = []
    answers = {t.name: t.answer for t in explain.topics()}
    asked = unseen_topics()
    unknown = outside_questions()
    for language in ("en", "zh"):
        describe, count = (others.PICTURE[kind][language] for kind in ("describe", "count"))
        for i in range(per_kind):
            scene = pillow.scene(rng, rng.randint(1, 4))
            before = _user(describe[i % len(describe)], [_image(scene, rng)], rng)
            before.append({"role": "assistant", "content": scenes.describe(scene, language)})
            counting = count[i % len(count)].format(w=_words(None, None, language, True))
            counted = scenes.count_answer(len(scene.shapes), None, None, language)
            if rng.random() < 0.5:
                before += [{"role": "user", "content": counting}, {"role": "assistant", "content": counted}]
            topic, _, wording = rng.choice([found for found in asked if found[1] == language])
            explained = answers[topic][language]
            turns = [
                ("explanation after a picture", [{"role": "user", "content": wording}], explained),
                (
                    "unknown after a picture",
                    [{"role": "user", "content": rng.choice(unknown[language])}],
                    chat.ANSWERS["fallback"][language],
                ),
                (
                    "back to the picture",
                    [
                        {"role": "user", "content": wording},
                        {"role": "assistant", "content": explained},
                        {"role": "user", "content": counting},
                    ],
                    counted,
                ),
            ]
            for kind, more, answer in turns:
                cases.append(Case("turns", kind, language, [*before, *more], answer, same_text(answer)))
    return cases


def _call_is(name: str, arguments: dict[str, float]) -> Callable[[Message], bool]:
    def check(message: Message) -> bool:
        calls = message.get("tool_calls") or []
        if len(calls) != 1 or calls[0]["function"]["name"] != name:
            return False
        try:
            return bool(json.loads(calls[0]["function"]["arguments"]) == arguments)
        except ValueError:
            return False

    return check


def tool_cases(per_kind: int, rng: random.Random) -> list[Case]:
    """One and two calculations with add and mul, and a call of a function nobody has heard of."""
    cases = []
    plain = [
        tools.schema("add", ("a", "b"), "Add two numbers."),
        tools.schema("mul", ("a", "b"), "Multiply two numbers."),
    ]
    run = {"add": lambda a, b: a + b, "mul": lambda a, b: a * b}
    for language in ("en", "zh"):
        final = tools.RESULT[language]
        for operation, wordings in others.ONE_STEP.items():
            for i in range(per_kind):
                a, b = (rng.randint(0, 999) if rng.random() < 0.6 else round(rng.uniform(0, 50), 1) for _ in range(2))
                text = wordings[language][i % len(wordings[language])].format(
                    a=tools.number_text(a), b=tools.number_text(b)
                )
                result = tools.number_text(run[operation](a, b))
                answer = final.format(result)
                cases.append(
                    Case(
                        "tools",
                        "one step",
                        language,
                        [{"role": "user", "content": text}],
                        answer,
                        same_text(answer),
                        plain,
                        [(operation, {"a": a, "b": b}, result)],
                    )
                )
        for i in range(per_kind * 2):
            pattern, calls = others.TWO_STEPS[i % len(others.TWO_STEPS)]
            numbers: dict[str | None, float] = {x: rng.randint(2, 60) for x in ("a", "b", "c")}
            steps = []
            for operation, left, right in calls:
                a, b = numbers[left], numbers[right]
                numbers[None] = run[operation](a, b)
                steps.append((operation, {"a": a, "b": b}, tools.number_text(numbers[None])))
            answer = final.format(tools.number_text(numbers[None]))
            text = pattern[language].format(**{k: v for k, v in numbers.items() if k})
            cases.append(
                Case(
                    "tools",
                    "two steps",
                    language,
                    [{"role": "user", "content": text}],
                    answer,
                    same_text(answer),
                    plain,
                    steps,
                )
            )
        for i in range(per_kind):
            name = rng.choice(("glorp", "hypotenuse", "mystery", "blend_values", "zap", "manhattan", "tofu2", "crunch"))
            parameters = rng.choice((("x", "y"), ("first", "second"), ("alpha", "beta")))
            a, b = rng.randint(1, 500), rng.randint(1, 500)
            result = str(rng.randint(1, 900))
            text = others.NAMED[language][i % len(others.NAMED[language])].format(f=name, a=a, b=b)
            answer = final.format(result)
            offered = [*plain, tools.schema(name, parameters, "Does something with two numbers.")]
            cases.append(
                Case(
                    "tools",
                    "any function",
                    language,
                    [{"role": "user", "content": text}],
                    answer,
                    same_text(answer),
                    offered,
                    [(name, dict(zip(parameters, (a, b), strict=True)), result)],
                )
            )
    return cases


def all_cases(scale: float = 1.0, seed: int = 2026) -> list[Case]:
    """The whole evaluation; ``scale`` shrinks the drawn and calculated parts, and samples the written ones."""
    rng = random.Random(seed)
    n = max(1, round(60 * scale))
    written = text_cases(rng)
    if scale < 1:
        written = rng.sample(written, max(8, round(len(written) * scale)))
    return [
        *picture_cases(n, rng),
        *two_cases(n, rng),
        *written,
        *tool_cases(max(1, n // 2), rng),
        *turn_cases(max(1, n // 2), rng),
    ]


Ask = Callable[[list[tuple[list[Message], list[dict[str, Any]] | None]]], list[Message]]


def evaluate(cases: list[Case], ask: Ask) -> list[tuple[Case, bool, Message]]:
    """Ask all cases, step by step; a case with tools is right if every call and the last answer are."""
    alive = {i: list(case.messages) for i, case in enumerate(cases)}
    outcome: dict[int, tuple[bool, Message]] = {}
    for depth in range(4):
        order = [i for i in alive if i not in outcome]
        if not order:
            break
        for i, message in zip(order, ask([(alive[i], cases[i].tools) for i in order]), strict=True):
            case = cases[i]
            if depth < len(case.steps):
                name, arguments, result = case.steps[depth]
                if not _call_is(name, arguments)(message):
                    outcome[i] = (False, message)
                    continue
                call = message["tool_calls"][0]
                alive[i] += [
                    {"role": "assistant", "content": "", "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": call["id"], "content": result},
                ]
            else:
                outcome[i] = (case.check(message) and not message.get("tool_calls"), message)
    return [(case, *outcome.get(i, (False, {"content": ""}))) for i, case in enumerate(cases)]


def server(url: str, model: str, parallel: int = 1, api_key: str = "none") -> Ask:
    """Answers from an OpenAI-compatible server, greedily."""

    def one(question: tuple[list[Message], list[dict[str, Any]] | None]) -> Message:
        body: dict[str, Any] = {"model": model, "messages": question[0], "temperature": 0, "max_tokens": 400}
        if question[1]:
            body["tools"] = question[1]
        request = urllib.request.Request(
            url.rstrip("/") + "/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {api_key}"},
        )
        with urllib.request.urlopen(request, timeout=300) as reply:
            message = json.load(reply)["choices"][0]["message"]
        return message  # type: ignore[no-any-return]

    def ask(questions: list[tuple[list[Message], list[dict[str, Any]] | None]]) -> list[Message]:
        with ThreadPoolExecutor(parallel) as pool:
            return list(pool.map(one, questions))

    return ask


def local(folder: Path, batch: int = 64) -> Ask:
    """Answers from transformers in this process, in batches; on the GPU where there is one."""
    import io

    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.bfloat16).to(device).eval()
    processor = AutoProcessor.from_pretrained(folder)
    processor.tokenizer.padding_side = "left"
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def parse(text: str) -> Message:
        text = text.split("<|im_end|>")[0]
        if "<tool_call>" in text:
            try:
                call = json.loads(text.split("<tool_call>")[1].split("</tool_call>")[0])
                return {
                    "content": "",
                    "tool_calls": [
                        {
                            "id": "call_0",
                            "type": "function",
                            "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
                        }
                    ]
                    * text.count("<tool_call>"),
                }
            except (ValueError, KeyError):
                pass
        return {"content": text}

    def prompt(question: tuple[list[Message], list[dict[str, Any]] | None]) -> tuple[str, list[Image.Image]]:
        images = []
        messages = []
        for message in question[0]:
            message = dict(message)
            for call in message.get("tool_calls") or []:
                if isinstance(call["function"]["arguments"], str):
                    message["tool_calls"] = [
                        {
                            **call,
                            "function": {**call["function"], "arguments": json.loads(call["function"]["arguments"])},
                        }
                    ]
            for part in message["content"] if isinstance(message["content"], list) else []:
                if part["type"] == "image_url":
                    images.append(
                        Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].split(",")[1]))).convert("RGB")
                    )
            messages.append(message)
        return processor.tokenizer.apply_chat_template(
            messages, tools=question[1], tokenize=False, add_generation_prompt=True
        ), images

    def ask(questions: list[tuple[list[Message], list[dict[str, Any]] | None]]) -> list[Message]:
        answers: list[Message] = []
        for start in range(0, len(questions), batch):
            pairs = [prompt(q) for q in questions[start : start + batch]]
            images = [i for _, pictures in pairs for i in pictures]
            inputs = processor(text=[t for t, _ in pairs], images=images or None, padding=True, return_tensors="pt").to(
                device
            )
            if "pixel_values" in inputs:
                inputs["pixel_values"] = inputs["pixel_values"].to(torch.bfloat16)
            with torch.inference_mode():
                out = model.generate(**inputs, max_new_tokens=320, do_sample=False, eos_token_id=end, pad_token_id=0)
            answers += [parse(processor.tokenizer.decode(row)) for row in out[:, inputs["input_ids"].shape[1] :]]
        return answers

    return ask


def row_of(case: Case) -> str:
    """The row of the table that a case counts in."""
    return f"{case.group}: {case.kind}" if case.group in ("pictures", "two pictures", "tools", "turns") else case.group


def summary(results: list[tuple[Case, bool, Message]]) -> dict[str, dict[str, float]]:
    """Shares of right answers: by group, and by group, kind (pictures and tools) and language."""
    cells: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for case, right, _ in results:
        for language in (case.language, "all"):
            cells[row_of(case), language].append(right)
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for (row, language), marks in cells.items():
        table[row][language] = sum(marks) / len(marks)
        table[row]["n"] = max(table[row].get("n", 0), len(marks))
    return dict(table)


def printed(table: dict[str, dict[str, float]]) -> str:
    """The summary as a table in Markdown."""
    lines = ["| | cases | English | Chinese | bar |", "|---|---|---|---|---|"]
    for row, values in table.items():
        bar = BARS[row.split(":")[0]]
        lines.append(
            f"| {row} | {int(values['n'])} | {values.get('en', float('nan')):.1%} | {values.get('zh', float('nan')):.1%} | {bar:.0%} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=HERE.parent)
    parser.add_argument("--url", help="an OpenAI-compatible server's address, ending in /v1")
    parser.add_argument("--name", help="the model's name at that server (default: the folder)")
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--wrong", type=int, default=40, help="how many wrong answers to print")
    parser.add_argument("--json", type=Path, help="write the table here too")
    a = parser.parse_args()
    cases = all_cases(a.scale, a.seed)
    began = time.time()
    results = evaluate(cases, server(a.url, a.name or str(a.model), a.parallel) if a.url else local(a.model))
    for case, _, message in [r for r in results if not r[1]][: a.wrong]:
        content = case.messages[-1]["content"]
        asked = content if isinstance(content, str) else " ".join(p.get("text", "[picture]") for p in content)
        print(
            f"WRONG {case.group}/{case.kind}/{case.language}: {asked}\n   expected: {case.expected[:110]}\n   answered: {(message.get('content') or json.dumps(message.get('tool_calls'), ensure_ascii=False))[:150]}"
        )
    table = summary(results)
    print(printed(table))
    print(
        f"{len(cases)} cases in {time.time() - began:.0f} s, {sum(r[1] for r in results) / len(results):.2%} right",
        file=sys.stdout,
    )
    if a.json:
        a.json.write_text(json.dumps(table, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
