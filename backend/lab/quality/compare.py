"""Several servers' answers beside the first one's: where they first differ, how often both hold the same token
likeliest. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from backend.lab.quality.questions import Question, is_right

# What is compared at a time: a CJK character, a word or number, a run of spaces, a sign.
_PIECE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+|\s+|.")


def first_difference(one: str, other: str) -> int | None:
    """Where the answers first differ: the place in characters of the first word (or CJK character, or sign) that isn't
    the same in both, as it stands in either. None where they are the same."""
    if one == other:
        return None
    place = 0
    for mine, theirs in zip(_PIECE.findall(one), _PIECE.findall(other), strict=False):
        if mine != theirs:
            break
        place += len(mine)
    return place


def agreement(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> float | None:
    """At how many places of the text, 0…1, both hold the same token likeliest. None where one of them doesn't say, or
    where their tokenizers differ."""
    if not one or not other or one["digest"] != other["digest"] or one["positions"] != other["positions"]:
        return None
    pairs = list(zip(one["tokens"], other["tokens"], strict=True))
    return sum(mine == theirs for mine, theirs in pairs) / len(pairs) if pairs else None


def hits(likeliest: Mapping[str, Any] | None) -> float | None:
    """At how many places, 0…1, the likeliest token is the text's own."""
    if not likeliest or not likeliest["tokens"]:
        return None
    pairs = list(zip(likeliest["tokens"], likeliest["own"], strict=True))
    return len([mine for mine, own in pairs if mine == own]) / len(pairs)


def speed(answers: Sequence[Mapping[str, Any]]) -> float | None:
    """Tokens/s of one who asks alone, over all answers, the wait for the first token included."""
    seconds = float(sum(answer["seconds"] for answer in answers))
    return float(sum(answer["tokens"] for answer in answers)) / seconds if seconds > 0 else None


def summary(
    quality: Mapping[str, Any], first: Mapping[str, Any] | None, questions: Sequence[Question]
) -> dict[str, Any]:
    """One server's figures; ``first`` is what the server measured that it is held against, None = it is that one."""
    by_id = {question.id: question for question in questions}
    marks = [is_right(by_id[one["id"]], one["text"]) for one in quality["answers"] if one["id"] in by_id]
    perplexity = quality.get("perplexity") or {}
    same = None
    if first is not None:
        texts = {one["id"]: one["text"] for one in first["answers"]}
        both = [one for one in quality["answers"] if one["id"] in texts]
        same = sum(one["text"] == texts[one["id"]] for one in both) if both else None
    return {
        "right": sum(mark is True for mark in marks),
        "scored": sum(mark is not None for mark in marks),
        "answered": len(quality["answers"]),
        "same": same,
        "perplexity": perplexity.get("value"),
        "perplexity_tokens": perplexity.get("tokens"),
        "agreement": None if first is None else agreement(first.get("likeliest"), quality.get("likeliest")),
        "hits": hits(quality.get("likeliest")),
        "tokens_per_s": speed(quality["answers"]),
    }


def side_by_side(qualities: Sequence[Mapping[str, Any] | None], questions: Sequence[Question]) -> list[dict[str, Any]]:
    """Each question with every server's answer: ``same`` is what it has in common with the first one's, ``rest`` what
    follows from the first difference on; ``right`` by the rule, None without one. None = not answered (yet)."""
    texts = [{one["id"]: one for one in quality["answers"]} if quality else {} for quality in qualities]
    rows = []
    for question in questions:
        given = [answers.get(question.id) for answers in texts]
        base = given[0]["text"] if given and given[0] else None
        rows.append(
            {
                "id": question.id,
                "kind": question.kind,
                "text": question.text,
                "answers": [None if one is None else _answer(one, base, question) for one in given],
            }
        )
    return rows


def _answer(one: Mapping[str, Any], base: str | None, question: Question) -> dict[str, Any]:
    text = one["text"]
    place = None if base is None else first_difference(base, text)
    return {
        "same": text if place is None else text[:place],
        "rest": "" if place is None else text[place:],
        "differs": place is not None,
        "right": is_right(question, text),
        "tokens": one["tokens"],
        "cut": bool(one.get("cut")),
    }
