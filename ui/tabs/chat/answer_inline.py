"""A paragraph of an answer as HTML: emphasis, code, links, formulas; everything else is text. Pure."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from html import escape as _escape

# Signs around a formula, which the page's Markdown component looks for. They are no characters (Unicode never assigns
# them), so that dollars and brackets in code or prose mean nothing to it.
DISPLAY = ("\ufdd0", "\ufdd1")
WITHIN = ("\ufdd2", "\ufdd3")
MATH = [
    {"left": DISPLAY[0], "right": DISPLAY[1], "display": True},
    {"left": WITHIN[0], "right": WITHIN[1], "display": False},
]
LONGEST_FORMULA = 5_000

_SPECIAL = re.compile(r"\\|`+|\*+|_+|~+|!\[|\[|<(?=https?://|mailto:)|\$\$?|https?://|\n")
# Between single dollars: nothing blank at either end, on one line, and neither word nor number behind it.
_DOLLARS = re.compile(r"\$(?![\s$])((?:[^$\\\n`]|\\.){1,500})(?<!\s)\$(?![\w$])")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_MATH_SIGN = re.compile(r"[\\^_=+*/<>{}|()\[\]≤≥≠≈∈∞±×·÷→∑∏∫√∂∇α-ωΑ-Ω]")
_PROSE = re.compile(r"[^\W\d_]{3,}|[^\W\d_]{2,}[ ,;:]+[^\W\d_]{2,}|[^\W\d_]{2,} \d|\d [^\W\d_]{2,}")
_NEVER = re.compile(r"[\"#@?;~]|<[/!a-z]|__|\*\*|://")
_HAN = re.compile("[\u3000-\u9fff\uf900-\ufaff\uff00-\uffef]")
_ANGLE = re.compile(r"<((?:https?://|mailto:)[^\s<>]+)>")
_URL = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]{1,2000}")
_LINK = re.compile(
    r"\[((?:[^\[\]\\\n]|\\.|\[[^\[\]\n]{0,200}\]){1,500})\]"
    r"\([ \t]*((?:https?://|mailto:)(?:[^\s<>()]|\([^\s<>()]{0,200}\)){1,2000})[ \t]*\)"
)
_DUNDER = re.compile(r"__\w+__(?!\w)")
_ESCAPABLE = frozenset("*_`~#[]|<>$")
_LINE_START = re.compile(r"(?:^|\n)[ \t]*(\d*)$")
_CLOSERS = frozenset(")]},.;:!?%'\"）】」』》，。；：！？、”’…")
_OPENERS = frozenset("([{（【「『《“‘")
_TAGS = {("*", 1): "em", ("_", 1): "em", ("*", 2): "strong", ("_", 2): "strong", ("~", 2): "del"}


def escape(text: str) -> str:
    """As HTML that shows exactly this. A percent sign too: Gradio has marks of its own made of them."""
    return _escape(text).replace("%", "&#37;")


def math(formula: str, display: bool) -> str:
    """A formula between the signs that the page's Markdown component looks for."""
    left, right = DISPLAY if display else WITHIN
    formula = re.sub(r"\n\s*\n", "\n", formula.strip())
    return f"{left}{_escape(formula, quote=False)}{right}"


def link(url: str, html: str) -> str:
    """A link to elsewhere, which opens beside the console."""
    return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{html}</a>'


@dataclass
class _Mark:
    """A run of marks: so many are left, its place among the pieces, and whether it may open."""

    sign: str
    count: int
    place: int


