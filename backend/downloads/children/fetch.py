"""Fetches a model: the child that a download is.

usage: fetch.py PLAN.json

The plan: ``source`` (see look.py; ``repository`` and ``revision`` beside it), ``files`` (path, size, sha256, sha1: as
the person saw them before the start), ``stage`` (a hidden folder that is filled), ``target`` (where the whole model
goes, ``layout`` "folder" or "hub": Hugging Face's cache, with the branch ``ref``), ``known`` (files on this machine by
SHA-256, which aren't loaded again) and ``result`` (the file that says how it ended). A file is loaded into
NAME.incomplete and gets its name once its hash is right; SIGTERM leaves everything for the next start, which goes on
from there. The target appears whole or not at all.
"""

import json
import os
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from backend.downloads.children.hubs import PART, Trouble, is_at
from backend.downloads.children.look import hub_of, told
from backend.downloads.values import RemoteFile

PAUSED = 128 + signal.SIGTERM
FAILED = 1
TELL_S = 0.5
WORKERS = {"huggingface": 8, "modelscope": 4}  # the libraries' own


class Count:
    """How many bytes are there, told in lines that the console reads."""

    def __init__(self, total: int) -> None:
        self._lock = threading.Lock()
        self._total = total
        self._done = 0
        self._told = -1

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count

    def tell(self) -> None:
        """A line, if something has changed."""
        with self._lock:
            done = self._done
        if done != self._told:
            self._told = done
            print(f"{done} of {self._total} bytes", flush=True)

    def keep_telling(self) -> None:
        while True:
            self.tell()
            time.sleep(TELL_S)


def main(plan: dict[str, Any]) -> int:
    """Fetch; the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(PAUSED))  # what has come is in the files already
    result = Path(plan["result"])
    try:
        fetch(plan)
    except Trouble as trouble:
        print(f"{trouble.key}: {trouble.params}", flush=True)
        _write(result, told(trouble))
        return FAILED
    except OSError as error:
        print(f"{error}", flush=True)
        key = "no-space" if error.errno in (28, 122) else "disk"
        _write(result, {"key": key, "params": {"error": error.strerror or str(error)}})
        return FAILED
    _write(result, {"key": "", "params": {}})
    print(f"done: {plan['target']}", flush=True)
    return 0


def fetch(plan: dict[str, Any]) -> None:
    """Every file into the stage, then the stage to its place."""
    source, stage, target = plan["source"], Path(plan["stage"]), Path(plan["target"])
    files = [RemoteFile(**file) for file in plan["files"]]
    in_cache = plan["layout"] == "hub"
    if not in_cache and not stage.exists() and target.exists():
        print(f"checking what stands in {target}", flush=True)  # large files are read whole
        if all(is_at(place_in(target, file.path), file) for file in files):
            return  # this child was killed after its last step
    hub = hub_of(source)
    stage.mkdir(parents=True, exist_ok=True)
    count = Count(sum(file.size for file in files))
    threading.Thread(target=count.keep_telling, daemon=True).start()
    known = {sha: Path(path) for sha, path in plan["known"].items()}

    def one(file: RemoteFile) -> None:
        place = place_in(stage, file.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        there = (place, blob_of(target, file)) if in_cache else (place,)
        # Its hash was right, or it had no name yet. (In the cache it is where this child was killed in its last step.)
        if any(one.is_file() and one.stat().st_size == file.size for one in there):
            count.add(file.size)
        elif file.sha256 in known and _take(known[file.sha256], place, file.size):
            print(f"{file.path}: it is on this machine already", flush=True)
            count.add(file.size)
        else:
            hub.fetch(plan["repository"], plan["revision"], file, place, count.add)

    # The largest first: the last one isn't waited for alone.
    pool = ThreadPoolExecutor(WORKERS[source["kind"]])
    tasks = [pool.submit(one, file) for file in sorted(files, key=lambda file: -file.size)]
    done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
    failed = next((error for task in done if (error := task.exception()) is not None), None)
    if failed is not None:
        pool.shutdown(wait=False, cancel_futures=True)
        raise failed
    count.tell()
    if in_cache:
        into_cache(stage, target, plan["revision"], plan["ref"], files)
    else:
        into_folder(stage, target, files)


def place_in(folder: Path, path: str) -> Path:
    """Where a repository's file stands in a folder. Raises Trouble for a path that leads out of it."""
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\0" in path or "\\" in path:
        raise Trouble("bad-path", file=path[:200])
    return folder / parts


def into_folder(stage: Path, target: Path, files: "list[RemoteFile]") -> None:
    """The stage becomes the folder."""
    for file in files:
        place_in(stage, file.path).with_name(PurePosixPath(file.path).name + PART).unlink(missing_ok=True)
    with suppress(OSError):
        target.rmdir()  # an empty one may stand there
    if os.path.lexists(target):
        raise Trouble("in-the-way", path=str(target))
    os.rename(stage, target)


def into_cache(stage: Path, repository: Path, commit: str, ref: str, files: "list[RemoteFile]") -> None:
    """The stage's files become blobs of Hugging Face's cache, with a snapshot of links, as its library makes them;
    the branch ``ref`` leads to it."""
    snapshot = repository / "snapshots" / commit
    for file in files:
        blob, link = blob_of(repository, file), place_in(snapshot, file.path)
        blob.parent.mkdir(parents=True, exist_ok=True)
        if not blob.exists():
            # Two files of the same content are one blob.
            os.replace(place_in(stage, file.path), blob)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(link):
            os.symlink(os.path.relpath(blob, link.parent), link)
    branch = place_in(repository / "refs", ref)
    branch.parent.mkdir(parents=True, exist_ok=True)
    branch.write_text(commit, encoding="utf-8")
    shutil.rmtree(stage, ignore_errors=True)


def blob_of(repository: Path, file: RemoteFile) -> Path:
    """Where its content stands in Hugging Face's cache."""
    return repository / "blobs" / (file.sha256 or file.sha1)


def _take(source: Path, place: Path, size: int) -> bool:
    """A file that is on this machine, by a hard link or, on another disk, as a copy."""
    try:
        real = source.resolve(strict=True)
        if real.stat().st_size != size:
            return False
        place.unlink(missing_ok=True)
        try:
            os.link(real, place)
        except OSError:
            shutil.copyfile(real, place)
        return True
    except OSError:
        return False


def _write(file: Path, value: Any) -> None:
    with suppress(OSError):
        file.write_text(json.dumps(value), encoding="utf-8")


if __name__ == "__main__":
    code = main(json.loads(Path(sys.argv[1]).read_bytes()))
    sys.stdout.flush()
    os._exit(code)  # a thread may still wait for a line that gives nothing
