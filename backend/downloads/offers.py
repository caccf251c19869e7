"""What a hub would give: a model's card before a byte of weights is loaded. Asks by a child; nothing asks by itself."""

import json
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend import disk
from backend.downloads import online, places
from backend.downloads.sources import Source, Wanted, name_at
from backend.downloads.tokens import Tokens
from backend.downloads.values import Found, RemoteFile, Repository
from backend.errors import ConsoleError, Message, NotFound, Unavailable
from backend.machine.child import NoAnswer, ask
from backend.machine.flags import Capabilities
from backend.memory_plan.model_shape import ModelShape, read_shape
from backend.models.checkpoint import ModelInfo, read_model, read_tensors
from backend.models.listing import list_folder
from backend.models.weights import find_weights
from backend.outside_text import clean
from backend.private_folders import make_private

DEADLINE_S = 55.0
MOST_KEPT = 20
MOST_FILES = 20_000
TROUBLES = frozenset({
    "gated", "unauthorized", "forbidden", "not-found", "too-many", "answer", "hash", "unreachable", "no-space", "disk",
    "bad-path", "in-the-way",
})  # fmt: skip


@dataclass(frozen=True)
class Offered:
    """One source's answer. ``speed`` in bytes a second, None where nothing could be measured; ``problem`` why its
    files can't be loaded; ``same``: its weights are those of the card."""

    source: Source
    name: str
    repository: Repository | None
    speed: float | None
    problem: Message | None
    same: bool = True

    @property
    def can_give(self) -> bool:
        """Whether the model can be loaded from there."""
        return self.repository is not None and self.problem is None


@dataclass(frozen=True)
class Offer:
    """A card. ``model`` and ``shape`` are None where the files may not be read (gated). ``files`` are those that are
    loaded; ``left_bytes`` is the rest: the same weights for other programs. ``here`` are this very model's folders on
    this machine. ``best`` is the fastest source's number, -1 where none can give it. ``unplanned`` says why there is no
    shape."""

    id: str
    wanted: Wanted
    offered: tuple[Offered, ...]
    best: int
    model: ModelInfo | None
    shape: ModelShape | None
    files: tuple[RemoteFile, ...]
    left_bytes: int
    here: tuple[Path, ...]
    unplanned: Message | None = None

    @property
    def size_bytes(self) -> int:
        """What is loaded."""
        return sum(file.size for file in self.files)

    def files_of(self, number: int) -> tuple[RemoteFile, ...]:
        """The same selection of that source's files."""
        wanted = {file.path for file in self.files}
        repository = self.offered[number].repository
        return tuple(file for file in repository.files if file.path in wanted) if repository else ()


