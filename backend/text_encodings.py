"""Which encoding a whole document is written in, where it has no mark and isn't UTF-8. Pure.

What is certain is outside_text's; this judges by how common the characters would be, which takes a document.
"""

import re

from backend import outside_text

_CHINESE = (
    "的一是不了在人有我他这这個个中大来上国和也子时道说說這來時國們们会會為为到地出就要以你可年生自能下对對过過得发發用"
)
_JAPANESE = "のにはをたがでてとしれさいるなかっもらりすまきくこそけん。、ーンスルトイリラクシア"
_KOREAN = "이다는의에을가고하지도를은한서로기사어나라있시인리스대해자그"
_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхж"
_LATIN = "éèêëàâäáãçùûüúìîïíòôöóõñßøåæœ“”‘’–—…€°«»"
# Those of several bytes first: they are rarely valid by chance.
_WIDE = {
    "gb18030": _CHINESE, "big5hkscs": _CHINESE, "cp932": _JAPANESE, "euc_jp": _JAPANESE, "cp949": _KOREAN,
}  # fmt: skip
# One byte a letter: those whose letters make whole words, and those whose letters stand among plain ones.
_SCRIPTS = {
    "cp1251": _CYRILLIC, "koi8_r": _CYRILLIC, "cp1253": "αοιετσνηυρπκμλςόίάέή", "cp1255": "יולהמראתבשנםכדעקחטפצגזסץףךן",
    "cp1256": "اليمنوترةبعسدفهحكق", "cp874": "านรอกเงมยลวดทส่้ีัิ์",
}  # fmt: skip
_ACCENTED = {
    "cp1252": _LATIN, "cp1254": "ğışİŞĞçöüâîÇÖÜ’“”", "cp1250": "ąćęłńóśźżáčďéěíňřšťúůýžőűöüșțăâîĄĆĘŁŃŚŹŻČŘŠŽ”„",
    "iso8859_2": "ąćęłńóśźżáčďéěíňřšťúůýžőűöüĄĆĘŁŃŚŹŻČŘŠŽ",
}  # fmt: skip
_UTF16 = ("utf-16-le", "utf-16-be")
_ASIAN = set(_CHINESE + _JAPANESE + _KOREAN + "，。")
_COMMON_ASIAN = 0.12  # of all characters; Latin letters taken two by two make rare ones
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_LEAST = 0.08  # of the characters that aren't ASCII: in Chinese prose a quarter is among those fifty
_PAIRED = 0.9
_WORDS = 0.6  # of the letters of a script, in its own encoding; Chinese names taken as one come to half
_MIXED = 0.1  # of the bytes beyond ASCII: so many in whole lines of UTF-8 aren't there by chance
_HEAD = 200_000
# The first bytes of the characters that schools teach: nearly all of a real text.
_FIRST_LEVEL = {"gb18030": range(0xB0, 0xD8), "big5hkscs": range(0xA4, 0xC7), "cp949": range(0xB0, 0xC9)}
_LEVEL_WEIGHT = 0.3


def encoding_of(content: bytes) -> str:
    """Python's name of the encoding; outside_text.LINES where some lines are UTF-8 and others aren't; "" where it is no
    text in any."""
    certain = outside_text.encoding_of(content)
    if certain != outside_text.LINES:
        return certain
    if _cut_utf8(content):
        return outside_text.UTF8
    head = content[:_HEAD]
    if _has_utf8_lines(head):
        return outside_text.LINES
    if double := next((encoding for encoding in _UTF16 if _is_asian(head, encoding)), ""):
        return double
    best, score = _best(_WIDE, head)
    runs = _HIGH_RUN.findall(head)
    pairs = sum(len(run) % 2 == 0 for run in runs) >= _PAIRED * len(runs)  # words of single bytes have any length
    if score < _LEAST or not (pairs or score > 3 * _LEAST):
        alone = sum(len(run) == 1 for run in runs) * 2 > len(runs)  # letters with accents stand between plain ones
        narrow, other = _best(_ACCENTED if alone else _SCRIPTS, head)
        best, score = (narrow, other) if other > max(score, 2 * _LEAST if alone else _WORDS) else (best, score)
    return best if score > 0 else ""


def decode_guessed(content: bytes) -> tuple[str, str]:
    """The text of a document, and the encoding where that is a guess; "" where it is certain, or where Chinese and
    Latin lines may be mixed, each of which is taken by itself."""
    certain = outside_text.encoding_of(content) != outside_text.LINES
    encoding = "" if certain else encoding_of(content)
    if encoding in ("", outside_text.UTF8, outside_text.LINES, "gb18030"):
        return outside_text.decode(content), ""
    return content.decode(encoding, "backslashreplace"), encoding


def decode(content: bytes, encoding: str) -> str:
    """The text; a character that is cut off or wrong is shown as U+FFFD."""
    if encoding == outside_text.LINES:
        return outside_text.decode(content)
    return content.decode(encoding, "replace")


def _has_utf8_lines(head: bytes) -> bool:
    """Whether whole lines are UTF-8, of more than two letters or one character each: chance makes such lines."""
    lines = [line for line in head.split(b"\n") if not line.isascii()]
    valid = [line for line in lines if len(line.decode("utf-8", "replace")) < len(line) - 2 and _is_utf8(line)]
    return _high(valid) >= _MIXED * _high(lines) > 0


def _is_utf8(line: bytes) -> bool:
    return outside_text.encoding_of(line) == outside_text.UTF8


def _high(lines: list[bytes]) -> int:
    return sum(len(run) for line in lines for run in _HIGH_RUN.findall(line))


def _is_asian(head: bytes, encoding: str) -> bool:
    """UTF-16 without a mark, of characters that have no zero bytes."""
    text = head[: len(head) // 2 * 2].decode(encoding, "replace")
    usual = sum(
        char < "\x7f" or "\u3000" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7a3" or char > "\uff00"
        for char in text
    )
    common = sum(char in _ASIAN for char in text)
    return "\ufffd" not in text and usual >= _PAIRED * len(text) and common >= _COMMON_ASIAN * len(text)


def _cut_utf8(content: bytes) -> bool:
    """UTF-8 with few faults: cut in the middle of a character, or with some bytes of something else."""
    text = content[:_HEAD].decode("utf-8", "replace")
    bad = text.count("\ufffd")
    return bad * 20 <= sum(not char.isascii() for char in text) and (bad < 20 or bad * 1000 < len(text))


def _best(encodings: dict[str, str], head: bytes) -> tuple[str, float]:
    scores = [(_score(head, encoding, common), encoding) for encoding, common in encodings.items()]
    score, best = max(scores, key=lambda pair: pair[0])
    return best, score


def _score(head: bytes, encoding: str, common: str) -> float:
    """The share of common characters among those that aren't ASCII; 0 where much of it isn't valid."""
    text = head.decode(encoding, "replace")
    bad, foreign = text.count("\ufffd"), [char for char in text if not char.isascii()]
    if bad > 1 + len(foreign) // 200 or not foreign:
        return 0.0
    # What private-use and rare characters say: nobody writes those.
    odd = sum("\ue000" <= char <= "\uf8ff" or "\uff61" <= char <= "\uff9f" for char in foreign)
    wanted, level = set(common), _FIRST_LEVEL.get(encoding, ())
    taught = sum(char.encode(encoding)[0] in level for char in foreign if char != "\ufffd") if level else 0
    return max(1e-6, (sum(char in wanted for char in foreign) + _LEVEL_WEIGHT * taught - 2 * odd) / len(foreign))
