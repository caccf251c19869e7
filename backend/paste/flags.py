"""A program's words into values, flag by flag, by the rules of that program. Pure; never raises."""

import difflib
import itertools
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from backend.errors import Level, Message, Value
from backend.paste.account import Account, Fate, account
from backend.paste.characters import DASHES
from backend.paste.words import Token

Arity = Literal["none", "one", "many", "maybe"]
TRUE, FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})
# What ends a sentence or a line of a table and stands behind a value by chance.
_ENDS = "。，；、,;）)】]」》\"'"
_FLAG = re.compile(r"(-{1,2})([A-Za-z][\w.\-]*)(?:\s*(=|：|:(?!//))(.*))?", re.DOTALL)
_GLUED = re.compile(r"(-{1,2}[A-Za-z][A-Za-z_-]*?)(\d[\d.]*)")
_COMMA = re.compile(r"(?<=[^,]),(?=--[A-Za-z])")
_NUMBER = re.compile(r"-?\d*\.?\d+")


@dataclass(frozen=True)
class Converted:
    """A value as a control holds it; ``key`` and ``params`` tell of a translation. ``level`` warning: look at it."""

    value: object
    key: str = ""
    params: Mapping[str, Value] = field(default_factory=dict)
    level: Level = "info"


class Unusable(ValueError):
    """A value that is left out. ``key`` says why."""

    def __init__(self, key: str, **params: Value) -> None:
        super().__init__(key)
        self.key, self.params = key, params


Read = Callable[[str], Converted]


@dataclass(frozen=True)
class Rule:
    """What a flag does. ``field`` is the settings' field that its value goes to, by way of ``read``. ``passes`` is the
    flag of LMDeploy's that takes its values over. Neither: it is left out, and ``key`` says why."""

    arity: Arity = "one"
    field: str = ""
    read: Read | None = None
    passes: str = ""
    key: str = ""
    level: Level = "warning"


@dataclass
class Outcome:
    """What the words said."""

    values: dict[str, object] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    positionals: list[Token] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    set_by: dict[str, int] = field(default_factory=dict)  # a field → the place of its account


def read_flags(text: str, words: Sequence[Token], rules: Mapping[str, Rule], positional: bool = True) -> Outcome:
    """Read the words behind a program's name. ``positional``: one of them is the model."""
    out = Outcome()
    said = _said([part for word in words for part in _split(text, word)], rules)
    if positional and not any(isinstance(item, Token) for item in said):
        _give_back(said)
    for item in said:
        if isinstance(item, Token) and _is_dash(item.text):  # "--" ends the flags
            out.accounts.append(account(text, item.start, item.end, "left", "paste.shell"))
        elif isinstance(item, Token):
            out.positionals.append(item)
        else:
            _apply(text, item, rules, out)
    return out


def _split(text: str, word: Token) -> list[Token]:
    """Flags that only a comma divides: ``--tp=2,--quant-policy=8``."""
    if text[word.start : word.end] != word.text:
        return [word]
    cuts = [0, *(found.end() for found in _COMMA.finditer(word.text)), len(word.text)]
    return [
        replace(
            word,
            text=word.text[begin:end].rstrip(",") if end < len(word.text) else word.text[begin:],
            start=word.start + begin,
            end=word.start + end,
        )
        for begin, end in itertools.pairwise(cuts)
    ]


@dataclass
class _Said:
    """A flag as it stands: its words, its rule's name ("" for none), and the words of its value."""

    word: Token
    name: str
    values: list[tuple[str, int]]
    end: int
    tokens: list[Token]
    exact: bool = True


