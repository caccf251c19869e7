"""LMDeploy from Python: ``pipeline('…', backend_config=TurbomindEngineConfig(cache_max_entry_count=0.4))``. Pure."""

import re
import shlex

from backend.paste.block import Block
from backend.paste.flags import read_flags
from backend.paste.lmdeploy import serve_rules
from backend.paste.words import Token

_LITERAL = r"[rfRF]?(?P<quote>[\"'])(?P<text>[^\"'\n]+)(?P=quote)"
_CALL = re.compile(
    rf"\b(?:lmdeploy\.)?(?:pipeline|serve)\s*\(\s*(?:model_path\s*=\s*)?(?:{_LITERAL}|(?P<name>[A-Za-z_]\w*)(?=\s*[,)]))"
)
_CONFIG = re.compile(r"\b(?:(Turbomind|Pytorch)EngineConfig)\s*\(", re.IGNORECASE)
_CONFIG_NAME = re.compile(r"\bbackend_config\s*=\s*([A-Za-z_]\w*)\s*[,)]")
_SETTING = re.compile(r"(\w+)\s*=\s*(\"[^\"]*\"|'[^']*'|[\w.\-+]+)")
_NUMBER_OR_NAME = r"(?P<plain>[\w.\-+]+)"


def pipeline(block: Block) -> None:
    """Names that the block itself gives to a text, a number or a configuration are followed."""
    call = _CALL.search(block.text)
    if call is None:
        return
    end = _balanced(block.text, call.end())
    config = _config(block.text, call.end(), end)
    model = _given(block.text, call["name"], call.start()) if call["name"] else call
    if model is None or not model["text"] or ("lmdeploy" not in block.text and config is None):
        return
    begin = len(block.accounts)
    block.tell(call.start(), call.end(), "translated", "paste.pipeline")
    values: dict[str, object] = {"engine": "turbomind"}
    if config is not None:
        if config[1].lower() == "pytorch":
            values["engine"] = "pytorch"
        out = read_flags(block.text, _settings(block.text, config.end()), serve_rules(), positional=False)
        block.accounts += out.accounts
        values.update(out.values)
        if out.extra:
            values["extra"] = shlex.join(out.extra)
    values["model"] = block.place(model["text"])
    block.tell(model.start("text"), model.end("text"), "taken", "paste.taken", {"value": model["text"][:120]}, "model")
    block.add("serve", "deploy", values, begin, model.start("text"))


def _config(text: str, start: int, end: int) -> re.Match[str] | None:
    """The engine's configuration: the one that the call names, the one in it, or the first that there is."""
    named = _CONFIG_NAME.search(text, start, min(end + 1, len(text)))
    if named:
        assigned = re.compile(rf"\b{named[1]}\s*=\s*(?:\w+\.)*(?={_CONFIG.pattern})", re.IGNORECASE)
        for found in assigned.finditer(text, 0, start):
            return _CONFIG.match(text, found.end())
    return _CONFIG.search(text, start, end) or _CONFIG.search(text)


def _settings(text: str, start: int) -> list[Token]:
    """A configuration's settings as a command's flags."""
    words = []
    for found in _SETTING.finditer(text, start, _balanced(text, start)):
        value = found[2].strip("\"'")
        if value == found[2] and (given := _given(text, value, start)) is not None:
            value = given["text"] or given["plain"]
        words.append(Token("word", f"--{found[1]}={value}", found.start(), found.end()))
    return words


def _given(text: str, name: str, before: int) -> re.Match[str] | None:
    """Where the last line before ``before`` gives the name a text or a number."""
    assigned = re.compile(
        rf"^[ \t>.]*{re.escape(name)}\s*=\s*(?:{_LITERAL}|{_NUMBER_OR_NAME})[ \t]*(?:#.*)?$", re.MULTILINE
    )
    return next(reversed(list(assigned.finditer(text, 0, before))), None)


def _balanced(text: str, start: int) -> int:
    """Where the parenthesis that was opened before ``start`` closes."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text)
