"""A pasted block as a whole: which commands stand in it, what each sets and on which tab, and what became of each word.

Pure; never raises. What names a variable, a converted folder or a container's volume is read by what the block said of
it before.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from backend.errors import Message
from backend.paste.account import Account, shown
from backend.paste.block import Block, Found
from backend.paste.characters import plain
from backend.paste.commands import lmdeploy, lmdeploy_module
from backend.paste.containers import around_service, services
from backend.paste.lines import Line, join_lines
from backend.paste.neighbours import other_rules, sglang_rules, vllm_rules
from backend.paste.others import login, neighbour, ollama, weak
from backend.paste.pipelines import pipeline
from backend.paste.programs import (
    ADVICE,
    DOCKERS,
    RUNNERS,
    SHELLS,
    WRAPPERS,
    is_code,
    is_python,
    module_of,
    plain_name,
    program,
)
from backend.paste.surroundings import prefix
from backend.paste.variables import ASSIGNMENT
from backend.paste.words import Token, tokens

# What a command stands in, told as one word: os.system("…"), CMD="…".
_INSIDE = re.compile(r"(?:[\w.$:]*(?:=|\())+[\[rfb]?(?=\S+\s)")
_TELLS = SHELLS | WRAPPERS | DOCKERS | {"ssh", "kubectl", "eval", "echo", "printf", "alias", "="}
DEEPEST = 3  # shells in shells
_PATH_LIKE = re.compile(r"[/\\~\d]|^\.|-|_|\$")
_LIST = re.compile(r"[\"']lmdeploy[\"']\s*,")
_NEIGHBOURS = frozenset(
    [
        "text-generation-launcher",
        "trtllm-serve",
        "llama-server",
        "llama-cli",
        "xinference",
        "mlc_llm",
        "tritonserver",
        "aphrodite",
        "lmstudio",
        "lms",
        "localai",
        "tgi",
        "mindie",
        "fastchat",
    ]
)


@dataclass(frozen=True)
class Reading:
    """What a block holds. ``accounts`` has every word; ``notes`` are about the block itself."""

    text: str
    found: tuple[Found, ...] = ()
    accounts: tuple[Account, ...] = ()
    notes: tuple[Message, ...] = ()

    def of(self, tab: str) -> tuple[Found, ...]:
        """The commands that fill the tab's form."""
        return tuple(found for found in self.found if found.tab == tab and found.values)


def read(text: str) -> Reading:
    """Read a block as it was pasted."""
    given = plain(text)
    joined, lines = join_lines(given.text)
    block = Block(joined)
    read_lines(block, lines)
    notes = list(block.notes)
    if given.changed:
        notes.append(Message("paste.characters", {"changed": ", ".join(given.changed[:8])}, level="info"))
    if given.unseen:
        notes.append(Message("paste.unseen", {"count": given.unseen}, level="info"))
    if given.cut:
        notes.append(Message("paste.cut", {"count": given.cut}, level="warning"))
    accounts = tuple(sorted(block.accounts, key=lambda said: (said.start, said.end)))
    return Reading(joined, tuple(block.found), accounts, tuple(notes))


def read_lines(block: Block, lines: Sequence[Line]) -> None:
    """All lines, then what only shows when all are read."""
    comments: list[Token] = []
    pipeline(block)
    beside = services(block.text, lines)
    told = {index for service in beside.values() for index in service.lines}
    for index, line in enumerate(lines):
        if index in beside:
            around_service(block, lines, beside[index])
        if index not in told:
            comments += _line(block, line)
    if not block.found and block.depth < DEEPEST:
        for comment in comments:  # "# lmdeploy chat /m": root's prompt
            inner = _inner(block, comment.text)
            if inner.found:
                _take_over(block, inner, comment)
    block.accounts += [block.left(t.start, t.end, "paste.comment") for t in comments if not block.covered(t)]


