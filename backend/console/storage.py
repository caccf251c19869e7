"""What the state folder keeps, how large it is, for how long, and what of it can be cleared.

    kind        what                                                kept until
    logs        what servers and jobs wrote (runs/*/log.txt)        it is taken from its list; cleared: of ended ones
    jobs        plans and statistics of jobs (jobs/)                the job is taken from the list; cleared: the
                                                                    statistics of ended jobs, folders of unknown ones
    pictures    pictures in conversations (pictures/)               the conversation is deleted; cleared: those that no
                                                                    conversation shows
    uploads     files as the browser sent them (uploads/)           cleared: those older than an hour
    texts       calibration texts (calibration/)                    50 are kept; cleared: those of no unfinished job
    downloads   plans and results of downloads (downloads/)         the download is taken from the list; cleared:
                                                                    folders of unknown ones
    benchmarks  plans and measurements of Lab (benchmarks/)         the benchmark is taken from the list; cleared:
                                                                    folders of unknown ones
    lessons     a teacher's own lessons (lessons/)                  they are removed in Lab
    database    conversations, lists, runs, history                 what stands in it is deleted where it is shown
    partial     what was being written when something ended         cleared: those of nothing that still runs
    databases   damaged databases that were put aside               cleared by hand alone
    rest        keys, tokens, the console's own log, caches, how    as long as the console, a run's as long as its log
                runs were started and how they ended

``look`` changes nothing; ``clear`` removes what ``look`` has called clearable.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backend.errors import Message, NotFound, Unavailable, Value
from backend.processes import runner
from backend.processes.supervisor import Run
from backend.quantization.children.worker import is_own
from backend.quantization.job import UNFINISHED, Job
from backend.store import FILE_NAME

KINDS = (
    "logs",
    "jobs",
    "pictures",
    "uploads",
    "texts",
    "downloads",
    "benchmarks",
    "lessons",
    "database",
    "partial",
    "databases",
    "rest",
)
FRESH_S = 3600.0  # what is younger may be about to be used
_STATISTICS = ".pth"
_FOLDERS = ("runs", "jobs", "pictures", "uploads", "calibration", "downloads", "benchmarks")
_LOOK = "look-"  # how the folder of a model that is only looked at begins (downloads/offers.py)


@dataclass(frozen=True)
class InUse:
    """What must stay. ``runs``: ids of those that run. ``jobs``: ids by whether they are over. ``texts``: ids that
    unfinished jobs calibrate with. ``pictures``: (visitor's folder, file). ``partial_outputs``: the folders that ended
    jobs wrote to, each with its job's id. ``downloads``, ``benchmarks``: the ids on the lists. None: not known, all
    stay."""

    runs: frozenset[str] = frozenset()
    jobs: Mapping[str, bool] | None = None
    downloads: frozenset[str] | None = None
    benchmarks: frozenset[str] | None = None
    texts: frozenset[str] = frozenset()
    pictures: frozenset[tuple[str, str]] = frozenset()
    partial_outputs: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True)
class Entry:
    """A file, or the folder of a job's half written result."""

    path: Path
    size_bytes: int
    clearable: bool


@dataclass(frozen=True)
class Kept:
    """One kind's row of the table."""

    kind: str
    files: int
    size_bytes: int
    clearable_bytes: int

    @property
    def title(self) -> Message:
        """What it is."""
        return Message(f"storage.kind.{self.kind}", level="info")

    @property
    def until(self) -> Message:
        """For how long it is kept, and what Clear does."""
        return Message(f"storage.kept.{self.kind}", level="info")


def in_use_of(
    runs: Iterable[Run],
    jobs: Sequence[Job],
    pictures: Iterable[tuple[str, str]],
    downloads: Iterable[str],
    benchmarks: Iterable[str],
) -> InUse:
    """What must stay, from all runs, all jobs, the pictures in conversations as (visitor, file), and the ids of the
    downloads and benchmarks on their lists."""
    unfinished = [job for job in jobs if job.state in UNFINISHED]
    writing = {job.partial for job in unfinished}
    return InUse(
        runs=frozenset(run.id for run in runs if not run.ended),
        jobs={job.id: job.state not in UNFINISHED for job in jobs},
        downloads=frozenset(downloads),
        benchmarks=frozenset(benchmarks),
        texts=frozenset(job.config.text for job in unfinished),
        pictures=shown_pictures(pictures),
        partial_outputs=tuple((Path(job.partial), job.id) for job in jobs if job.partial not in writing),
    )


def shown_pictures(pictures: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """From (visitor, file) to (visitor's folder, file); see chat/pictures.py."""
    return frozenset((hashlib.sha256(visitor.encode()).hexdigest()[:32], name) for visitor, name in pictures)


def look(state_dir: Path, in_use: InUse, now: float) -> Mapping[str, tuple[Entry, ...]]:
    """Everything that is kept, by kind. ``now`` is the time of day, as the files' own times are."""
    found: dict[str, list[Entry]] = {kind: [] for kind in KINDS}
    for path, size_bytes, changed_at in _files(state_dir):
        place = path.relative_to(state_dir).parts
        kind, clearable = _kind(place, in_use, fresh=now - changed_at < FRESH_S)
        found[kind].append(Entry(path, size_bytes, clearable))
    for folder, job in in_use.partial_outputs:
        # By its mark: another console's job may write there by now.
        if folder.is_dir() and not folder.is_symlink() and is_own(folder, job):
            found["partial"].append(Entry(folder, sum(size for _, size, _ in _files(folder)), clearable=True))
    return {kind: tuple(entries) for kind, entries in found.items()}


def table(entries: Mapping[str, Sequence[Entry]]) -> tuple[Kept, ...]:
    """One row a kind, those with nothing in them too."""
    return tuple(
        Kept(
            kind,
            len(entries[kind]),
            sum(entry.size_bytes for entry in entries[kind]),
            sum(entry.size_bytes for entry in entries[kind] if entry.clearable),
        )
        for kind in KINDS
    )


def clear(entries: Mapping[str, Sequence[Entry]], kind: str) -> int:
    """Remove what is clearable of that kind; the bytes that were freed. A log is emptied, and stays.

    Raises NotFound for no such kind, Unavailable where something can't be removed (all the rest is).
    """
    if kind not in KINDS:
        raise NotFound(Message("storage.no-kind", {"kind": kind, "kinds": ", ".join(KINDS)}))
    freed, failed = 0, list[OSError]()
    for entry in entries[kind]:
        if not entry.clearable:
            continue
        try:
            _remove(entry.path, only_empty=kind == "logs")
            freed += entry.size_bytes
        except FileNotFoundError:
            continue
        except OSError as error:
            failed.append(error)
    if failed:
        first = failed[0]
        params: dict[str, Value] = {"path": str(first.filename), "error": first.strerror or str(first)}
        params["count"] = len(failed)
        raise Unavailable(Message("storage.not-removed", params))
    return freed


def _kind(place: tuple[str, ...], in_use: InUse, fresh: bool) -> tuple[str, bool]:
    """The kind of a file at that place in the state folder, and whether it can be cleared."""
    top, name = place[0], place[-1]
    if top.startswith(f"{FILE_NAME}.corrupt-"):
        return "databases", True
    if top.startswith(FILE_NAME):
        return "database", False
    if top == "runs" and len(place) == 3:
        # What ends in .part here is room on the disk for how a run ends, and nothing half written.
        return ("logs", place[1] not in in_use.runs) if name == runner.LOG else ("rest", False)
    if name.endswith(".part") or any(part.startswith(".") and part.endswith(".part") for part in place):
        return "partial", not fresh
    if top == "jobs" and len(place) >= 2:
        over = (in_use.jobs or {}).get(place[1])
        unknown = in_use.jobs is not None and over is None
        return "jobs", (unknown and not fresh) or (over is True and name.endswith(_STATISTICS))
    if top == "pictures" and len(place) == 3:
        # A picture is written some time before the conversation that shows it.
        return "pictures", not fresh and (place[1], name) not in in_use.pictures
    if top == "uploads":
        return "uploads", not fresh
    if top == "calibration" and len(place) >= 2:
        return "texts", not fresh and place[1] not in in_use.texts
    if top == "downloads" and len(place) >= 2:
        if place[1].startswith(_LOOK):
            return "partial", not fresh
        return "downloads", not fresh and in_use.downloads is not None and place[1] not in in_use.downloads
    if top == "benchmarks" and len(place) >= 2:
        return "benchmarks", not fresh and in_use.benchmarks is not None and place[1] not in in_use.benchmarks
    return ("lessons" if top == "lessons" else "rest"), False


def _files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Every file below the folder with the bytes that it takes on the disk (a hollow one takes few) and its time; links
    count as themselves and are never followed."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            with suppress(OSError):
                status = path.lstat()
                yield path, min(status.st_size, status.st_blocks * 512), status.st_mtime


def _remove(path: Path, *, only_empty: bool) -> None:
    if only_empty:
        os.truncate(path, 0)
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
        if any(folder.name in _FOLDERS for folder in path.parents[:3]):
            _remove_empty(path.parents)


def _remove_empty(folders: Sequence[Path]) -> None:
    """The folders that held nothing else, below the kind's own."""
    for folder in folders[:2]:
        if folder.name in _FOLDERS:
            return
        try:
            folder.rmdir()
        except OSError:
            return
