"""Asks hubs about a model, or for models of a name, before anything is loaded: prints one line of JSON.

usage: look.py REQUEST.json

The request: ``sources`` (each ``kind``, ``endpoint``, ``token_file``, ``implicit_token``, ``name``: what the model is
called there) and either ``search`` (a text) or ``folder``: an empty one, in which a hollow model is made. It has the
repository's file names and sizes; its small JSON files are whole, its safetensors files are their headers and holes:
all that the console needs to read it as it reads any other, for some hundred KiB. ``revision`` "" is the newest.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from backend.downloads.children.hubs import Hub, Trouble, open_hub, token_of
from backend.downloads.values import RemoteFile, Repository
from backend.models.weights import HEADER_LIMIT_BYTES

WHOLE_BYTES = 4_000_000  # a JSON file up to that size is loaded
NOT_LOADED = frozenset({"tokenizer.json", "vocab.json"})
FIRST_BYTES = 256 * 1024  # a header of some two thousand tensors
MEASURE_BYTES = 8 << 20
MEASURE_S = 2.0
MOST_FOUND = 20
LOOKERS = 8
LONGEST_S = 30.0  # for the first answer
MORE_S = 6.0  # for the others, after that


def main(request: dict[str, Any]) -> dict[str, Any]:
    """The answer: ``found`` (a search), or ``sources``, in the request's order, and ``read``: which of them made the
    hollow model, -1 where none could."""
    sources = request["sources"]
    if "search" in request:
        return {"sources": of_all(sources, lambda source: searched(source, request["search"]), search_silent)}
    answers = of_all(sources, lambda source: asked(source, request.get("revision", "")), silent)
    read = -1
    for number, (hub, repository, answer) in enumerate(answers):
        if hub is None or repository is None:
            continue
        try:
            hollow(hub, repository, Path(request["folder"]))
            read = number
            break
        except Trouble as trouble:
            answer["trouble"] = told(trouble)
    return {"sources": [answer for _, _, answer in answers], "read": read}


Answer = TypeVar("Answer")
Sources = list[dict[str, Any]]


def of_all(
    sources: Sources, ask: Callable[[dict[str, Any]], Answer], silence: Callable[[dict[str, Any]], Answer]
) -> list[Answer]:
    """Every source's answer, in their order; ``silence`` for one that gives none in time. A hub that this network
    doesn't reach must not be waited for once another has answered."""
    pool = ThreadPoolExecutor(len(sources) or 1)
    tasks = [pool.submit(ask, source) for source in sources]
    wait(tasks, LONGEST_S, FIRST_COMPLETED)
    wait(tasks, MORE_S)
    return [task.result() if task.done() else silence(source) for task, source in zip(tasks, sources, strict=True)]


def silent(source: dict[str, Any]) -> tuple[Hub | None, Repository | None, dict[str, Any]]:
    """For a hub that didn't answer a look."""
    trouble = Trouble("unreachable", address=source["endpoint"], error="timeout")
    return None, None, {"trouble": told(trouble), "speed": None, "repository": None}


def search_silent(source: dict[str, Any]) -> dict[str, Any]:
    """For a hub that didn't answer a search."""
    return {"trouble": silent(source)[2]["trouble"], "found": []}


def searched(source: dict[str, Any], text: str) -> dict[str, Any]:
    """What one hub finds."""
    try:
        found = hub_of(source).search(text, MOST_FOUND)
    except Trouble as trouble:
        return {"trouble": told(trouble), "found": []}
    return {"trouble": None, "found": [vars(one) for one in found]}


def asked(source: dict[str, Any], revision: str) -> tuple[Hub | None, Repository | None, dict[str, Any]]:
    """What one hub says of the model, and how fast it gives a part of its largest file, in bytes a second."""
    answer: dict[str, Any] = {"trouble": None, "speed": None, "repository": None}
    try:
        hub = hub_of(source)
        repository = hub.repository(source["name"], revision)
        answer["repository"] = {**vars(repository), "files": [vars(file) for file in repository.files]}
    except Trouble as trouble:
        answer["trouble"] = told(trouble)
        return None, None, answer
    try:
        answer["speed"] = measured(hub, repository)
    except Trouble as trouble:  # gated: its list may be read, its files may not
        answer["trouble"] = told(trouble)
    return hub, repository, answer


def measured(hub: Hub, repository: Repository) -> float | None:
    """Bytes a second of the largest file's first MiBs, from the first byte on; None where there is none."""
    largest = max(repository.files, key=lambda file: file.size, default=None)
    if largest is None or largest.size == 0:
        return None
    came = 0
    began = time.monotonic()
    first: float | None = None
    for piece in hub.read(repository.id, repository.revision, largest.path, 0, min(MEASURE_BYTES, largest.size)):
        first = first or time.monotonic()
        came += len(piece)
        if time.monotonic() - began > MEASURE_S:
            break
    return came / max(time.monotonic() - began, 1e-3)


def hollow(hub: Hub, repository: Repository, folder: Path) -> None:
    """The model's files with their names and sizes, those that tell what it is with their content."""
    beside = [file for file in repository.files if "/" not in file.path and is_name(file.path)]
    for file in beside:
        with (folder / file.path).open("wb") as stream:
            stream.truncate(file.size)
    with ThreadPoolExecutor(LOOKERS) as pool:
        list(pool.map(lambda file: _fill(hub, repository, file, folder / file.path), beside))


def is_name(path: str) -> bool:
    """Whether it is a plain file name, and none that only looks like one."""
    return PurePosixPath(path).name == path and path not in {"", ".", ".."} and "\0" not in path


def _fill(hub: Hub, repository: Repository, file: RemoteFile, place: Path) -> None:
    def read(start: int, count: int) -> bytes:
        return b"".join(hub.read(repository.id, repository.revision, file.path, start, count))

    if file.path.endswith(".json"):
        if file.size <= WHOLE_BYTES and file.path not in NOT_LOADED:
            place.write_bytes(read(0, max(file.size, 1)) if file.size else b"")
        else:
            place.write_bytes(b"{}" + b" " * (file.size - 2))
    elif file.path.endswith(".safetensors"):
        begin = read(0, min(FIRST_BYTES, file.size)) if file.size else b""
        length = 8 + int.from_bytes(begin[:8], "little")
        if len(begin) < length <= min(file.size, HEADER_LIMIT_BYTES):
            begin += read(len(begin), length - len(begin))
        with place.open("r+b") as stream:
            stream.write(begin[:length])


def hub_of(source: dict[str, Any]) -> Hub:
    """The hub that a source names."""
    token = token_of(source.get("token_file", ""), bool(source.get("implicit_token")))
    return open_hub(source["kind"], source["endpoint"], token)


def told(trouble: Trouble) -> dict[str, Any]:
    """As the console reads it."""
    return {"key": trouble.key, "params": trouble.params}


if __name__ == "__main__":
    # Libraries may write to stdout; the answer goes to the real one alone.
    out = os.dup(1)
    os.dup2(2, 1)
    line = json.dumps(main(json.loads(Path(sys.argv[1]).read_bytes())))
    with suppress(BrokenPipeError), os.fdopen(out, "wb") as stream:
        stream.write(line.encode())
    os._exit(0)  # a thread may still wait for a hub that doesn't answer
