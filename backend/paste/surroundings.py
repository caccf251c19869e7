"""What stands before a command: variables, wrappers, a container's options. Pure."""

import re
from collections.abc import Sequence

from backend.paste.block import Block
from backend.paste.programs import DOCKERS, RUNNERS, SHELLS, WRAPPERS, program
from backend.paste.words import Token

_ASSIGNMENT = re.compile(r"(?:\$env:)?([A-Za-z_]\w*)=(.*)", re.DOTALL | re.IGNORECASE)
_HUB_VARIABLES = re.compile(r"(?:HF|HUGGING|MODELSCOPE|LMDEPLOY_USE|VLLM_USE|TRANSFORMERS|SGLANG_USE)", re.IGNORECASE)


def prefix(block: Block, words: Sequence[Token]) -> None:
    if any(program(word.text) in DOCKERS for word in words):
        _docker(block, words)
        return
    wrapper = ""
    for word in words:
        name = program(word.text)
        if assigned := _ASSIGNMENT.fullmatch(word.text):
            set_variable(block, word.start, word.end, assigned[1], assigned[2])
        elif name in ("export", "set", "setx", "setenv"):
            block.accounts.append(block.left(word.start, word.end, "paste.shell"))
        elif name in WRAPPERS | SHELLS:
            wrapper = name
            block.accounts.append(block.left(word.start, word.end, "paste.wrapper"))
        elif name in RUNNERS:
            wrapper = name
            block.accounts.append(block.left(word.start, word.end, "paste.environment"))
        elif wrapper:
            block.accounts.append(block.left(word.start, word.end, "paste.wrapper"))
        else:
            block.accounts.append(block.left(word.start, word.end, "paste.before"))


def _docker(block: Block, words: Sequence[Token]) -> None:
    """A container's options: its folders, ports, GPUs and variables count; the rest is the container's own."""
    place = 0
    while place < len(words):
        word = words[place]
        name, equals, value = word.text.partition("=")
        end = word.end
        flags = ("-e", "--env", "-v", "--volume", "-p", "--publish", "--gpus", "--mount")
        if name not in flags and (
            short := next(
                (f for f in ("-e", "-v", "-p") if name.startswith(f) and len(name) > 2 and not name.startswith("--")),
                "",
            )
        ):
            name, equals, value = short, "=", word.text[2:]
        if name in flags:
            if not equals and place + 1 < len(words):
                place += 1
                value, end = words[place].text, words[place].end
            _docker_option(block, name, value, word.start, end)
        else:
            key = "paste.docker"
            if assigned := _ASSIGNMENT.fullmatch(word.text):
                set_variable(block, word.start, word.end, assigned[1], assigned[2])
            else:
                block.accounts.append(block.left(word.start, word.end, key))
        place += 1


def _docker_option(block: Block, name: str, value: str, start: int, end: int) -> None:
    assigned = _ASSIGNMENT.fullmatch(value)
    if name in ("-e", "--env") and assigned:
        set_variable(block, start, end, assigned[1], assigned[2])
        return
    if name in ("-v", "--volume", "--mount"):
        host, inside = _volume(name, value)
        if host and inside:
            block.volumes[inside] = host
            block.tell(start, end, "translated", "paste.volume", {"host": host, "inside": inside})
            return
    if name in ("-p", "--publish") and (ports := re.search(r"(\d{2,5}):(\d{2,5})(?:/tcp)?$", value)):
        block.ports[ports[2]] = ports[1]
        block.surroundings["port"] = ports[1]
        block.tell(start, end, "translated", "paste.docker_port", {"value": ports[1]}, "port")
        return
    if name == "--gpus":
        named = re.search(r"device=([\w,\-:]+)", value)
        if named:
            block.surroundings["gpus"] = [gpu for gpu in named[1].split(",") if gpu]
            block.tell(start, end, "translated", "paste.translated", {"value": named[1]}, "gpus")
            return
    block.accounts.append(block.left(start, end, "paste.docker"))


def set_variable(block: Block, start: int, end: int, name: str, value: str) -> None:
    value = block.substituted(value.strip().strip("\"';"))
    block.variables[name.upper()] = value
    block.variables[name] = value
    if name.upper() == "CUDA_VISIBLE_DEVICES":
        gpus = [gpu.strip() for gpu in re.split(r"[,，、;\s]+", value) if gpu.strip()]
        if gpus and gpus != ["-1"]:
            block.surroundings["gpus"] = gpus
            block.tell(start, end, "translated", "paste.translated", {"value": ", ".join(gpus)}, "gpus")
            return
    if name.upper() == "HF_ENDPOINT" and value:
        block.surroundings["mirror"] = value
        block.tell(start, end, "left", "paste.mirror", {"value": value[:100]}, level="warning")
        return
    key = "paste.hub_variable" if _HUB_VARIABLES.match(name) else "paste.variable_left"
    block.tell(start, end, "left", key, {"name": name}, level="warning")


def _volume(name: str, value: str) -> tuple[str, str]:
    """The machine's folder and the container's."""
    if name == "--mount":
        parts = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
        return parts.get("source", parts.get("src", "")), parts.get(
            "target", parts.get("dst", parts.get("destination", ""))
        )
    pair = re.fullmatch(r"((?:[A-Za-z]:)?[^:]+):([^:]+)(?::\w+(?:,\w+)*)?", value)
    return (pair[1], pair[2]) if pair else ("", "")