def _line(block: Block, line: Line) -> list[Token]:
    """Reads it; gives its comments."""
    if line.fence:
        block.accounts.append(block.left(line.start, line.end, "paste.fence"))
        return []
    if block.text[line.start : line.prompt_end].strip():
        block.accounts.append(block.left(line.start, line.prompt_end, "paste.prompt"))
    found = tokens(block.text, line)
    if _LIST.search(block.text[line.start : line.end]):
        found = [replace(t, text=t.text.rsplit("[", 1)[-1].rstrip("],)")) if t.kind == "word" else t for t in found]
        found = [t for t in found if t.text or t.kind != "word"]
    if any(token.open for token in found):
        block.notes.append(
            Message("paste.open_quote", {"word": shown(block.text[line.start : line.end])}, level="warning")
        )
    segment: list[Token] = []
    code = is_code(block.text[line.prompt_end : line.end])
    for token in [*found, Token("operator", "", line.end, line.end)]:
        if token.kind == "word":
            segment.append(token)
        elif token.kind == "redirection":
            block.accounts.append(block.left(token.start, token.end, "paste.redirection"))
        elif token.kind == "operator" and (token.text or token.start == line.end):
            _segment(block, segment, code)
            segment = []
    for token in found:  # nothing is dropped in silence
        if token.kind == "word" and not block.covered(token):
            block.accounts.append(block.left(token.start, token.end, "paste.unknown"))
    return [token for token in found if token.kind == "comment"]


def _segment(block: Block, words: list[Token], code: bool) -> None:
    if not words:
        return
    if _nested(block, words):
        return
    strong = _strong(block, words)
    if strong is not None:
        place, read_command = strong
        prefix(block, words[:place])
        read_command([block.filled_in(word) for word in words[place:]])
        block.surroundings = {k: v for k, v in block.surroundings.items() if k not in ("port",)}
        return
    weak(block, words, code)


def _nested(block: Block, words: list[Token]) -> bool:
    """``bash -c "lmdeploy …"``, ``ssh host "lmdeploy …"``, ``tmux new "lmdeploy …"``."""
    if block.depth >= DEEPEST:
        return False
    for place, word in enumerate(words):
        if " " not in word.text.strip() or (place == 0 and len(words) > 1 and not _INSIDE.match(word.text)):
            continue
        before = {program(w.text) for w in words[:place]}
        told = _INSIDE.sub("", word.text)
        if told == word.text and not before & _TELLS and len(words) > 1:
            continue
        inner = _inner(block, told.rstrip(")];"))
        if not inner.found:
            continue
        if "ssh" in before:
            login(block, words[:place])
        else:
            prefix(block, words[:place])
        _take_over(block, inner, word)
        for after in words[place + 1 :]:
            block.accounts.append(block.left(after.start, after.end, "paste.extra_word", level="warning"))
        return True
    return False


def _inner(block: Block, text: str) -> Block:
    joined, lines = join_lines(text)
    inner = Block(
        joined, block.depth + 1, dict(block.variables), dict(block.folders), dict(block.volumes), dict(block.ports)
    )
    inner.surroundings = dict(block.surroundings)
    read_lines(inner, lines)
    return inner


def _take_over(block: Block, inner: Block, word: Token) -> None:
    """What was read inside of one word stands where the word stands."""
    moved = {id(said): replace(said, start=word.start, end=word.end) for said in inner.accounts}
    block.accounts += moved.values()
    for found in inner.found:
        block.found.append(
            replace(found, accounts=tuple(moved.get(id(a), a) for a in found.accounts), start=word.start)
        )
    block.notes += inner.notes


