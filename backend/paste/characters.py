"""What editors and chat programs put in place of a shell's own characters, put right. Pure.

Nothing that a path may hold is touched: Chinese marks and dashes inside a name stay.
"""

import html
import re
from dataclasses import dataclass

from backend.outside_text import without_escapes

LIMIT = 20_000  # characters of one paste that are read

_BLANKS = (
    "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\u3164\u2800\uffa0"
)
_LINE_ENDS = "\u000b\u000c\u0085\u2028\u2029"
# Without width, or turning the direction; and what can't be typed.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff0-\uffff\ud800-\udfff]"
)
_DOUBLE = "“”„‟〝〞〟＂«»「」『』"
_SINGLE = "‘’‚‛＇‹›"
# Full-width forms of what is never full-width in a command; brackets and Chinese marks may stand in a path.
_WIDE = {chr(0xFF00 + code - 0x20): chr(code) for code in range(0x21, 0x7F) if chr(code) not in "!(),-:;?[]{}\"'"}
# One dash for one: hyphens and minus signs; and those that an editor makes of two.
_ONE = "‐‑‒−－﹣⁃˗"
_TWO = "–—―⸺⸻﹘─━ー"
DASHES = "-" + _ONE + _TWO
_TAG = re.compile(
    r"</?(?:code|pre|b|i|span|p|br|div|strong|em|kbd|td|tr|li|ul|ol|a|font|samp|tt)(?:\s[^<>]*)?/?>", re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|ndash|mdash|#\d{1,6}|#x[0-9A-Fa-f]{1,5});")
# At a word's beginning, also behind what quotes or brackets it.
_RUN = re.compile(rf"(?<![^\s\"'`(\[,=|&;])([{DASHES}]+)(?=(\S)(\S?))")
_INSIDE = re.compile(rf"(?<=[A-Za-z0-9._])[{_TWO}](?=[A-Za-z0-9._])")


@dataclass(frozen=True)
class Plain:
    """The text in a shell's own characters; ``changed`` are those that stood for them ("— → --"), ``unseen`` how many
    that can't be seen were taken out, ``cut`` how many characters weren't read."""

    text: str
    changed: tuple[str, ...] = ()
    unseen: int = 0
    cut: int = 0


def plain(text: str) -> Plain:
    """The text as a shell would take it."""
    cut = max(0, len(text) - LIMIT)
    seen = without_escapes(text[:LIMIT]).replace("\r\n", "\n").replace("\r", "\n")
    seen, unseen = _UNSEEN.subn("", seen)
    changed: dict[str, None] = {}

    def note(was: str, now: str) -> str:
        if was != now and not was.isspace():
            changed.setdefault(f"{was} → {now}")
        return now

    seen = _TAG.sub(lambda found: note(found[0], " "), seen)
    seen = _ENTITY.sub(lambda found: note(found[0], html.unescape(found[0])), seen)
    seen = seen.translate({ord(c): " " for c in _BLANKS} | {ord(c): "\n" for c in _LINE_ENDS})
    # Chinese brackets of quotation are quotes where they come in pairs around something like a command's word.
    seen = "".join(
        note(c, '"') if c in _DOUBLE else note(c, "'") if c in _SINGLE else note(c, _WIDE[c]) if c in _WIDE else c
        for c in seen
    )
    seen = "".join(note(c, "-") if c in _ONE else c for c in seen) if _only_hyphens(seen) else seen
    seen = _RUN.sub(lambda found: note(found[1], _dashes(found)), seen)
    seen = _INSIDE.sub(lambda found: note(found[0], "-"), seen)
    seen = "".join(note(c, "-") if c in _ONE else c for c in seen)
    return Plain(seen, tuple(changed), unseen, cut)


def _only_hyphens(text: str) -> bool:
    """Runs of hyphens alone need no guess."""
    return not any(c in _TWO for c in text)


def _dashes(found: re.Match[str]) -> str:
    """What a run of dashes before a word stands for."""
    run, first, second = found[1], found[2], found[3]
    if set(run) == {"-"} and len(run) > 2 and first.isalpha():
        return "--"
    if set(run) == {"-"} or not first.isascii() or not (first.isalnum() or first == "_"):
        return run if set(run) == {"-"} else "".join("-" if c in _ONE else c for c in run)
    if first.isdigit() and len(run) == 1:
        return "-"
    if len(run) == 1 and run in _ONE and not second.strip():
        return "-"
    if len(run) == 1 and run in _ONE:
        return "-"  # flags.py knows that a name of several letters has two
    return "--"
