"""What an environment's own command lines take, and the check of further flags against it. Pure.

Read by backend/machine/flag_reader.py from the parsers themselves; SNAPSHOT is what LMDeploy 0.18.0 and transformers
5.23.0 answered, for the seconds until the parser of the environment has been read, and for machines without LMDeploy.
"""

import difflib
import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backend.errors import InvalidInput, Message

SNAPSHOT = Path(__file__).parent / "flags_snapshot.json"
SNAPSHOT_LMDEPLOY = "0.18.0"
NEAR = 0.55  # so alike must a flag be to one that is meant
NEGATIVE_NUMBER = re.compile(r"-\d*\.?\d+")
FIELD = "extra"

# Flags that a control of the page sets, with the settings' field, and those that the console itself sets ("").
LMDEPLOY_OWNED: Mapping[str, str] = {
    "--backend": "engine",
    "--model-format": "model_format",
    "--quant-policy": "quant_policy",
    "--cache-max-entry-count": "cache_max_entry_count",
    "--tp": "tp",
    "--session-len": "session_len",
    "--dtype": "dtype",
    "--server-port": "port",
    "--model-name": "model_name",
    "--trust-remote-code": "trust_remote_code",
    "--server-name": "",
    "--api-keys": "",
    "--ssl": "",
    "--allow-origins": "",
    "--allow-credentials": "",
    "--allow-methods": "",
    "--allow-headers": "",
    "--allowed-media-domains": "",
    "--help": "",
}
# PD disaggregation (--serving-strategy DistServe and what goes with it) wants nodes that are started for it.
PROXY_OWNED: Mapping[str, str] = {
    "--server-port": "port",
    "--server-name": "",
    "--api-keys": "",
    "--ssl": "",
    "--disable-cache-status": "",
    "--serving-strategy": "",
    "--dummy-prefill": "",
    "--help": "",
}
TRANSFORMERS_OWNED: Mapping[str, str] = {
    "--port": "port",
    "--dtype": "dtype",
    "--trust-remote-code": "trust_remote_code",
    "--host": "",
    "--device": "",
    "--enable-cors": "",
    "--help": "",
}


@dataclass(frozen=True)
class Flag:
    """One flag. ``kind`` is text, int, float, json, switch (takes no value) or other (a function of LMDeploy's own).

    ``nargs`` is "" for one value, else argparse's "+", "*", "?" or a number. ``choices`` are all it takes;
    ``suggestions`` are names that its help lists. ``default`` is "" where it has none.
    """

    names: tuple[str, ...]
    kind: str
    nargs: str = ""
    choices: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    default: str = ""
    help: str = ""


@dataclass(frozen=True)
class Capabilities:
    """What the command lines of one environment take, and what its LMDeploy says of models.

    ``vision``: the architectures that it gives pictures to, each with the keys that config.json must hold as well.
    ``turbomind_quantizations`` and ``pytorch_quantizations``: the ``quant_method`` that each engine takes;
    ``…_group_sizes``: those that it takes, by method, where it doesn't take any. ``lite_architectures``: what its own
    quantization takes. All are () where that version doesn't say.

    ``source`` is "parser" (asked), "snapshot" (built in) or "" (not known yet).
    """

    serve: tuple[Flag, ...] = ()
    proxy: tuple[Flag, ...] = ()
    awq: tuple[Flag, ...] = ()
    transformers_serve: tuple[Flag, ...] = ()
    turbomind_architectures: tuple[str, ...] = ()
    pytorch_architectures: tuple[str, ...] = ()
    vision: tuple[tuple[str, tuple[str, ...]], ...] = ()
    turbomind_quantizations: tuple[str, ...] = ()
    pytorch_quantizations: tuple[str, ...] = ()
    turbomind_group_sizes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    pytorch_group_sizes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    lite_architectures: tuple[str, ...] = ()
    source: str = ""


