"""What people do to a question while typing it: politeness, case, punctuation, typing errors."""

from __future__ import annotations

import random

PREFIXES = {
    "en": [
        "please ",
        "hi, ",
        "hello, ",
        "hey ",
        "hi! ",
        "Hello! ",
        "so ",
        "ok, ",
        "um, ",
        "quick question: ",
        "question: ",
        "I have a question: ",
        "can you help me? ",
        "sorry, ",
        "and ",
        "well, ",
        "now ",
        "also, ",
        "another question: ",
        "I'm new to this. ",
        "for my homework: ",
        "Dear model, ",
        "one more thing: ",
        "good morning, ",
        "hmm, ",
        "then ",
        "I was wondering, ",
        "excuse me, ",
    ],
    "zh": [
        "请问",
        "你好，",
        "您好，",
        "请问一下，",
        "老师，",
        "我想问一下，",
        "那么",
        "那",
        "嗨，",
        "问个问题：",
        "另外，",
        "麻烦问下，",
        "想请教一下，",
        "同学问我：",
        "我是新手，",
        "帮我看看，",
        "请",
        "不好意思，",
        "还有，",
        "再问一下，",
        "想知道",
    ],
}
SUFFIXES = {
    "en": [
        " please",
        ", please",
        " thanks",
        ", thanks",
        ", thank you",
        " in short",
        ", briefly",
        " pls",
        " in one sentence",
        " for a beginner",
        " exactly",
        " here",
        " in lmdeploy",
        ", I don't get it",
        ", can you tell me",
        " again",
        " simply",
    ],
    "zh": [
        "呢",
        "啊",
        "呀",
        "，谢谢",
        "，简单说说",
        "，请简短回答",
        "，求解",
        "，我不懂",
        "，谢谢老师",
        "，一句话",
        "，说一下",
        "，请说明",
        "来着",
    ],
}
ENDS = {
    "en": ["?", "?", "?", "", "", ".", "??", " ?", "!", "…"],
    "zh": ["？", "？", "？", "", "", "。", "?", "？？", "！", "～"],
}


def _typing_error(text: str, rng: random.Random) -> str:
    places = [i for i in range(1, len(text) - 1) if text[i].isascii() and text[i].isalpha() and text[i - 1].isalpha()]
    if not places:
        return text
    i = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:i] + text[i + 1 :]
    if kind == 1:
        return text[:i] + text[i] + text[i:]
    if kind == 2 and i + 1 < len(text):
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    return text[:i] + rng.choice("abcdefghijklmnopqrstuvwxyz") + text[i + 1 :]


def typed(question: str, language: str, rng: random.Random, errors: bool = True) -> str:
    """``question`` as somebody might type it. ``errors`` allows misspelt words (not for numbers that must be copied)."""
    text = question.strip()
    if rng.random() < 0.22:
        text = rng.choice(PREFIXES[language]) + text
    if rng.random() < 0.13:
        text = text.rstrip("?？.。!！ ") + rng.choice(SUFFIXES[language])
    if text and text[-1] not in "?？.。!！":
        text += rng.choice(ENDS[language])
    roll = rng.random()
    if language == "en":
        if roll < 0.5:
            text = text[:1].upper() + text[1:]
        elif roll < 0.62:
            text = text.lower()
        elif roll < 0.64:
            text = text.upper()
    elif roll < 0.12:
        text = text.replace(" ", "")
    if errors and rng.random() < 0.15:
        text = _typing_error(text, rng)
        if rng.random() < 0.3:
            text = _typing_error(text, rng)
    return text


SMALL_WORDS = {
    "the",
    "a",
    "an",
    "is",
    "are",
    "do",
    "does",
    "i",
    "to",
    "of",
    "it",
    "me",
    "my",
    "can",
    "you",
    "in",
    "for",
    "that",
    "with",
    "what",
    "how",
    "please",
    "exactly",
}


def dropped(question: str, language: str, rng: random.Random) -> str:
    """``question`` with some small words left out, as in a search box; most are left as they are."""
    if rng.random() > 0.16:
        return question
    if language == "zh":
        kept_text = "".join(c for c in question if c not in "的了是吗呢在要有个一什么怎请下" or rng.random() < 0.55)
        return kept_text if len(kept_text) >= 3 else question
    words = question.split(" ")
    kept = [w for w in words if w.lower() not in SMALL_WORDS or rng.random() < 0.5]
    return " ".join(kept) if len(kept) >= 2 else question
