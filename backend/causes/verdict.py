"""Which known cause a log's evidence speaks of. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.causes.evidence import Said, evidence, last_era
from backend.causes.signatures import PACKAGES, SIGNATURES, Signature

MOST_BLOCKS = 100  # a log that repeats an error for ever says no more than its end

# Said by whoever lost another process: never the cause.
_SILENT = re.compile(
    r"engine process is not alive|RPCServerDeadError|Server process \d+ exited with code"
    r"|^(?:\w+\.)*(?:RemoteDisconnected|CancelledError|BrokenPipeError|ConnectionResetError|SystemExit)\b"
    r"|Exception in ASGI application"
    r"|EngineLoop wait_tasks failed|process .{0,20}terminated with|^EOFError|exited before publishing RPC server port"
)
# What a shell says of an end, which says nothing of why.
_BARE_END = re.compile(r"^(?:Aborted|Segmentation fault)\b")
# A finding that another line of the log makes more precise: the warning that torch gave before it found no GPU.
_HINTS: dict[str, tuple[tuple[str, re.Pattern[str]], ...]] = {
    "no-gpu": (
        ("driver", re.compile(r"NVIDIA driver on your system is too old|CUDA driver version is insufficient")),
        ("gpu-hardware", re.compile(r"GPU is lost|fallen off the bus")),
    ),
    "cuda-crash": (
        ("gpu-hardware", re.compile(r"GPU is lost|fallen off the bus")),
    ),
    "compiler": (
        ("python-headers", re.compile(r"fatal error: Python\.h")),
        ("disk", re.compile(r"No space left on device")),
    ),
    "nccl": (
        ("shm", re.compile(r"Error while creating shared memory segment|No space left on device.*shm"
        r"|extend /dev/shm")),
        ("memory", re.compile(r"Cuda failure (?:2 )?'out of memory'")),
        ("driver", re.compile(r"Cuda failure (?:35 )?'CUDA driver version is insufficient")),
    ),
    "weights": (
        ("weights-lfs", re.compile(r"HeaderTooLarge|header too large")),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """The cause's name, the word that its text names, and the lines that say so."""

    name: str
    cause: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Unknown:
    """No known cause: what was said last that isn't only dragged along, "" where nothing was. ``silent``: another
    process was lost, which said nothing itself."""

    said: str
    lines: tuple[str, ...]
    silent: bool = False


def find(lines: Sequence[str], signalled: bool, first: Sequence[Signature] = ()) -> Finding | Unknown:
    """The cause that these lines of a log name.

    ``signalled``: it was ended from outside. ``first``: signatures that go before the common table.
    """
    said = last_era(evidence(lines), lines, signalled)
    blocks: dict[int, list[Said]] = {}
    for one in said:
        blocks.setdefault(one.block, []).append(one)
    table = (*first, *SIGNATURES)
    for dragged in (False, True):
        for block in reversed(list(blocks.values())[-MOST_BLOCKS:]):
            if found := _named(block, (s for s in table if s.dragged == dragged)):
                return _more_precise(found, lines)
    telling = [one for one in said if not _SILENT.search(one.text)]
    if not telling:
        return Unknown("", tuple(one.line for one in said), silent=bool(said))
    last = next((one for one in reversed(telling) if not _BARE_END.match(one.line)), telling[-1])
    return Unknown(last.line, tuple(one.line for one in telling))


def _named(block: Sequence[Said], table: Iterable[Signature]) -> Finding | None:
    for signature in table:
        for one in reversed(block):
            if _SILENT.search(one.line):
                continue
            match = signature.pattern.search(one.text)
            if match is None or (signature.frames is not None and not signature.frames.search(one.frames)):
                continue
            return Finding(signature.name, _cause(match), _lines(one, match))
    return None


def _cause(match: re.Match[str]) -> str:
    """The word that the text names: one of the groups cause, cause2 …, else all that was found."""
    named = match.groupdict()
    word = next((value for value in named.values() if value), "")
    said = " ".join((word or match[0]).split()) if named else ""
    return PACKAGES.get(said, said)


def _lines(one: Said, match: re.Match[str]) -> tuple[str, ...]:
    """The line that was said first and the one that was found, where it is another."""
    start = one.text.rfind("\n", 0, match.start()) + 1
    found = one.text[start:].split("\n", 1)[0].strip()
    at = [one.line] if found in one.line else [one.line, found]
    if re.match(r"^\w+Error:?$", one.line):  # it says nothing: the code that raised it does
        at = [frame.strip() for frame in one.frames.splitlines() if frame.strip(" ~^")][-1:] + at
    return tuple(at)


def _more_precise(found: Finding, lines: Sequence[str]) -> Finding:
    for name, pattern in _HINTS.get(found.name, ()):
        if hint := next((line.strip() for line in lines if pattern.search(line)), None):
            return Finding(name, found.cause, (hint, *found.lines))
    return found
