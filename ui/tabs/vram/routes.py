"""The VRAM tab's routes: the figure, rows since a sample, the events, CSV, the interval."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from backend.errors import InvalidInput, Message
from backend.memory.readings import Sample
from backend.memory.sampler import DAY, MAX_INTERVAL, MIN_INTERVAL
from backend.services import Services
from ui.i18n import Language, t, texts
from ui.tabs.vram.csv_file import samples_csv
from ui.tabs.vram.figure import HOST, Row, color_of, figure
from ui.tabs.vram.reconciled import reconciled
from ui.tabs.vram.rows import Wire
from ui.web.json_answer import JsonAnswer
from ui.web.routes import json_route
from ui.web.visitor import Role, language_of, require_operator, role_of

MOST_POINTS = 600  # of one line on the chart: what a screen can show
MOST_EVENTS = 60


def routes(services: Services) -> Sequence[BaseRoute]:
    """The tab's routes, mounted under ``console/``."""
    view = VramRoutes(services)
    return [
        Route("/vram/figure", json_route(view.figure), methods=["GET"]),
        Route("/vram/samples", view.samples, methods=["GET"]),
        Route("/vram/events", json_route(view.events), methods=["GET"]),
        Route("/vram/samples.csv", json_route(view.csv), methods=["GET"]),
        Route("/vram/interval", json_route(view.interval), methods=["POST"]),
    ]