def _strong(block: Block, words: list[Token]) -> tuple[int, Callable[[list[Token]], None]] | None:
    """Where a command for models begins, whatever stands before it, and what reads it."""
    for place, word in enumerate(words):
        rest = words[place:]
        reader = _reader(block, program(word.text), rest)
        if reader is not None and (place == 0 or _is_meant(block, words[:place], rest)):
            return place, reader
    entry = next((word.text for word in words if word.text.startswith("--entrypoint")), "")
    if (entry and any(program(word.text) == "lmdeploy" for word in words)) or entry.endswith("lmdeploy"):
        for place, word in enumerate(words[1:], start=1):
            if plain_name(word.text) in ("serve", "chat", "lite"):
                return place - 1, lambda rest: lmdeploy(block, rest[:1], rest[1:])
    for place, word in enumerate(words):  # an image that is the program
        name = word.text.lower()
        if any(program(w.text) in DOCKERS for w in words[:place]):
            if "vllm-openai" in name:
                return place, lambda rest: neighbour(block, "vLLM", vllm_rules(), rest[:1], rest[1:])
            if "text-generation-inference" in name:
                return place, lambda rest: neighbour(block, "TGI", other_rules(), rest[:1], rest[1:])
    return None


def _reader(block: Block, name: str, words: list[Token]) -> Callable[[list[Token]], None] | None:
    second = plain_name(words[1].text) if len(words) > 1 else ""
    if name == "lmdeploy" and second in (
        "serve",
        "chat",
        "lite",
        "convert",
        "list",
        "check_env",
        "report",
        "version",
    ):
        return lambda rest: lmdeploy(block, rest[:1], rest[1:])
    if name == "lmdeploy" and len(words) > 1 and words[1].text in ("--version", "-v", "--help", "-h"):
        return lambda rest: block.advice(rest, "paste.about", "deploy")
    if is_python(name):
        place, module = module_of(words)
        root = module.split(".")[0]
        if root == "lmdeploy":
            return lambda rest: lmdeploy_module(block, rest[: place + 1], module, rest[place + 1 :])
        if root == "vllm":
            return lambda rest: neighbour(
                block, "vLLM", vllm_rules(), rest[: place + 1], _without(rest[place + 1 :], "serve")
            )
        if root == "sglang":
            return lambda rest: neighbour(block, "SGLang", sglang_rules(), rest[: place + 1], rest[place + 1 :])
        if root in (
            "fastchat",
            "xinference",
            "tensorrt_llm",
            "llama_cpp",
            "mlc_llm",
            "aphrodite",
            "mii",
            "text_generation_server",
        ):
            return lambda rest: neighbour(block, root, other_rules(), rest[: place + 1], rest[place + 1 :])
    if name == "vllm" and second in ("serve", "chat", "complete", "bench"):
        return lambda rest: neighbour(block, "vLLM", vllm_rules(), rest[:2], rest[2:])
    if name == "sglang" and second in ("serve", "launch_server"):
        return lambda rest: neighbour(block, "SGLang", sglang_rules(), rest[:2], rest[2:])
    if name == "transformers" and second in ("serve", "chat"):
        return lambda rest: neighbour(block, "transformers", other_rules(), rest[:2], rest[2:], "transformers")
    if name == "ollama" and second:
        return lambda rest: ollama(block, rest)
    if name in _NEIGHBOURS:
        return lambda rest: neighbour(block, name, other_rules(), rest[:1], _without(rest[1:], "serve", "launch"))
    return None


def _is_meant(block: Block, before: Sequence[Token], rest: Sequence[Token]) -> bool:
    """Not the name in a sentence ("run lmdeploy chat to talk"), nor another command's word."""
    known = WRAPPERS | RUNNERS | DOCKERS | SHELLS | {"export", "set"}
    wrapped = any(program(word.text) in known or ASSIGNMENT.fullmatch(word.text) for word in before)
    if program(before[0].text) in ADVICE and not wrapped:
        return False
    return wrapped or any(_PATH_LIKE.search(word.text) for word in rest[2:]) or plain_name(rest[1].text) == "list"


def _without(words: list[Token], *names: str) -> list[Token]:
    return words[1:] if words and words[0].text.lower() in names else words
