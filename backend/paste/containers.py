"""Containers: their options, and Compose and Kubernetes files. Their folders, ports, GPUs and variables count. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backend.paste.block import Block
from backend.paste.lines import Line
from backend.paste.variables import ASSIGNMENT, set_variable
from backend.paste.words import Token

_FOLDER = re.compile(r"[/~.$%\\]|[A-Za-z]:")  # rather than a volume's name
_COMMAND = re.compile(r"\s*(?:-\s+)?(?=(?:command|entrypoint|args)\s*:)")
# A service's keys, each with docker's option for the same.
_OPTIONS = {"ports": "-p", "volumes": "-v", "environment": "-e", "env": "-e", "device_ids": "--gpus"}
_KEY = re.compile(rf"\s*(?:-\s+)?({'|'.join(_OPTIONS)})\s*:\s*(\[.*\])?\s*$")
_LISTED = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^\s,\[\]]+)")
_NAMED = re.compile(r"\s*-\s+name\s*:\s*(\S+)\s*$")
_PAIR = re.compile(r"\s*(?:-\s+)?([\w.\-]+)\s*:\s*(.*?)\s*$")


def docker(block: Block, words: Sequence[Token]) -> None:
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
            option(block, name, value, word.start, end)
        else:
            key = "paste.docker"
            if assigned := ASSIGNMENT.fullmatch(word.text):
                set_variable(block, word.start, word.end, assigned[1], assigned[2])
            else:
                block.accounts.append(block.left(word.start, word.end, key))
        place += 1


def option(block: Block, name: str, value: str, start: int, end: int) -> None:
    assigned = ASSIGNMENT.fullmatch(value)
    if name in ("-e", "--env") and assigned:
        set_variable(block, start, end, assigned[1], assigned[2])
        return
    if name in ("-v", "--volume", "--mount"):
        host, inside = _volume(name, value)
        if host and inside and _FOLDER.match(host):
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


def _volume(name: str, value: str) -> tuple[str, str]:
    """The machine's folder and the container's."""
    if name == "--mount":
        parts = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
        return parts.get("source", parts.get("src", "")), parts.get(
            "target", parts.get("dst", parts.get("destination", ""))
        )
    pair = re.fullmatch(r"((?:[A-Za-z]:)?[^:]+):([^:]+)(?::\w+(?:,\w+)*)?", value)
    return (pair[1], pair[2]) if pair else ("", "")


def bind(block: Block, words: Sequence[Token]) -> list[Token]:
    """Apptainer's folders; gives the other words."""
    rest, place = list[Token](), 0
    while place < len(words):
        word = words[place]
        name, equals, value = word.text.partition("=")
        end = word.end
        if name in ("-B", "--bind"):
            if not equals and place + 1 < len(words):
                place += 1
                value, end = words[place].text, words[place].end
            for folder in value.split(","):
                option(block, "-v", folder if ":" in folder else f"{folder}:{folder}", word.start, end)
        else:
            rest.append(word)
        place += 1
    return rest


@dataclass(frozen=True)
class Service:
    """What stands beside a command in a file for Compose or Kubernetes. ``lines`` are told by it."""

    options: tuple[tuple[str, str, Line], ...]
    lines: frozenset[int]


def services(text: str, lines: Sequence[Line]) -> dict[int, Service]:
    """Each service by its first command's line: what stands behind the command counts too."""
    found, told = dict[int, Service](), set[int]()
    for index, line in enumerate(lines):
        key = _COMMAND.match(text, line.start, line.end)
        if key is None or index in told:
            continue
        indent = key.end() - line.start
        first = last = index
        while first > 0 and _indent(text, lines[first - 1]) >= indent:
            first -= 1
        while last + 1 < len(lines) and _indent(text, lines[last + 1]) >= indent:
            last += 1
        told.update(range(first, last + 1))
        options = [option for at in range(first, last + 1) for option in _options(text, lines[: last + 1], at)]
        if options or found:  # one that has none doesn't get those of the one before
            found[index] = Service(
                tuple((name, value, lines[at]) for name, value, at in options if name),
                frozenset(at for _, _, at in options),
            )
    return found


def around_service(block: Block, lines: Sequence[Line], service: Service) -> None:
    """What counts for the service's command alone."""
    block.volumes, block.ports, block.surroundings = {}, {}, {}
    for name, value, line in service.options:
        option(block, name, value, line.start, line.end)
    for at in service.lines:
        line = lines[at]
        if not block.covered(Token("word", "", line.start, line.end)):
            block.accounts.append(block.left(line.start, line.end, "paste.docker"))


def _options(text: str, lines: Sequence[Line], at: int) -> Iterator[tuple[str, str, int]]:
    """The options under a key, each with its line's place; the key itself without a name."""
    key = _KEY.match(text, lines[at].start, lines[at].end)
    if key is None:
        return
    name = _OPTIONS[key[1]]
    if key[2]:
        values = [next(filter(None, found.groups()), "") for found in _LISTED.finditer(key[2])]
        if name == "--gpus":
            values = ["device=" + ",".join(values)]
        yield from ((name, value, at) for value in values)
        return
    yield "", "", at
    depth = _indent(text, lines[at])
    variable, gpus = "", list[str]()
    for below in range(at + 1, len(lines)):
        line = text[lines[below].start : lines[below].end]
        item = re.match(r"\s*-\s+", line)
        if _indent(text, lines[below]) < depth + (0 if item else 1):
            break
        if name == "-e" and (named := _NAMED.match(line)):  # Kubernetes: the value stands in the next line
            variable = named[1]
            yield "", "", below
            continue
        pair = _PAIR.match(line) if name == "-e" and not item else None
        value = _plain(pair[2] if pair else line[item.end() :] if item else "")
        if pair and variable and pair[1] == "value":
            value, variable = f"{variable}={value}", ""
        elif pair:
            value = f"{pair[1]}={value}"
        if name == "--gpus":
            gpus.append(value)
            value = "device=" + ",".join(gpus)
        yield (name if value else ""), value, below


def _plain(value: str) -> str:
    """A scalar without its quotation marks or a comment behind it."""
    quoted = re.match(r"([\"'])(.*?)\1", value)
    return quoted[2] if quoted else re.sub(r"\s+#.*", "", value).strip()


def _indent(text: str, line: Line) -> int:
    whole = text[line.start : line.end]
    return len(whole) - len(whole.lstrip())
