"""From messages to token ids: the chat template in Python (the shipped Jinja template writes the same), and the mix of training data."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from . import chat, explain, noise, raster, scenes, stories, tools

IMAGE_TOKENS = 64
END, START, PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"
IMAGE_START, IMAGE_END, IMAGE = "<img>", "</img>", "<IMG_CONTEXT>"
SPECIAL = (PAD, START, END, IMAGE_START, IMAGE_END, IMAGE, "<video>")
PLAIN_ADDED = ("<tool_call>", "</tool_call>")
PICTURE = IMAGE_START + IMAGE + IMAGE_END + "\n"
SYSTEM = {
    "en": [
        "You are a helpful assistant.",
        "You are a helpful assistant. Answer briefly.",
        "Be concise.",
        "You are a friendly teacher.",
        "Answer in short sentences.",
        "You are an expert for LMDeploy.",
        "You are LMDeploy's demo model.",
        "Answer politely.",
        "You speak with students.",
    ],
    "zh": [
        "你是一个乐于助人的助手。",
        "你是一位老师。",
        "请简短回答。",
        "请用中文回答。",
        "你是 LMDeploy 的助手。",
        "你是一个友好的助手。",
        "回答要简洁。",
    ],
}
AGAIN = {
    "en": [
        "in English[ please]",
        "{say|explain|tell me|repeat} {that|it} in English",
        "{and |now }in English",
        "{can|could} you say that in English",
        "English please",
        "translate {that|it} {to|into} English",
        "请用英文{说|回答|再说一遍}",
        "用英语{说一遍|再说一次|怎么说}",
        "翻译成英文",
    ],
    "zh": [
        "in Chinese[ please]",
        "{say|explain|tell me|repeat} {that|it} in Chinese",
        "{and |now }in Chinese",
        "Chinese please",
        "translate {that|it} {to|into} Chinese",
        "用中文{说|回答|再说一遍|讲一遍|解释}",
        "请用中文{回答|说一遍|再说一遍|}",
        "翻译成中文",
        "中文{呢|怎么说|版}",
    ],
}


def tool_line(tool: dict[str, object]) -> str:
    """A tool as the system message lists it: ``add(a,b): Add two numbers.``

    Without spaces a name is cut into the same tokens here and in a call, so that calling is copying.
    """
    function = tool.get("function", tool)
    names = ",".join((function.get("parameters") or {}).get("properties") or {})  # type: ignore[attr-defined]
    about = function.get("description") or ""  # type: ignore[attr-defined]
    return f"{function['name']}({names})" + (f": {about}" if about else "")  # type: ignore[index]


def render(turns: list[tuple[str, str]], offered: list[dict[str, object]] | None = None) -> list[tuple[str, str]]:
    """``(role, text)`` pieces whose joined text is what the chat template writes; a role of "assistant" is what is learnt."""
    pieces: list[tuple[str, str]] = []
    rest = list(turns)
    system = rest.pop(0)[1] if rest and rest[0][0] == "system" else ""
    if offered:
        system = (system + "\n" if system else "") + "Tools:\n" + "\n".join(tool_line(t) for t in offered)
    if system:
        pieces.append(("system", f"{START}system\n{system}{END}\n"))
    for role, text in rest:
        if role == "assistant":
            pieces += [("frame", f"{START}assistant\n"), ("assistant", text + END), ("frame", "\n")]
        else:
            pieces.append((role, f"{START}{role}\n{text}{END}\n"))
    return pieces


@dataclass
class Sample:
    """One conversation: its turns, the tools offered, and the scenes of its pictures in order."""

    turns: list[tuple[str, str]]
    offered: list[dict[str, object]] | None = None
    scenes: list[scenes.Scene] = field(default_factory=list)


class Encoder:
    """Turns samples into ids and labels. Users' words are cut at random now and then (BPE dropout), so no cut is special."""

    def __init__(self, path: Path) -> None:
        self.exact = Tokenizer.from_file(str(path))
        self.loose = Tokenizer.from_file(str(path))
        self.loose.model.dropout = 0.08
        self.image_id = self.exact.token_to_id(IMAGE)
        self.pad_id = self.exact.token_to_id(PAD)
        self._cached = lru_cache(maxsize=50_000)(lambda text: self.exact.encode(text, add_special_tokens=False).ids)

    def encode(self, sample: Sample, rng: random.Random | None = None) -> tuple[list[int], list[int]]:
        """``(ids, labels)``; labels are -100 where nothing is learnt. Each picture takes IMAGE_TOKENS ids."""
        ids: list[int] = []
        labels: list[int] = []
        for role, text in render(sample.turns, sample.offered):
            loose = rng is not None and role == "user" and rng.random() < 0.5
            piece = self.loose.encode(text, add_special_tokens=False).ids if loose else self._cached(text)
            if role == "user" and IMAGE in text:
                piece = [i for token in piece for i in ([token] * IMAGE_TOKENS if token == self.image_id else [token])]
            ids += piece
            labels += piece if role == "assistant" else [-100] * len(piece)
        return ids, labels