class Offers:
    """Asks hubs, and keeps the last answers for the download that may follow. Safe to call from any thread."""

    def __init__(
        self,
        folder: Path,
        tokens: Tokens,
        models: Callable[[], Sequence[ModelInfo]],
        known: Callable[[], Capabilities],
    ) -> None:
        self._folder = folder
        self._tokens = tokens
        self._models = models
        self._known = known
        self._lock = threading.Lock()
        self._kept: dict[str, Offer] = {}
        for left in folder.glob("look-*"):  # by a console that was killed while it asked
            shutil.rmtree(left, ignore_errors=True)
            with suppress(OSError):
                left.unlink(missing_ok=True)

    def search(self, text: str, sources: Sequence[Source]) -> list[tuple[Source, tuple[Found, ...], Message | None]]:
        """What each hub finds, and what keeps one from answering. Raises Unavailable."""
        answer = self._ask({"search": text, "sources": [self._request(source, "") for source in sources]})
        found = []
        for source, one in zip(sources, answer["sources"], strict=True):
            models = tuple(
                Found(clean(str(item["id"])), int(item["downloads"]), bool(item["gated"])) for item in one["found"]
            )
            found.append((source, models, trouble_message(one["trouble"], source)))
        return found

    def look(self, wanted: Wanted, sources: Sequence[Source]) -> Offer:
        """The model's card, from every source that has it. Takes seconds. Raises Unavailable."""
        asked = [source for source in sources if not wanted.kind or source.kind == wanted.kind or not wanted.revision]
        names = [name_at(source, wanted) for source in asked]
        hollow = self._folder / f"look-{secrets.token_hex(6)}"
        try:
            make_private(hollow, must_be_new=True)
        except OSError as error:
            raise disk.cannot_write(hollow, error) from error
        try:
            requests = [self._request(source, name) for source, name in zip(asked, names, strict=True)]
            answer = self._ask({"revision": wanted.revision, "sources": requests, "folder": str(hollow)})
            offer = self._made(wanted, asked, names, answer, hollow)
        finally:
            shutil.rmtree(hollow, ignore_errors=True)
        with self._lock:
            self._kept[offer.id] = offer
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return offer

    def get(self, offer_id: str) -> Offer:
        """An answer that was given before. Raises NotFound."""
        with self._lock:
            offer = self._kept.get(offer_id)
        if offer is None:
            raise NotFound(Message("downloads.offer-gone"))
        return offer

    def _request(self, source: Source, name: str) -> dict[str, Any]:
        return source_request(source, name, self._tokens)

    def _ask(self, request: Mapping[str, Any]) -> Any:
        """What the child says. Raises Unavailable."""
        file = self._folder / f"look-{secrets.token_hex(6)}.json"
        try:
            make_private(self._folder)
            file.write_text(json.dumps(request), encoding="utf-8")
        except OSError as error:
            with suppress(OSError):  # a disk that can't be written
                file.unlink(missing_ok=True)
            raise disk.cannot_write(file, error) from error
        try:
            text = ask(
                online.PYTHON, online.LOOK, str(file), deadline_s=DEADLINE_S, environment=online.online_environment()
            )
            return json.loads(text)
        except (NoAnswer, ValueError) as error:
            raise Unavailable(Message("downloads.no-answer", {"error": clean(str(error))})) from error
        finally:
            with suppress(OSError):
                file.unlink(missing_ok=True)

    def _made(self, wanted: Wanted, asked: Sequence[Source], names: Sequence[str], answer: Any, hollow: Path) -> Offer:
        repositories = [_repository(one["repository"]) for one in answer["sources"]]
        read = int(answer["read"])
        number = read if read >= 0 else next((n for n, one in enumerate(repositories) if one is not None), -1)
        first = repositories[number] if number >= 0 else None
        model: ModelInfo | None = None
        shape: ModelShape | None = None
        unplanned: Message | None = None
        weights: frozenset[str] = frozenset()
        if read >= 0 and first is not None:
            model = read_model(hollow, first.id, self._known())
            model = replace(model, problem=_named(model.problem, hollow, first.id))
            try:
                weights = frozenset(file.name for file in find_weights(list_folder(hollow)).files)
                shape = read_shape(model, read_tensors(hollow))
            except ConsoleError as error:
                unplanned = _named(error.messages[0], hollow, first.id)
        files = first.files if first is not None else ()
        loaded = tuple(file for file in files if places.is_loaded(file.path, file.size, weights))
        offered = tuple(
            Offered(
                source,
                name,
                repository,
                one["speed"],
                trouble_message(one["trouble"], source, name),
                _same(first, repository, weights),
            )
            for source, name, repository, one in zip(asked, names, repositories, answer["sources"], strict=True)
        )
        here = tuple(
            known.path for known in self._models() if first and places.same_model(known, first.id, files, weights)
        )
        left = sum(file.size for file in files) - sum(file.size for file in loaded)
        return Offer(secrets.token_hex(6), wanted, offered, _best(offered), model, shape, loaded, left, here, unplanned)


def source_request(source: Source, name: str, tokens: Tokens) -> dict[str, Any]:
    """A source as the children read it: the token's file, not the token."""
    return {
        "kind": source.kind,
        "endpoint": source.endpoint,
        "token_file": str(tokens.file(source)) if tokens.has(source) else "",
        "implicit_token": source.own,
        "name": name,
    }


def trouble_message(trouble: Mapping[str, Any] | None, source: Source, name: str = "") -> Message | None:
    """What a child said went wrong, as a Message; None where nothing did."""
    if not trouble or not trouble.get("key"):
        return None
    key = str(trouble["key"])
    params = {
        str(name): value if isinstance(value, int | float) else clean(str(value), 300)
        for name, value in dict(trouble.get("params") or {}).items()
    }
    defaults: dict[str, str | int] = {"source": source.name, "repository": name, "address": source.endpoint}
    defaults |= {"error": "", "status": 0, "file": "", "path": ""}
    return Message(f"downloads.failed.{key if key in TROUBLES else 'answer'}", {**defaults, **params}, "model")


def _repository(value: Mapping[str, Any] | None) -> Repository | None:
    if value is None:
        return None
    files = tuple(
        RemoteFile(str(file["path"]), int(file["size"]), str(file["sha256"]), str(file["sha1"]))
        for file in value["files"][:MOST_FILES]
    )
    return Repository(
        clean(str(value["id"])), str(value["revision"]), files, clean(str(value["licence"])), bool(value["gated"])
    )


def _same(first: Repository | None, other: Repository | None, weights: frozenset[str]) -> bool:
    """Whether both have the same weights: the same hashes, or, where one has none, the same sizes."""
    if first is None or other is None:
        return False
    theirs = {file.path: file for file in other.files}
    for file in first.files:
        if file.path in weights:
            match = theirs.get(file.path)
            if (
                match is None
                or match.size != file.size
                or (file.sha256 or match.sha256) != (match.sha256 or file.sha256)
            ):
                return False
    return True


def _best(offered: Sequence[Offered]) -> int:
    """The fastest that can give the model of the card; where nothing was measured the first that has it."""
    able = [number for number, one in enumerate(offered) if one.can_give and one.same]
    return max(able, key=lambda number: offered[number].speed or 0.0, default=-1)


def _named(message: Message | None, hollow: Path, repository: str) -> Message | None:
    """The message with the repository's name in the place of a folder that nobody knows."""
    if message is None:
        return None
    params = {
        name: value.replace(str(hollow), repository) if isinstance(value, str) else value
        for name, value in message.params.items()
    }
    return replace(message, params=params)
