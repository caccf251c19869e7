"""The downloads: offered, checked, queued one at a time, paused, gone on with, found again after a restart."""

import json
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from backend import disk
from backend.downloads import places
from backend.downloads.download import (
    RESTING,
    UNFINISHED,
    Download,
    DownloadState,
    DownloadView,
    download_from_json,
)
from backend.downloads.offers import Offer, Offered, Offers, source_request
from backend.downloads.places import Place
from backend.downloads.sources import Source, known_sources, read_wanted
from backend.downloads.tokens import Tokens
from backend.downloads.values import Found
from backend.downloads.watcher import KIND, PLAN, RESULT, STOP_GRACE_S, DownloadWatcher
from backend.errors import Conflict, InvalidInput, Message, NotFound
from backend.models.catalog import DEMO_MODEL, Catalog, own_roots
from backend.private_folders import make_private
from backend.processes.supervisor import Run, Supervisor
from backend.records import Records, readable
from backend.settings import Settings
from backend.store import Store
from backend.units import GIB
from backend.whole_file import write_whole

AREA = "download"
SPARE_BYTES = 64 * 1024 * 1024  # beside the model: folders, links, the log


FoundAt = tuple[Source, tuple[Found, ...], Message | None]


@dataclass(frozen=True)
class Answer:
    """What a person gets for what they typed: a card, or what a search found at each source."""

    offer: Offer | None = None
    found: tuple[FoundAt, ...] = ()