def with_picture(text: str, rng: random.Random, pictures: int = 1) -> str:
    """A user's message with its pictures before, after or around the words."""
    if pictures == 2 and rng.random() < 0.25:
        return (
            PICTURE + text + PICTURE
            if rng.random() < 0.5
            else rng.choice(("A: ", "1: ", "first: ", "图一：", ""))
            + PICTURE
            + rng.choice(("B: ", "2: ", "and ", "图二：", ""))
            + PICTURE
            + text
        )
    return PICTURE * pictures + text if rng.random() < 0.75 else text + PICTURE * pictures


def _language(rng: random.Random) -> str:
    return "en" if rng.random() < 0.5 else "zh"


def _system(turns: list[tuple[str, str]], language: str, rng: random.Random) -> list[tuple[str, str]]:
    if rng.random() < 0.15:
        return [("system", rng.choice(SYSTEM[rng.choice((language, "en"))])), *turns]
    return turns


def simple_turn(
    rng: random.Random, language: str, calculate: bool = True, pictures: bool = False
) -> list[tuple[str, str]]:
    """A question of one turn without pictures or tools, and its answer. ``pictures``: there were some before."""
    roll = rng.random()
    if roll < 0.56:
        topic = rng.choice(explain.topics())
        asked = explain.wording(topic, language, rng)
        return [
            ("user", noise.typed(noise.dropped(asked, language, rng), language, rng)),
            ("assistant", topic.answer[language]),
        ]
    if roll < 0.86:
        return [
            ("user", noise.typed(chat.outside(language, rng), language, rng)),
            ("assistant", chat.ANSWERS["fallback"][language]),
        ]
    kinds = list(chat.QUESTIONS)
    kind = rng.choices(kinds, [{"itself": 6, "no-tools": 3, "no-picture": 3}.get(k, 1.5) for k in kinds])[0]
    if (kind == "no-tools" and not calculate) or (kind == "no-picture" and pictures):
        kind = "itself"
    return [
        (
            "user",
            noise.typed(
                chat.question(kind, language, rng),
                language,
                rng,
                errors=kind not in ("no-tools", "thanks", "bye", "hello"),
            ),
        ),
        ("assistant", chat.ANSWERS[kind][language]),
    ]


def short(rng: random.Random) -> Sample:
    """A conversation of one turn, sometimes with tools on offer that are not needed."""
    language = _language(rng)
    offered = tools.offer(rng).tools if rng.random() < 0.12 else None
    return Sample(_system(simple_turn(rng, language, calculate=offered is None), language, rng), offered)


def long(rng: random.Random) -> Sample:
    """Stories, calculations, and conversations of several turns."""
    language = _language(rng)
    roll = rng.random()
    if roll < 0.22:
        text, story = stories.request(language, rng)
        turns = [("user", noise.typed(text, language, rng, errors=False)), ("assistant", story)]
        if rng.random() < 0.2:
            turns += simple_turn(rng, language)
        return Sample(_system(turns, language, rng), tools.offer(rng).tools if rng.random() < 0.08 else None)
    if roll < 0.72:
        offered, turns = tools.conversation(language, rng)
        turns[0] = ("user", noise.typed(turns[0][1], language, rng, errors=False))
        if rng.random() < 0.15:
            before = simple_turn(rng, language, calculate=False)
            turns = before + turns
        elif rng.random() < 0.2:
            turns += simple_turn(rng, language, calculate=False)
        return Sample(_system(turns, language, rng), offered)
    turns = []
    for _ in range(rng.randint(2, 4)):
        if rng.random() < 0.12:
            language = _language(rng)
        if turns and rng.random() < 0.12:
            topic = rng.choice(explain.topics())
            other = "zh" if language == "en" else "en"
            turns += [
                ("user", noise.typed(explain.wording(topic, language, rng), language, rng)),
                ("assistant", topic.answer[language]),
                ("user", noise.typed(grammar_pick(AGAIN[other], rng), other, rng, errors=False)),
                ("assistant", topic.answer[other]),
            ]
        else:
            turns += simple_turn(rng, language)
    return Sample(_system(turns, language, rng))


def grammar_pick(patterns: list[str], rng: random.Random) -> str:
    """A wording of patterns that mix languages: ASCII question marks are literal."""
    from .grammar import pick

    return pick(patterns, rng)