class _Inline:
    """Reads one text from left to right; a closing mark is put together with the last opening one of its kind."""

    def __init__(self, text: str, links: bool) -> None:
        self.text = text
        self.links = links
        self.pieces: list[str] = []
        self.marks: list[_Mark] = []
        self.waiting = {"*": 0, "_": 0, "~": 0}
        self.code_runs: dict[int, list[int]] = {}
        for run in re.finditer("`+", text):
            self.code_runs.setdefault(len(run[0]), []).append(run.start())

    def read(self) -> str:
        at = 0
        while found := _SPECIAL.search(self.text, at):
            if found.start() > at:
                self.pieces.append(escape(self.text[at : found.start()]))
            at = self._special(found[0], found.start())
        self.pieces.append(escape(self.text[at:]))
        return "".join(self.pieces)

    def _special(self, sign: str, at: int) -> int:
        """Reads what begins there; where to go on."""
        if sign[0] in "*_~":
            return self._emphasis(sign, at)
        if sign[0] == "`":
            return self._code(sign, at)
        if sign == "\n":
            self.pieces.append("<br>")
            return at + 1
        if sign == "\\":
            return self._backslash(at)
        if sign == "$$":
            return self._formula(at, "$$", "$$", True) or self._literal(sign, at)
        if sign == "$":
            return self._dollars(at)
        if sign == "[" and self.links and (found := _LINK.match(self.text, at)):
            self.pieces.append(link(found[2], inline(found[1], links=False)))
            return found.end()
        if sign == "<" and self.links and (found := _ANGLE.match(self.text, at)):
            self.pieces.append(link(found[1], escape(found[1].removeprefix("mailto:"))))
            return found.end()
        if sign.startswith("http") and self.links and (found := _URL.match(self.text, at)):
            url = _trimmed(found[0])
            self.pieces.append(link(url, escape(url)))
            return at + len(url)
        return self._literal(sign, at)

    def _literal(self, sign: str, at: int) -> int:
        self.pieces.append(escape(sign))
        return at + len(sign)

    def _code(self, run: str, at: int) -> int:
        starts = self.code_runs.get(len(run), [])  # a backslash may have taken one of the run
        following = bisect_right(starts, at)
        if following == len(starts):
            return self._literal(run, at)
        end = starts[following]
        code = self.text[at + len(run) : end].replace("\n", " ")
        if code.startswith(" ") and code.endswith(" ") and code.strip():
            code = code[1:-1]
        self.pieces.append(f"<code>{escape(code)}</code>")
        return end + len(run)

    def _backslash(self, at: int) -> int:
        """A backslash before a mark takes its meaning; before anything else it is a backslash."""
        sign = self.text[at + 1 : at + 2]
        if sign == "(" and (end := self._formula(at, "\\(", "\\)", False)):
            return end
        if sign == "[" and (end := self._formula(at, "\\[", "\\]", True)):
            return end
        line_start = _LINE_START.search(self.text, max(0, at - 12), at) if sign and sign in "-+.)" else None
        if sign and (sign in _ESCAPABLE or (line_start and bool(line_start[1]) is (sign in ".)"))):
            self.pieces.append(escape(sign))
            return at + 2
        return self._literal("\\", at)

    def _formula(self, at: int, opening: str, closing: str, display: bool) -> int:
        """Reads a formula that begins there; 0 where it doesn't end, or is empty."""
        start = at + len(opening)
        end = self.text.find(closing, start, start + LONGEST_FORMULA)
        formula = self.text[start:end] if end >= 0 else ""
        if not formula.strip():
            return 0
        self.pieces.append(math(formula, display))
        return end + len(closing)

    def _dollars(self, at: int) -> int:
        """``$x$``, where it is a formula: prices, variables of a shell and tickers stay as they are."""
        found = _DOLLARS.match(self.text, at)
        if not found or _is_word(self.text[at - 1 : at]) or not is_formula(found[1]):
            return self._literal("$", at)
        self.pieces.append(math(found[1], False))
        return found.end()

    def _emphasis(self, run: str, at: int) -> int:
        sign, count, end = run[0], len(run), at + len(run)
        before, after = self.text[at - 1 : at], self.text[end : end + 1]
        if count > 3 or (sign == "~" and count != 2):
            return self._literal(run, at)
        if sign == "_" and count == 2 and not _is_word(before) and (found := _DUNDER.match(self.text, at)):
            return self._literal(found[0], at)
        opens = bool(after) and not after.isspace() and after not in _CLOSERS
        closes = bool(before) and not before.isspace() and before not in _OPENERS
        inside = before.isascii() and after.isascii() and before.isalnum() and after.isalnum()
        if sign == "_":
            opens, closes = opens and not _is_word(before), closes and not _is_word(after)
        elif inside:
            opens, closes = False, closes and count > 1
        elif before and (_is_word(before) or before == ")") and opens and count == 1 and not _is_word(after):
            opens = False  # a*(b+c)
        left = count
        while closes and left and self.waiting[sign]:
            left = self._close(sign, left)
        if opens and left:
            self.marks.append(_Mark(sign, left, len(self.pieces)))
            self.waiting[sign] += 1
        self.pieces.append(sign * left)
        return end

    def _close(self, sign: str, left: int) -> int:
        """Puts closing marks together with the last opening ones; how many closing ones are left."""
        while self.marks[-1].sign != sign:  # what was opened within and never closed
            self.waiting[self.marks.pop().sign] -= 1
        mark = self.marks[-1]
        used = 2 if mark.count >= 2 and left >= 2 else 1
        if sign == "~":
            used = 2
        tag = _TAGS[sign, used]
        mark.count -= used
        opened = self.pieces[mark.place]
        self.pieces[mark.place] = opened[: mark.count] + f"<{tag}>" + opened[mark.count + used :]
        self.pieces.append(f"</{tag}>")
        if not mark.count:
            self.marks.pop()
            self.waiting[sign] -= 1
        return left - used


def inline(text: str, *, links: bool = True) -> str:
    """The text of a paragraph as HTML on one line."""
    return _Inline(text, links).read()


def is_formula(text: str) -> bool:
    """Whether what stands between two single dollars is one: a letter alone, or signs that formulas have; a
    sentence between two prices is none."""
    bare = _COMMAND.sub("", text)
    if _HAN.search(bare) and "\\text" not in text and "\\mathrm" not in text:
        return False
    if _COMMAND.search(text):
        return True
    if re.fullmatch(r"[A-Za-z](?:[_^']\{?\w+\}?)?|[A-Za-z](?:\s?,\s?[A-Za-z])+", bare):
        return True
    sound = bare.count("{") == bare.count("}") and not _NEVER.search(bare) and any(map(str.isalnum, bare))
    return sound and bool(_MATH_SIGN.search(bare)) and not _PROSE.search(bare)


def _trimmed(url: str) -> str:
    """Without what belongs to the sentence around it."""
    while url and (url[-1] in ".,;:!?'*_~" or (url[-1] == ")" and url.count(")") > url.count("("))):
        url = url[:-1]
    return url


def _is_word(sign: str) -> bool:
    return bool(sign) and (sign.isalnum() or sign == "_")