class DownloadManager:
    """All downloads of this console. Every method is safe to call from any thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        supervisor: Supervisor,
        catalog: Catalog,
        *,
        environ: Callable[[], Mapping[str, str]],
    ) -> None:
        self._supervisor = supervisor
        self._environ = environ
        self._roots = own_roots(settings)
        self._folder = settings.state_dir / "downloads"
        self.tokens = Tokens(settings.keys_dir)
        self.offers = Offers(self._folder, self.tokens, catalog.models, catalog.capabilities)
        self._records = Records[Download](store, AREA, Download.to_json)
        self._load()
        self._watcher = DownloadWatcher(self._records, supervisor, self._folder)
        supervisor.on_change(self._run_changed)
        self._watcher.step()
        self._watcher.start()

    def close(self) -> None:
        """Stop watching. The downloads go on."""
        self._watcher.close()

    # Before a download: asks hubs, and only because a person asked

    def sources(self) -> tuple[Source, ...]:
        """The hubs that are asked."""
        return known_sources(self._environ())

    def ask(self, text: str) -> Answer:
        """The card of the model that the text names, or what the hubs find by it. Takes seconds.

        Raises InvalidInput where the text names nothing, Unavailable where no hub could be asked.
        """
        sources = self.sources()
        wanted = read_wanted(text, sources)
        if wanted.search:
            return Answer(found=_once_a_kind(self.offers.search(wanted.search, sources)))
        return Answer(self.offers.look(wanted, sources))

    def places(self, offered: Offered) -> tuple[Place, ...]:
        """Where a model of that source can be put."""
        return places.places(offered.source.kind, self._roots, DEMO_MODEL)

    def keep_token(self, endpoint: str, token: str) -> None:
        """Keep a token for that source, "" forgets it. Raises InvalidInput, NotFound, Unavailable."""
        source = next((one for one in self.sources() if one.endpoint == endpoint), None)
        if source is None:
            raise NotFound(Message("downloads.no-source", {"source": endpoint[:200]}))
        self.tokens.keep(source, token)

    # A download

    def start(self, offer_id: str, number: int, place_id: str) -> str:
        """Queue the download of an offer from one of its sources into one of its places; its id.

        Raises NotFound, InvalidInput, Conflict or Unavailable with what is in the way; then nothing was started.
        """
        offer = self.offers.get(offer_id)
        if not 0 <= number < len(offer.offered):
            raise InvalidInput(Message("downloads.no-source", {"source": number}, "source"))
        offered = offer.offered[number]
        repository = offered.repository
        if repository is None or offered.problem is not None:
            nothing = Message("downloads.no-source", {"source": offered.source.name}, "source")
            raise InvalidInput(offered.problem or nothing)
        if offer.here:
            raise Conflict(Message("downloads.here", {"model": repository.id, "path": str(offer.here[0])}, "model"))
        place = next((one for one in self.places(offered) if one.id == place_id), None)
        if place is None:
            raise InvalidInput(Message("downloads.no-place", {"place": place_id[:200]}, "place"))
        files = offer.files_of(number)
        target, layout = places.target_in(place, offered.source.kind, repository.id)
        stage = places.stage_of(target, layout, repository.revision, files)
        download = Download(
            id=secrets.token_hex(6),
            name=repository.id,
            state=DownloadState.QUEUED,
            source=offered.source,
            repository=repository.id,
            revision=repository.revision,
            ref=offer.wanted.revision or "main",
            target=str(target),
            layout=layout,
            stage=str(stage),
            total_bytes=sum(file.size for file in files),
            files=len(files),
            order=time.time(),
            created_at=time.time(),
        )
        _check_target(target, layout)
        _check_room(download)
        plan = {
            "source": source_request(offered.source, repository.id, self.tokens),
            "repository": repository.id,
            "revision": repository.revision,
            "ref": download.ref,
            "files": [asdict(file) for file in files],
            "stage": str(stage),
            "target": str(target),
            "layout": layout,
            "known": places.known_blobs(repository.id, files) if offered.source.kind == "huggingface" else {},
            "result": str(self._folder / download.id / RESULT),
        }
        folder = self._folder / download.id
        try:
            make_private(folder, must_be_new=True)
            write_whole(folder / PLAN, json.dumps(plan))
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise disk.cannot_write(folder, error) from error
        with self._records.lock:
            taken = self._same_target(str(target))
            if taken is None:
                self._records.put(download.id, replace(download, order=self._last_place()))
        if taken is not None:
            shutil.rmtree(folder, ignore_errors=True)
            key = "downloads.resting" if taken.state in RESTING else "downloads.under-way"
            raise Conflict(Message(key, {"model": taken.name, "path": taken.target}, "model"))
        self._watcher.wake()
        return download.id

    def pause(self, download_id: str) -> None:
        """Let it rest: what has come is kept. Raises NotFound, Conflict where it isn't under way."""
        self._wish(download_id, "pause", DownloadState.PAUSED)

    def resume(self, download_id: str) -> None:
        """Go on where it stopped, when its turn comes. Raises NotFound, Conflict, Unavailable (no room)."""
        _check_room(self._download(download_id))
        self._refresh_token(self._download(download_id))
        with self._records.lock:
            download = self._download(download_id)
            if download.state not in RESTING:
                raise Conflict(Message("downloads.not-resting", {"model": download.name}))
            queued = replace(download, state=DownloadState.QUEUED, order=self._last_place(), problem=None, ended_at=0.0)
            self._records.put(download_id, queued)
        self._watcher.wake()

    def cancel(self, download_id: str) -> None:
        """End it, and remove what has come. Raises NotFound, Conflict where it has ended."""
        download = self._wish(download_id, "cancel", DownloadState.CANCELLED)
        if download.state is DownloadState.CANCELLED:
            shutil.rmtree(download.stage, ignore_errors=True)

    def forget(self, download_id: str) -> None:
        """Take an ended one from the list; a model that is whole stays. Raises NotFound, Conflict."""
        with self._records.lock:
            download = self._download(download_id)
            if download.state not in (DownloadState.SUCCEEDED, DownloadState.CANCELLED):
                raise Conflict(Message("downloads.not-ended", {"model": download.name}))
            self._records.remove(download_id)
        for run in self._supervisor.all(KIND):  # each time that it went on it had one
            if dict(run.about.get("download") or {}).get("id") == download_id:
                with suppress(NotFound, Conflict):
                    self._supervisor.forget(run.id)
        shutil.rmtree(self._folder / download_id, ignore_errors=True)

    # What pages poll

    @property
    def version(self) -> int:
        """Grows with every change that a page would show, progress included."""
        return self._records.version

    def get(self, download_id: str) -> DownloadView:
        """One download as it is now. Raises NotFound."""
        return self._view(self._download(download_id))

    def snapshot(self) -> tuple[DownloadView, ...]:
        """Every download: the one that runs, those that wait in their order, those that rest, the ended, newest
        first."""
        ranks = {DownloadState.RUNNING: 0, DownloadState.QUEUED: 1, **dict.fromkeys(RESTING, 2)}

        def place(one: Download) -> tuple[int, float]:
            rank = ranks.get(one.state, 3)
            return rank, one.order if rank < 2 else -one.ended_at

        with self._records.lock:
            return tuple(self._view(one) for one in sorted(self._records.all(), key=place))

    # Inside

    def _wish(self, download_id: str, wish: str, state: DownloadState) -> Download:
        """The download with that wish, where it runs; else in that state, which it has now."""
        with self._records.lock:
            download = self._download(download_id)
            if download.state is DownloadState.RUNNING:
                wished = replace(download, wish=wish if download.wish != "cancel" else "cancel")
            elif download.state is DownloadState.QUEUED or (wish == "cancel" and download.state in RESTING):
                wished = replace(download, state=state, ended_at=time.time(), wish="")
            else:
                raise Conflict(Message("downloads.ended", {"model": download.name}))
            self._records.put(download_id, wished)
        if wished.state is DownloadState.RUNNING:
            with suppress(NotFound):
                self._supervisor.stop(download.run_id, grace_s=STOP_GRACE_S)
        self._watcher.wake()
        return wished

    def _refresh_token(self, download: Download) -> None:
        """The plan with the token that is kept by now: it may be why the download failed."""
        file = self._folder / download.id / PLAN
        try:
            plan = json.loads(file.read_bytes())
            plan["source"] = source_request(download.source, download.repository, self.tokens)
            write_whole(file, json.dumps(plan))
        except OSError as error:
            raise disk.cannot_write(file, error) from error
        except ValueError as error:
            raise Conflict(Message("downloads.ended", {"model": download.name})) from error

    def _load(self) -> None:
        """Downloads from the store; what the store lost, from what the runs keep about them."""
        abouts = (run.about["download"] for run in self._supervisor.all(KIND) if "download" in run.about)
        running = readable(abouts, download_from_json)
        self._records.load(download_from_json, running)
        for download in self._records.all():
            known = running.get(download.id)
            # The console was killed as it started it.
            if download.state is DownloadState.QUEUED and known and known.get("run_id") != download.run_id:
                self._records.put(download.id, download_from_json(known))

    def _same_target(self, target: str) -> Download | None:
        """Another that fills the same folder, or would go on."""
        states = (*UNFINISHED, *RESTING)
        return next((one for one in self._records.all() if one.target == target and one.state in states), None)

    def _last_place(self) -> float:
        """The order of a new one: behind all others, even where the clock was set back."""
        return max([time.time(), *(one.order + 1e-3 for one in self._records.all())])

    def _run_changed(self, run: Run) -> None:
        if run.kind == KIND and run.ended:
            self._watcher.wake()

    def _view(self, download: Download) -> DownloadView:
        if download.state is DownloadState.QUEUED:
            waiting: Sequence[Download] = [one for one in self._records.all() if one.state is DownloadState.QUEUED]
            return DownloadView(download, position=1 + sum(one.order < download.order for one in waiting))
        speed, remaining_s = self._watcher.pace(download) if download.state is DownloadState.RUNNING else (None, None)
        return DownloadView(download, speed=speed, remaining_s=remaining_s)

    def _download(self, download_id: str) -> Download:
        download = self._records.get(download_id)
        if download is None:
            raise NotFound(Message("downloads.unknown", {"id": download_id[:40]}))
        return download