def _said(words: Sequence[Token], rules: Mapping[str, Rule]) -> list[_Said | Token]:
    found: list[_Said | Token] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        typed = word.text
        if _is_dash(typed) and at < len(words) and resolve("--" + words[at].text.split("=")[0], rules):
            typed, at = "--" + words[at].text, at + 1  # "— tp 2"
        flag = _FLAG.fullmatch(typed)
        if flag is None or _NUMBER.fullmatch(typed):
            found.append(word)
            continue
        name = flag[1] + flag[2]
        resolved = resolve(name, rules)
        if not resolved and at < len(words) and not flag[3]:  # "--quant policy 4": an underscore that was lost
            whole_name = f"{name}-{words[at].text.split('=')[0]}"
            if resolve(whole_name, rules) and re.fullmatch(r"[A-Za-z]+(?:[_-][A-Za-z]+)*(?:=.*)?", words[at].text):
                flag = _FLAG.fullmatch(f"{name}-{words[at].text}") or flag
                name, resolved, at = whole_name, resolve(whole_name, rules), at + 1
        glued = _GLUED.fullmatch(typed)
        if not resolved and glued and resolve(glued[1], rules):  # "--tp2"
            name, resolved = glued[1], resolve(glued[1], rules)
            flag = _FLAG.fullmatch(f"{name}={glued[2]}") or flag
        said = _Said(word, resolved, [], words[at - 1].end, [], exact=_same(name, resolved))
        if flag[3] == ":" and not resolved:
            said.values = []
        if flag[3]:
            value = flag[4]
            if not value and at < len(words) and not _is_flag(words[at]):
                value, said.end, at = words[at].text, words[at].end, at + 1
            said.values.append((value, said.end))
            found.append(said)
            continue
        if (
            at < len(words) and words[at].text.startswith(("=", ":", "：")) and len(words[at].text) <= 64
        ):  # "--tp = 2", "--tp =2"
            value, said.end, at = words[at].text[1:], words[at].end, at + 1
            if not value and at < len(words) and not _is_flag(words[at]):
                value, said.end, at = words[at].text, words[at].end, at + 1
            said.values.append((value, said.end))
            found.append(said)
            continue
        arity = rules[resolved].arity if resolved else "many"
        while at < len(words) and not _is_flag(words[at]) and _wants(arity, said, words[at].text):
            said.values.append((words[at].text, words[at].end))
            said.tokens.append(words[at])
            said.end, at = words[at].end, at + 1
        found.append(said)
    return found


def _wants(arity: Arity, said: _Said, word: str) -> bool:
    if arity == "many":
        return True
    if said.values:
        return False
    if arity == "none":
        return word.lower() in TRUE | FALSE
    return True


def _is_flag(word: Token) -> bool:
    flag = _FLAG.fullmatch(word.text)
    return (flag is not None and not _NUMBER.fullmatch(word.text)) or _is_dash(word.text)


def _is_dash(text: str) -> bool:
    """A dash that stands alone."""
    return 0 < len(text) <= 3 and set(text) <= set(DASHES)


def _give_back(said: list[_Said | Token]) -> None:
    """No model so far: the last flag that may have taken too much gives its last word back. A number is no model."""
    for index in range(len(said) - 1, -1, -1):
        item = said[index]
        if isinstance(item, _Said) and len(item.tokens) > (0 if not item.name else 1):
            if _NUMBER.fullmatch(item.tokens[-1].text) or item.tokens[-1].text.lower() in TRUE | FALSE:
                continue
            model = item.tokens.pop()
            item.values.pop()
            item.end = item.tokens[-1].end if item.tokens else item.word.end
            said.insert(index + 1, model)
            return


def resolve(typed: str, rules: Mapping[str, Rule]) -> str:
    """The rule's name for a flag as it was typed: underscores, capitals, one dash, an unambiguous beginning, dashes
    that were lost inside. "" for none."""
    if typed in rules:
        return typed
    bare = typed.lstrip("-").replace("_", "-").lower()
    for name in (f"--{bare}", f"-{bare}"):
        if name in rules:
            return name
    if len(bare) < 3:
        return ""
    dotted = f"--{bare.split('.')[0]}"
    if "." in bare and dotted in rules:
        return dotted
    begun = [name for name in rules if name.startswith(f"--{bare}")]
    if len(begun) == 1:
        return begun[0]
    squashed = bare.replace("-", "")
    same = [name for name in rules if name.replace("-", "") == squashed]
    return same[0] if len(same) == 1 else ""


def _same(typed: str, name: str) -> bool:
    return typed == name


def nearest(typed: str, rules: Mapping[str, Rule]) -> str:
    """The name that was probably meant, or ""."""
    known = [name for name in rules if len(name) > 3]
    return next(iter(difflib.get_close_matches(typed.replace("_", "-").lower(), known, n=1, cutoff=0.75)), "")


def tidy(value: str) -> str:
    """A value without what stands behind it by chance."""
    return re.split("[，。；、]", value.strip())[0].rstrip(_ENDS).lstrip("\"'「《【").strip()


