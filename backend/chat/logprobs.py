"""Log-probabilities: how sure a model was of each token that it wrote, and what it could have written instead. Pure.

Servers spell tokens differently: as the text that they stand for, or as their tokenizer does (``Ġfox``, ``▁fox``,
``<0xE6>``), which is what LMDeploy sends, with the bytes of that spelling. The answer's own text tells which it is.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

ALTERNATIVES = 5  # kept for each token
MOST_TOKENS = 10_000  # kept for each answer
IMPOSSIBLE = -9999.0  # in JSON, minus infinity is this by custom
ROUNDING = 0.01  # a probability may be that much above 1 in the logarithm
TEXT_LIMIT = 400  # characters of one token

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in set(_PRINTABLE)]
# GPT-2's alphabet: a character for each byte.
_BYTES = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + place): byte for place, byte in enumerate(_OTHERS)}
_BYTE_TOKEN = re.compile("<0x([0-9A-Fa-f]{2})>")
_SPACE = "▁"
_PLAIN, _BYTE_LEVEL, _SENTENCEPIECE = "plain", "byte level", "sentencepiece"


class Alternative(NamedTuple):
    """What could have stood there. See Token."""

    text: str
    logprob: float
    raw: str = ""


class Token(NamedTuple):
    """A token of an answer. ``logprob`` is the natural logarithm of its probability (at most 0; -9999 = impossible),
    None where the server didn't say. ``alternatives`` are the likeliest others, most likely first.

    ``raw`` are its bytes as hexadecimal digits where they are no whole characters; ``text`` shows them escaped then.
    ``text`` is "" where the server didn't say which token it was.
    """

    text: str
    logprob: float | None
    alternatives: tuple[Alternative, ...] = ()
    raw: str = ""


@dataclass(frozen=True)
class Spelled:
    """A token as the server spells it; ``data`` are its bytes where these say more than the spelling."""

    token: str
    logprob: float | None
    data: bytes | None = None


@dataclass(frozen=True)
class Entry:
    """One token with its alternatives, as a server sends them."""

    chosen: Spelled
    others: tuple[Spelled, ...] = ()


def entries_of(logprobs: object) -> tuple[Entry, ...]:
    """The tokens in a choice's ``logprobs``: in the form of chat completions, or of the older completions."""
    if not isinstance(logprobs, Mapping):
        return ()
    content = logprobs.get("content")
    if isinstance(content, list):
        return tuple(_entry(_spelled(one), one.get("top_logprobs")) for one in content if isinstance(one, Mapping))
    tokens, values, tops = (logprobs.get(name) for name in ("tokens", "token_logprobs", "top_logprobs"))
    if not isinstance(tokens, list):
        return ()
    found = []
    for place, token in enumerate(tokens):
        value = values[place] if isinstance(values, list) and place < len(values) else None
        top = tops[place] if isinstance(tops, list) and place < len(tops) else None
        found.append(_entry(_spelled({"token": token, "logprob": value}), top))
    return tuple(found)


def _entry(chosen: Spelled, tops: object) -> Entry:
    if isinstance(tops, Mapping):
        tops = [{"token": token, "logprob": value} for token, value in tops.items()]
    others = [_spelled(one) for one in tops if isinstance(one, Mapping)] if isinstance(tops, list) else []
    return Entry(chosen, tuple(others))


def _spelled(value: Mapping[str, Any]) -> Spelled:
    token = value.get("token")
    token = token[:TEXT_LIMIT] if isinstance(token, str) else ""
    data = _bytes(value.get("bytes"))
    if data is not None and data[:TEXT_LIMIT] == token.encode("utf-8", "surrogatepass")[:TEXT_LIMIT]:
        data = None
    unsaid = not token and not data  # LMDeploy sends 0.0 where it doesn't know the token
    return Spelled(token, None if unsaid else _logprob(value.get("logprob")), data)


def _bytes(value: object) -> bytes | None:
    if not isinstance(value, list) or not value:
        return None
    if not all(type(byte) is int and 0 <= byte < 256 for byte in value):
        return None
    return bytes(value[:TEXT_LIMIT])