class VramRoutes:
    """Reads the sampler's buffer; only ``interval`` changes anything."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sampler = services.sampler
        self._wire = Wire()
        self._life = secrets.token_hex(2)  # numbers of another console's life mean nothing here

    async def samples(self, request: Request) -> Response:
        """Rows after ``since`` for a window in seconds; ``reset`` where the figure itself must be asked for anew.

        Answered on the event loop: it costs less than handing it to a thread.
        """
        try:
            window, since = _window(request), int(request.query_params.get("since", "0"))
        except (InvalidInput, ValueError):
            return JsonAnswer({"reset": True})
        if request.query_params.get("v") != self._version():
            return JsonAnswer({"reset": True})
        batch = self._sampler.since(since, window, step_of(window))
        latest = self._sampler.latest()
        answer: dict[str, Any] = {
            "n": batch.upto,
            "o": round(self._sampler.epoch_offset(), 1),
            "e": self._sampler.event_count,
            "r": [self._wire.row(sample) for sample in batch.samples],
        }
        if latest is not None and latest.number != batch.upto:
            answer["now"] = self._wire.row(latest)
        return JsonAnswer(answer)

    def figure(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Everything the chart begins with: the figure, its rows, whose numbers they hold, notes."""
        window, language = _window(request), language_of(request)
        version = self._version()
        batch = self._sampler.since(0, window, step_of(window))
        latest = self._sampler.latest()
        seen = [*batch.samples, *([latest] if latest is not None else [])]
        rows = self._rows(seen, language)
        owners = sorted({owner for row in rows for owner in row.owners} | self._everyone(seen))
        names = self._names()
        return {
            "v": version,
            "n": batch.upto,
            "o": round(self._sampler.epoch_offset(), 1),
            "e": self._sampler.event_count,
            "r": [self._wire.row(sample) for sample in batch.samples],
            "now": self._wire.row(latest) if latest is not None else None,
            "step": max(step_of(window), self._sampler.interval),
            "interval": self._sampler.interval,
            "figure": figure(rows, names, language),
            "owners": {
                owner: {"name": names[owner], "color": color_of(owner), **self._owner(owner)} for owner in owners
            },
            "gpus": [
                {
                    "id": gpu.reading.id,
                    "name": gpu.reading.name,
                    "total": gpu.reading.total_bytes,
                    "problem": gpu.reading.problem,
                }
                for gpu in (latest.gpus if latest is not None else ())
            ],
            "machine": latest.host.total_bytes if latest is not None else None,
            "notes": self._notes(latest, language, role_of(request)),
        }

    def events(self, request: Request, body: Mapping[str, Any]) -> Any:
        """What happened, newest last, and the plans held against what was measured."""
        language = language_of(request)
        found = self._sampler.events(_window(request))[-MOST_EVENTS:]
        names = {view.id: view.name for view in self._services.servers.snapshot()}
        return {
            "e": self._sampler.event_count,
            "events": [
                {
                    "at": round(event.at, 1),
                    "key": event.key,
                    "name": event.name,
                    "owner": self._wire.number(event.owner),
                    "text": _event_text(event.key, language),
                }
                for event in found
            ],
            "reconciled": reconciled(self._services.measurements.all(), names, language),
        }

    def csv(self, request: Request, body: Mapping[str, Any]) -> Response:
        """The window's samples as a file, every one of them."""
        batch = self._sampler.since(0, _window(request))

        def name_of(owner: str) -> str:
            known = self._sampler.owner(owner)
            return known.name if known else owner

        text = samples_csv(batch.samples, self._sampler.epoch_offset(), name_of)
        headers = {"content-disposition": 'attachment; filename="vram.csv"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=headers)

    def interval(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Sets the seconds between samples, for everyone."""
        require_operator(request)
        typed = body.get("seconds")
        try:
            seconds = float(str(typed))
        except ValueError:
            seconds = 0.0
        if not MIN_INTERVAL <= seconds <= MAX_INTERVAL:
            raise InvalidInput(Message("vram.bad-interval", {"value": str(typed)}, field="vram-interval"))
        return {"interval": self._sampler.set_interval(seconds)}

    def _version(self) -> str:
        """Changes with what the figure is made of: cards, their state, whether shares are inferred, the interval."""
        latest = self._sampler.latest()
        cards = "".join(f"{g.reading.uuid}{g.reading.problem}" for g in latest.gpus) if latest is not None else "none"
        return f"{self._life}{abs(hash((cards, self._sampler.hidden, self._sampler.interval))) % 16**6:x}"

    def _rows(self, samples: Sequence[Sample], language: Language) -> list[Row]:
        """A row for each GPU of the newest sample, or one for the machine's memory."""
        latest = samples[-1] if samples else None
        if latest is None:
            return []
        if not latest.gpus:
            owners = tuple(dict.fromkeys(self._wire.number(o) for s in samples for o in s.resident))
            return [Row(HOST, t("vram.machine", language), latest.host.total_bytes, owners, utilization=False)]
        rows = []
        for place, gpu in enumerate(latest.gpus):
            reading = gpu.reading
            seen = [o for s in samples for g in s.gpus if g.reading.uuid == reading.uuid for o in g.shares]
            numbers = {owner: self._wire.number(owner) for owner in dict.fromkeys(seen)}
            # A server on a GPU keeps a KV cache; how full it is shows as soon as the server tells.
            caches = frozenset(number for owner, number in numbers.items() if self._kind(owner) == "server")
            title = f"GPU {reading.id} · {reading.name}"
            if reading.problem:
                title += f" · {reading.problem}"
            total = reading.total_bytes or max((g.reading.total_bytes or 0) for s in samples for g in s.gpus) or 1
            rows.append(Row(place, title, total, tuple(numbers.values()), caches))
        return rows

    def _everyone(self, samples: Sequence[Sample]) -> set[int]:
        return {self._wire.number(owner) for sample in samples for owner in (*sample.resident, *sample.caches)}

    def _names(self) -> dict[int, str]:
        """Names by number: the server's own, with what tells two of one name apart."""
        names: dict[int, str] = {}
        for owner, number in self._wire.numbers().items():
            known = self._sampler.owner(owner)
            name = known.name if known else owner
            names[number] = f"{name} ({number + 1})" if name in names.values() else name
        return names

    def _owner(self, number: int) -> dict[str, Any]:
        owner = next((o for o, n in self._wire.numbers().items() if n == number), "")
        return {"id": owner, "kind": self._kind(owner)}

    def _kind(self, owner: str) -> str:
        known = self._sampler.owner(owner)
        return known.kind if known else "server"

    def _notes(self, latest: Sample | None, language: Language, role: Role) -> list[str]:
        """What the figures mean here, where that isn't plain."""
        notes: list[str] = []
        if latest is None:
            return notes
        if not latest.gpus:
            problem = self._services.nvml.problem()
            notes.append(t("vram.note.no-gpu", language, {"problem": problem}))
            if latest.host.limited:
                notes.append(t("vram.note.limited", language))
            notes.append(t("vram.note.rss", language))
        if any(gpu.inferred for gpu in latest.gpus):
            notes.append(t("vram.note.inferred", language))
        if any(gpu.reading.virtual for gpu in latest.gpus) or self._sliced(latest):
            notes.append(t("vram.note.virtual", language))
        for gpu in latest.gpus:
            if gpu.reading.problem:
                values = {"id": gpu.reading.id, "problem": gpu.reading.problem}
                notes.append(t("vram.note.failing", language, values))
        return notes

    def _sliced(self, latest: Sample) -> bool:
        """CUDA gave an engine far less than NVML says is there: a slice of a card that NVML sees whole."""
        for server in latest.caches:
            told = self._sampler.facts(server).free_bytes
            totals = [gpu.reading.total_bytes or 0 for gpu in latest.gpus if server in gpu.shares]
            held = [gpu.reading.used_bytes or 0 for gpu in latest.gpus if server in gpu.shares]
            if told and totals and told + max(held) < 0.8 * max(totals):
                return True
        return False


def step_of(window: float) -> float:
    """Seconds between the points of a window's lines; 0: every sample."""
    step = window / MOST_POINTS
    return 0.0 if step <= 1 else 60.0 if window > 3600 else float(round(step))


def _window(request: Request) -> float:
    """``window`` in seconds, up to a day."""
    text = request.query_params.get("window", "300")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= DAY:
        raise InvalidInput(Message("vram.bad-window", {"value": text}, field="vram-window"))
    return seconds


def _event_text(key: str, language: Language) -> str:
    return t(key, language) if key in texts() else key