def from_json(value: Mapping[str, Any], source: str) -> Capabilities:
    """What children/read_flags.py printed. Raises KeyError, TypeError or ValueError for anything else."""

    def flags(key: str) -> tuple[Flag, ...]:
        return tuple(
            Flag(
                names=tuple(str(name) for name in entry["names"]),
                kind=str(entry["kind"]),
                nargs=str(entry["nargs"]),
                choices=tuple(str(choice) for choice in entry["choices"]),
                suggestions=tuple(str(name) for name in entry["suggestions"]),
                default=str(entry["default"]),
                help=str(entry["help"]),
            )
            for entry in value.get(key, ())
        )

    def names(key: str) -> tuple[str, ...]:
        return tuple(str(name) for name in value.get(key, ()))

    def sizes(key: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
        return tuple((str(name), tuple(map(int, numbers))) for name, numbers in sorted(value.get(key, {}).items()))

    return Capabilities(
        serve=flags("serve"),
        proxy=flags("proxy"),
        awq=flags("awq"),
        transformers_serve=flags("transformers_serve"),
        turbomind_architectures=names("turbomind_architectures"),
        pytorch_architectures=names("pytorch_architectures"),
        vision=tuple((str(name), tuple(map(str, keys))) for name, keys in sorted(value.get("vision", {}).items())),
        turbomind_quantizations=names("turbomind_quantizations"),
        pytorch_quantizations=names("pytorch_quantizations"),
        turbomind_group_sizes=sizes("turbomind_group_sizes"),
        pytorch_group_sizes=sizes("pytorch_group_sizes"),
        lite_architectures=names("lite_architectures"),
        source=source,
    )


@cache
def snapshot() -> Capabilities:
    """What LMDeploy 0.18.0 and transformers 5.23.0 take."""
    return from_json(json.loads(SNAPSHOT.read_text(encoding="utf-8")), "snapshot")


def find(flags: Sequence[Flag], name: str) -> Flag | None:
    """The flag of that full name ("--tp")."""
    return next((flag for flag in flags if name in flag.names), None)


def choices(flags: Sequence[Flag], name: str) -> tuple[str, ...]:
    """What the flag takes: its choices, or the names its help lists; () where anything goes or it isn't there."""
    flag = find(flags, name)
    return (flag.choices or flag.suggestions) if flag else ()


def split_extra(text: str) -> tuple[str, ...]:
    """Further flags as a shell would split them. Raises InvalidInput for an open quote."""
    try:
        return tuple(shlex.split(text.replace("\\\n", " ")))
    except ValueError as error:
        raise InvalidInput(Message("engines.extra.quotes", {"text": text.strip()}, FIELD)) from error


def check_extra(words: Sequence[str], flags: Sequence[Flag], owned: Mapping[str, str]) -> tuple[Message, ...]:
    """Everything wrong with further flags: unknown ones (the nearest is named), those that a control or the console
    owns, abbreviations and underscores included, missing, superfluous and impossible values."""
    problems: list[Message] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not _is_flag(word):
            problems.append(Message("engines.extra.not-a-flag", {"word": word}, FIELD))
            continue
        typed, equals, value = word.partition("=")
        named = _resolve(typed, flags)
        values = [value] if equals else []
        while not equals and rest and not _is_flag(rest[0]) and _takes(named, len(values)):
            values.append(rest.pop(0))
        if isinstance(named, Message):
            problems.append(named)
        elif (owner := next((owned[name] for name in named.names if name in owned), None)) is not None:
            key = "engines.extra.owned" if owner else "engines.extra.console-owned"
            problems.append(Message(key, {"flag": typed}, owner or FIELD))
        elif wrong := _check_values(named, typed, values, bool(equals)):
            problems.append(wrong)
    return tuple(problems)


def without_flag(words: Sequence[str], flag: str) -> tuple[str, ...]:
    """The words without that flag (or stray word) and the values behind it."""
    left: list[str] = []
    dropping = False
    for word in words:
        if word == flag or word.startswith(f"{flag}="):
            dropping = _is_flag(word) and "=" not in word
            continue
        dropping = dropping and not _is_flag(word)
        if not dropping:
            left.append(word)
    return tuple(left)


def _is_flag(word: str) -> bool:
    return len(word) > 1 and word.startswith("-") and not NEGATIVE_NUMBER.fullmatch(word)


def _takes(flag: Flag | Message, held: int) -> bool:
    """Whether argparse would give the flag another value; an unknown one's values are skipped with it."""
    if isinstance(flag, Message) or flag.nargs in {"+", "*"}:
        return True
    if flag.kind == "switch":
        return False
    return held < (int(flag.nargs) if flag.nargs.isdigit() else 1)


def _resolve(typed: str, flags: Sequence[Flag]) -> Flag | Message:
    """The flag that argparse would take it for, an unambiguous beginning included; or what is wrong with it.

    Underscores count as dashes, and ``--hf-overrides.key`` as ``--hf-overrides``, as LMDeploy reads them.
    """
    name = typed if not typed.startswith("--") else "--" + typed[2:].split(".")[0].replace("_", "-")
    exact = find(flags, name)
    if exact is not None:
        return exact
    begun = [flag for flag in flags if name.startswith("--") and any(n.startswith(name) for n in flag.names)]
    if name != "--" and len(begun) == 1:
        return begun[0]
    names = [n for flag in (begun if name != "--" else ()) for n in flag.names if n.startswith(name)]
    if names:
        params = {"flag": typed, "flags": ", ".join(names)}
        return Message("engines.extra.ambiguous", params, FIELD)
    known = {n.lstrip("-"): n for flag in flags for n in flag.names if len(name) > 3}  # dashes are alike in all
    near = difflib.get_close_matches(name.lstrip("-"), known, n=1, cutoff=NEAR)
    if not near:
        return Message("engines.extra.unknown-alone", {"flag": typed}, FIELD)
    return Message("engines.extra.unknown", {"flag": typed, "nearest": known[near[0]]}, FIELD)


def _check_values(flag: Flag, typed: str, values: Sequence[str], equals: bool) -> Message | None:
    if flag.kind == "switch":
        return Message("engines.extra.no-value", {"flag": typed}, FIELD) if equals else None
    needed = int(flag.nargs) if flag.nargs.isdigit() else (0 if flag.nargs in {"*", "?"} else 1)
    if len(values) < needed:
        return Message("engines.extra.value-missing", {"flag": typed}, FIELD)
    for value in values:
        if flag.choices and value not in flag.choices:
            params = {"flag": typed, "value": value, "choices": ", ".join(flag.choices)}
            return Message("engines.extra.choice", params, FIELD)
        if not flag.choices and not _is_kind(value, flag.kind):
            return Message(f"engines.extra.{flag.kind}", {"flag": typed, "value": value}, FIELD)
    return None


def _is_kind(value: str, kind: str) -> bool:
    try:
        if kind == "int":
            int(value)
        elif kind == "float":
            return math.isfinite(float(value))
        elif kind == "json":
            json.loads(value)
    except ValueError:
        return False
    return True