def _logprob(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    if value > ROUNDING:  # a logit, or a probability
        return None
    return round(min(max(float(value), IMPOSSIBLE), 0.0), 4) if value > IMPOSSIBLE else IMPOSSIBLE


def packed(token: Token) -> str:
    """As a conversation keeps it: a text, since thousands of nested values would take long to store and to read."""
    value: list[Any] = [
        token.text,
        token.logprob,
        [list(other) if other.raw else other[:2] for other in token.alternatives],
    ]
    return json.dumps([*value, token.raw] if token.raw else value, separators=(",", ":"))


def unpacked(text: str) -> Token:
    """What ``packed`` wrote; a token of which nothing is known where it is something else, which an import may hold."""
    try:
        said, logprob, others, *raw = json.loads(text)
        alternatives = tuple(Alternative(str(other[0]), _sure(other[1]), *map(str, other[2:3])) for other in others)
        return Token(str(said), None if logprob is None else _sure(logprob), alternatives, *map(str, raw[:1]))
    except (ValueError, TypeError, LookupError, RecursionError):
        return Token("", None)


def _sure(value: Any) -> float:
    found = _logprob(value)
    if found is None:
        raise ValueError
    return found


class TokenReader:
    """Adds up one answer's tokens, packed. ``before``: those that it has already."""

    def __init__(self, before: Sequence[str] = ()) -> None:
        self._before = tuple(before)
        self._entries: list[Entry] = []
        self._tokens: list[str] = []
        self._spelling = ""  # "" = not known yet: both would be read alike so far

    @property
    def tokens(self) -> tuple[str, ...]:
        """All of them, MOST_TOKENS at most."""
        return (*self._before, *self._tokens)

    def add(self, entries: Iterable[Entry], text: str) -> None:
        """More tokens; ``text`` is what was written of late, theirs too."""
        room = MOST_TOKENS - len(self._before) - len(self._tokens)
        new = list(entries)[: max(0, room)]
        self._entries += new
        if not self._spelling and (spelling := _spelling_of(new, text)):
            self._spelling, new, self._tokens = spelling, self._entries, []
        self._tokens += [packed(_token(entry, self._spelling)) for entry in new]


def _spelling_of(entries: Iterable[Entry], text: str) -> str:
    for entry in entries:
        if entry.chosen.data is not None:
            return _PLAIN  # it knows the bytes: it has decoded the token
        for one in (entry.chosen, *entry.others):
            if " " in one.token:
                return _PLAIN
            for mark, spelling in (("Ġ", _BYTE_LEVEL), ("Ċ", _BYTE_LEVEL), (_SPACE, _SENTENCEPIECE)):
                if mark in one.token and mark not in text:
                    return spelling
            if _BYTE_TOKEN.fullmatch(one.token) and one.token not in text:
                return _SENTENCEPIECE
        token = entry.chosen.token
        if not token.isascii() and all(character in _BYTES for character in token):
            return _PLAIN if token in text else _BYTE_LEVEL
    return ""


def _token(entry: Entry, spelling: str) -> Token:
    text, raw = _read(entry.chosen, spelling)
    others = sorted((one for one in entry.others if _counts(one)), key=lambda one: -(one.logprob or 0.0))
    alternatives: dict[tuple[str, str], Alternative] = {}
    for one in others:
        other, other_raw = _read(one, spelling)
        if (other, other_raw) != (text, raw):
            alternatives.setdefault((other, other_raw), Alternative(other, one.logprob or 0.0, other_raw))
    return Token(text, entry.chosen.logprob, tuple(alternatives.values())[:ALTERNATIVES], raw)


def _counts(one: Spelled) -> bool:
    return one.logprob is not None and one.logprob > IMPOSSIBLE


def _read(one: Spelled, spelling: str) -> tuple[str, str]:
    """Its text, and its bytes where they are no whole characters."""
    data = one.data if one.data is not None else _decoded(one.token, spelling)
    try:
        return data.decode(), ""
    except UnicodeDecodeError:
        return data.decode("utf-8", "backslashreplace"), data.hex()


def _decoded(token: str, spelling: str) -> bytes:
    if spelling == _BYTE_LEVEL and all(character in _BYTES for character in token):
        return bytes(_BYTES[character] for character in token)
    if spelling == _SENTENCEPIECE:
        if match := _BYTE_TOKEN.fullmatch(token):
            return bytes.fromhex(match[1])
        token = token.replace(_SPACE, " ")
    return token.encode("utf-8", "surrogatepass")