def _once_a_kind(found: Sequence[FoundAt]) -> tuple[FoundAt, ...]:
    """A mirror finds what its hub finds: the first that answered stands for both, one that didn't where none did."""
    chosen: dict[str, FoundAt] = {}
    for one in found:
        kind = one[0].kind
        if kind not in chosen or (chosen[kind][2] is not None and one[2] is None):
            chosen[kind] = one
    return tuple(chosen.values())


def _check_target(target: Path, layout: str) -> None:
    """Raises Conflict where something stands where the model goes. (A hub's cache takes further revisions.)"""
    if layout == places.HUB:
        return
    try:
        empty = target.is_dir() and not target.is_symlink() and not any(target.iterdir())
    except OSError:
        empty = False
    if not empty and (target.exists() or target.is_symlink()):
        raise Conflict(Message("downloads.failed.in-the-way", {"path": str(target)}, "place"))


def _check_room(download: Download) -> None:
    """Raises InvalidInput where the disk hasn't the room for what must still come."""
    stage = Path(download.stage)
    free = places.free_bytes(stage.parent)
    # Where its child was killed after its last step, all of it is in the target.
    there = stage if stage.exists() or download.layout == places.HUB else Path(download.target)
    needed = download.total_bytes - places.staged_bytes(there) + SPARE_BYTES
    if free is not None and needed > free:
        params = {
            "path": str(stage.parent),
            "needed": f"{needed / GIB:.1f}",
            "free": f"{free / GIB:.1f}",
        }
        raise InvalidInput(Message("downloads.no-room", params, "place"))
