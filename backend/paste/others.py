"""Its neighbours' commands, and those that serve no model. Pure."""

import itertools
import re
from collections.abc import Mapping, Sequence

from backend.engines.external import clean_address
from backend.paste.block import Block
from backend.paste.commands import finish_serve
from backend.paste.flags import Rule, read_flags
from backend.paste.programs import (
    ADVICE,
    DOCKERS,
    is_python,
    plain_name,
    program,
)
from backend.paste.surroundings import prefix
from backend.paste.variables import ASSIGNMENT, set_variable
from backend.paste.words import Token

_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_HOST_PORT = re.compile(r"(?:\[[0-9A-Fa-f:]+\]|[\w\-]+(?:\.[\w\-]+)*):\d{2,5}(?:/\S*)?")
_CLIENT = re.compile(  # OpenAI's and LMDeploy's own clients, from Python
    r"\b(?:base_url|api_base|openai_api_base|api_server_url|APIClient)\s*[=(]\s*[\"'](https?://[^\"'\s{}<>]+)[\"']",
    re.IGNORECASE,
)
# Flags of a hub's program that are followed by a folder or the like.
_FOLDERS = frozenset(
    [
        "--local-dir",
        "--local_dir",
        "--cache-dir",
        "--cache_dir",
        "--include",
        "--exclude",
        "--revision",
        "--token",
        "--repo-type",
    ]
)


def neighbour(
    block: Block, name: str, rules: Mapping[str, Rule], head: list[Token], rest: list[Token], engine: str = "turbomind"
) -> None:
    begin = len(block.accounts)
    block.tell(head[0].start, head[-1].end, "translated", "paste.neighbour", {"name": name})
    out = read_flags(block.text, rest, rules)
    finish_serve(block, {"engine": engine, **block.around("deploy")}, out, begin, head[0].start)


def ollama(block: Block, words: list[Token]) -> None:
    begin = len(block.accounts)
    if plain_name(words[1].text) in ("run", "pull", "create", "launch") and len(words) > 2:
        block.tell(words[0].start, words[1].end, "translated", "paste.neighbour", {"name": "Ollama"})
        block.tell(words[2].start, words[2].end, "left", "paste.ollama", level="warning")
        for word in words[3:]:
            block.tell(word.start, word.end, "left", "paste.neighbour_flag", level="warning")
    else:
        block.tell(words[0].start, words[-1].end, "left", "paste.ollama_server")
    block.add("advice", "deploy", {}, begin, words[0].start)


def weak(block: Block, words: list[Token], code: bool) -> None:
    if client := _CLIENT.search(block.text, words[0].start, words[-1].end):
        _address(block, words, client[1])
        return
    raw = block.text[words[0].start : words[-1].end]
    if code and len(words) == 1 and (raw.endswith(")") or re.fullmatch(r"[a-z_]+=.*,", raw)):  # a call's setting
        block.tell(words[0].start, words[0].end, "left", "paste.code")
        return
    place = 0
    while place < len(words) and (
        ASSIGNMENT.fullmatch(words[place].text) or program(words[place].text) in ("sudo", "time")
    ):
        place += 1
    names = [program(word.text) for word in words]
    assigned = _assignments(words, names)
    if assigned:
        for start, end, name, value in assigned:
            set_variable(block, start, end, name, value)
        return
    if place:
        prefix(block, words[:place])
        words, names = words[place:], names[place:]
        if not words:
            return
    name = names[0]
    if name in ("ssh", "autossh") and len(words) > 1:
        login(block, words)
    elif code:
        block.tell(words[0].start, words[-1].end, "left", "paste.code")
    elif smi := next(
        (n for n in names if n in ADVICE and ADVICE[n][0] == "paste.smi" and (n == name or name == "watch")), ""
    ):
        block.advice(words, ADVICE[smi][0], ADVICE[smi][1])
    elif download := _download(names, words):
        _downloads(block, words, download)
    elif name in ("curl", "wget", "http") or (len(words) == 1 and _URL.fullmatch(words[0].text)):
        _asks(block, words)
    elif is_python(name):
        checks = any("lmdeploy" in word.text for word in words[1:]) and any(word.text == "-c" for word in words)
        block.advice(words, "paste.about" if checks else "paste.script", "deploy" if checks else "")
    elif name in DOCKERS:
        block.advice(words, "paste.docker", "")
    elif name in ADVICE:
        block.advice(words, ADVICE[name][0], ADVICE[name][1])
    else:
        block.tell(words[0].start, words[-1].end, "left", "paste.unknown")