def _apply(text: str, said: _Said, rules: Mapping[str, Rule], out: Outcome) -> None:
    def tell(
        fate: Fate, key: str, params: Mapping[str, Value] | None = None, field: str = "", level: Level = "info"
    ) -> None:
        out.accounts.append(account(text, said.word.start, said.end, fate, key, params, field, level))

    if not said.name:
        near = nearest(said.word.text.split("=")[0], rules)
        key = "paste.flag_unknown_near" if near else "paste.flag_unknown"
        tell("left", key, {"nearest": near, "flag": said.word.text[:60]}, level="warning")
        return
    rule = rules[said.name]
    out.flags.add(said.name)
    value = said.values[0][0] if said.values else ""
    if rule.arity == "none" and rule.read is None and tidy(value).lower() in FALSE and (rule.field or rule.passes):
        tell("translated", "paste.switched_off")
    elif rule.field and rule.read is None and rule.arity == "none":
        out.values[rule.field] = True
        _tell_taken(said, tell, rule, Converted(True))
    elif rule.field:
        if rule.arity == "one" and not tidy(value):
            tell("left", "paste.value_missing", level="warning")
            return
        try:
            read = (rule.read or as_text)(value)
        except Unusable as wrong:
            tell("left", wrong.key, wrong.params, rule.field, "warning")
            return
        out.values[rule.field] = read.value
        if rule.field in out.set_by:  # the last one counts
            place = out.set_by[rule.field]
            held = out.accounts[place]
            out.accounts[place] = account(text, held.start, held.end, "left", "paste.said_again", level="warning")
        out.set_by[rule.field] = len(out.accounts)
        _tell_taken(said, tell, rule, read)
    elif rule.passes:
        if rule.arity == "one" and not value:
            tell("left", "paste.value_missing", level="warning")
            return
        values = [] if rule.arity == "none" else [given for given, _ in said.values]
        if rule.arity == "one":
            values = [tidy(values[0]) if not values[0].lstrip().startswith(("{", "[")) else values[0]]
        out.extra += [rule.passes, *values]
        passed = shlex.join([rule.passes, *values])
        if said.exact and rule.passes == said.name:
            tell("taken", "paste.passed", {"flag": passed}, "extra")
        else:
            tell("translated", "paste.passed_as", {"flag": passed}, "extra")
    else:
        tell("left", rule.key, level=rule.level)


def _tell_taken(said: _Said, tell: Callable[..., None], rule: Rule, read: Converted) -> None:
    shown: Value = "✓" if read.value is True else str(read.value)
    if read.value is False:
        shown = "✗"
    if read.key:
        tell("translated", read.key, {"value": shown, **read.params}, rule.field, read.level)
    elif said.exact:
        tell("taken", "paste.taken", {"value": shown}, rule.field)
    else:
        tell("translated", "paste.spelled", {"value": shown, "name": said.name}, rule.field)


# Readers of values


def as_text(value: str) -> Converted:
    """A path or a name, as it is, but for what stands behind it by chance."""
    given = value.strip().rstrip("，。；、,;")
    for opening, closing in ("()", "（）", "[]"):
        if given.endswith(closing) and opening not in given:
            given = given[:-1]
    return Converted(given)


def whole(value: str) -> Converted:
    """A whole number: "4", "4.0", "32,768", "32k"."""
    given = tidy(value).replace(",", "").replace("_", "")
    found = re.fullmatch(r"(\d{1,12})(?:\.0+)?\s*([kKmM]?)", given)
    if found is None:
        raise Unusable("paste.not_whole", value=value[:60])
    if not found[2]:
        return Converted(found[1])
    number = int(found[1]) * {"k": 1000, "K": 1024, "m": 10**6, "M": 2**20}[found[2]]
    return Converted(str(number), "paste.translated")


def truth(value: str) -> Converted:
    """True for a bare switch."""
    given = tidy(value).lower()
    if given in FALSE:
        return Converted(False, "paste.truth")
    if given in TRUE:
        return Converted(True, "paste.truth")
    if given:
        raise Unusable("paste.not_truth", value=value[:60])
    return Converted(True)


def one_of(choices: Sequence[str], others: Mapping[str, str], key: str) -> Read:
    """One of the choices; ``others`` are its other names; anything else is left out with ``key``."""

    def read(value: str) -> Converted:
        given = tidy(value)
        low = given.lower()
        if given in choices:
            return Converted(given)
        if low in choices:
            return Converted(low, "paste.translated")
        if low in others:
            return Converted(others[low], "paste.translated")
        raise Unusable(key, value=given[:60], choices=", ".join(choices))

    return read


def message(key: str, level: Level = "info", **params: Value) -> Message:
    """A message about the paste itself."""
    return Message(key, params, level=level)