def one_picture(rng: random.Random) -> Sample:
    """A picture and one to four questions about it, some of them about something else."""
    language = _language(rng)
    scene = scenes.sample(rng)
    if rng.random() < 0.025:
        scene.clutter, scene.shapes = True, []
    turns: list[tuple[str, str]] = []
    if rng.random() < 0.05:
        kind = rng.choice(("hello", "itself", "thanks"))
        turns = [
            ("user", noise.typed(chat.question(kind, language, rng), language, rng)),
            ("assistant", chat.ANSWERS[kind][language]),
        ]
    elif rng.random() < 0.05:
        turns = simple_turn(rng, language)
    first = True
    for _ in range(1 if scene.clutter else rng.choice((1, 2, 3, 4))):
        if not first and rng.random() < 0.1:
            language = _language(rng)
        _, asked, answer = scenes.ask(scene, language, rng)
        text = noise.typed(asked, language, rng)
        if first and rng.random() < 0.025:
            text, answer = "", scenes.describe(scene, "en")
        if not first and rng.random() < 0.22:
            turns += simple_turn(rng, language, calculate=False, pictures=True)
            continue
        turns += [("user", with_picture(text, rng) if first else text), ("assistant", answer)]
        first = False
    offered = tools.offer(rng).tools if rng.random() < 0.03 else None
    return Sample(_system(turns, language, rng) if rng.random() < 0.5 else turns, offered, [scene])


def _changed(scene: scenes.Scene, rng: random.Random) -> scenes.Scene:
    """The same scene again, or with one shape changed."""
    other = scenes.Scene(
        [scenes.Shape(s.kind, s.colour, s.rgb, s.x, s.y, s.size) for s in scene.shapes],
        scene.background,
        scene.rgb,
        scene.aspect,
    )
    if other.shapes and rng.random() < 0.5:
        shape = rng.choice(other.shapes)
        if rng.random() < 0.5:
            shape.kind = rng.choice(scenes.KINDS)
        else:
            for _ in range(10):
                colour = rng.choice([c for c in scenes.COLOURS if c != scene.background])
                tone = scenes.shade(colour, rng)
                if scenes.distance(tone, scene.rgb) > 0.33:
                    shape.colour, shape.rgb = colour, tone
                    break
    return other


def two_pictures(rng: random.Random) -> Sample:
    """Two pictures, in one message or in two, and questions about both."""
    language = _language(rng)
    one = scenes.sample(rng, rng.choices(range(6), (2, 30, 28, 20, 12, 8))[0])
    two = (
        _changed(one, rng)
        if rng.random() < 0.25
        else scenes.sample(rng, rng.choices(range(6), (2, 30, 28, 20, 12, 8))[0])
    )
    turns: list[tuple[str, str]] = []
    if rng.random() < 0.2:  # one after the other
        for scene in (one, two):
            _, asked, answer = scenes.ask(scene, language, rng)
            turns += [("user", with_picture(noise.typed(asked, language, rng), rng)), ("assistant", answer)]
    for i in range(rng.choice((1, 1, 2))):
        _, asked, answer = scenes.ask_two(one, two, language, rng)
        text = noise.typed(asked, language, rng)
        turns += [("user", with_picture(text, rng, 2) if not turns and i == 0 else text), ("assistant", answer)]
    if rng.random() < 0.15:
        turns += simple_turn(rng, language, calculate=False, pictures=True)
    return Sample(turns, None, [one, two])


MAKERS = {"short": short, "long": long, "one": one_picture, "two": two_pictures}
LENGTHS = {"short": 112, "long": 288, "one": 224, "two": 288}


def batch(kind: str, rows: int, encoder: Encoder, seed: int) -> dict[str, np.ndarray]:
    """``rows`` conversations of one kind, padded to its length; the same for the same seed. Too long ones are drawn again.

    ``ids``: rows x length. ``answers``: where the tokens to learn are in the flattened ids; ``places``: where the image
    tokens are. ``shapes`` and ``pictures``: the scenes of all pictures in order, as ``raster.render`` takes them.
    """
    rng = random.Random(seed)
    length = LENGTHS[kind]
    ids = np.full((rows, length), encoder.pad_id, np.int16)
    learnt = np.zeros((rows, length), bool)
    drawn: list[np.ndarray] = []
    pictures: list[np.ndarray] = []
    row = 0
    while row < rows:
        sample = MAKERS[kind](rng)
        i, label = encoder.encode(sample, rng)
        if len(i) > length:
            continue
        ids[row, : len(i)] = i
        learnt[row, : len(i)] = np.array(label) >= 0
        for scene in sample.scenes:
            shapes, picture = raster.scene_rows(scene, rng)
            drawn.append(shapes)
            pictures.append(picture)
        row += 1
    out = {"ids": ids, "answers": np.flatnonzero(learnt)}
    if drawn:
        places = np.flatnonzero(ids == encoder.image_id)
        out |= {"places": places, "shapes": np.stack(drawn), "pictures": np.stack(pictures)}
    return out