def login(block: Block, words: Sequence[Token]) -> None:
    begin = len(block.accounts)
    line = block.text[words[0].start : words[-1].end]
    block.tell(words[0].start, words[-1].end, "taken", "paste.login")
    block.add("login", "deploy", {"login": line}, begin, words[0].start)


def _downloads(block: Block, words: list[Token], model: Token) -> None:
    begin = len(block.accounts)
    block.tell(words[0].start, words[-1].end, "translated", "paste.download", {"value": model.text[:120]}, "model")
    block.add("download", "deploy", {"engine": "turbomind", "model": model.text}, begin, words[0].start)


def _asks(block: Block, words: list[Token]) -> None:
    url = next((found[0] for word in words if (found := _URL.search(word.text))), "")
    url = url or next((word.text for word in words[1:] if _HOST_PORT.fullmatch(word.text)), "")
    if not url or not re.search(r"/v\d|:\d{2,5}(?:/|$)|/docs", url):
        block.advice(words, "paste.unknown", "")
        return
    _address(block, words, url)


def _address(block: Block, words: Sequence[Token], url: str) -> None:
    begin = len(block.accounts)
    block.tell(words[0].start, words[-1].end, "translated", "paste.asks", {"value": url[:120]}, "address")
    block.add("address", "chat", {"address": clean_address(url[:400])}, begin, words[0].start)


def _assignments(words: Sequence[Token], names: Sequence[str]) -> list[tuple[int, int, str, str]]:
    """A line that sets variables and does nothing else: in bash, fish, csh, cmd and PowerShell."""
    first = names[0]
    rest = list(words[1:]) if first in ("export", "set", "setx", "setenv", "declare", "env") else list(words)
    if len(rest) == 3 and rest[1].text == "=" and re.fullmatch(r"\$env:\w+", rest[0].text, re.IGNORECASE):
        return [(words[0].start, words[-1].end, rest[0].text[5:], rest[2].text)]
    if first in ("set", "setx", "setenv") and rest and "=" not in rest[0].text:
        options = [word for word in rest if word.text.startswith("-")]
        bare = [word for word in rest if word not in options]
        if len(bare) == 2 and re.fullmatch(r"[A-Za-z_]\w*", bare[0].text):
            return [(words[0].start, words[-1].end, bare[0].text, bare[1].text)]
    found = []
    for place, word in enumerate(rest):
        assigned = ASSIGNMENT.fullmatch(word.text)
        if assigned is None:
            return []
        start = words[0].start if place == 0 else word.start
        found.append((start, word.end, assigned[1], assigned[2]))
    return found


def _download(names: Sequence[str], words: Sequence[Token]) -> Token | None:
    """The model that a hub's own program would fetch."""
    if names[0] in ("huggingface-cli", "hf", "modelscope", "hfd.sh") and len(words) > 1:
        for before, word in itertools.pairwise(words):
            if re.fullmatch(r"[\w.\-]+/[\w.\-]+", word.text) and before.text not in _FOLDERS:
                return word
        return None
    if names[0] == "git" and len(words) > 2 and names[1] == "clone":
        for word in words[2:]:
            found = re.fullmatch(
                r"https?://(?:www\.)?(?:huggingface\.co|hf-mirror\.com|modelscope\.cn|(?:www\.)?modelscope\.cn/models)/(?:models/)?([\w.\-]+/[\w.\-]+?)(?:\.git)?/?",
                word.text,
            )
            if found:
                return Token("word", found[1], word.start, word.end)
    return None
