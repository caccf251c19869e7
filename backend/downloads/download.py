"""A download as everyone sees it, and as it is remembered."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from backend.downloads.sources import Source
from backend.errors import Message
from backend.message_document import message_from_json, message_to_json


class DownloadState(StrEnum):
    """``interrupted``: the machine was restarted while it ran. What had come is kept, as it is in ``paused`` and
    ``failed``: all three can be gone on with."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


UNFINISHED = (DownloadState.QUEUED, DownloadState.RUNNING)
RESTING = (DownloadState.PAUSED, DownloadState.FAILED, DownloadState.INTERRUPTED)


@dataclass(frozen=True)
class Download:
    """One download. Times are seconds since the epoch, 0 = not yet; sizes are bytes.

    ``stage`` is the hidden folder that is filled, ``target`` what it becomes (``layout`` "folder" or "hub"), ``path``
    the model's folder once it is there. ``wish`` is what a person wants of a running one: "" (to go on), "pause",
    "cancel". ``ref`` is the branch that the newest is known by.
    """

    id: str
    name: str
    state: DownloadState
    source: Source
    repository: str
    revision: str
    ref: str
    target: str
    layout: str
    stage: str
    total_bytes: int
    files: int
    order: float
    created_at: float
    started_at: float = 0.0
    ended_at: float = 0.0
    run_id: str = ""
    done_bytes: int = 0
    wish: str = ""
    path: str = ""
    problem: Message | None = None

    def to_json(self) -> dict[str, Any]:
        """The document that is stored."""
        value = asdict(replace(self, problem=None))
        value["problem"] = None if self.problem is None else message_to_json(self.problem)
        return value


@dataclass(frozen=True)
class DownloadView:
    """A download with what is known at this moment: bytes a second and the seconds left, None while that can't be
    said; ``position`` counts from 1 in the queue, 0 = not queued."""

    download: Download
    position: int = 0
    speed: float | None = None
    remaining_s: float | None = None


def download_from_json(value: Mapping[str, Any]) -> Download:
    """The inverse of Download.to_json; fields that this version doesn't know are left out.

    Raises KeyError, TypeError or ValueError where it is no such document.
    """
    known = {field.name: value[field.name] for field in fields(Download) if field.name in value}
    problem = value.get("problem")
    return Download(
        **{
            **known,
            "state": DownloadState(value["state"]),
            "source": Source(**value["source"]),
            "problem": None if problem is None else message_from_json(problem),
        }
    )
