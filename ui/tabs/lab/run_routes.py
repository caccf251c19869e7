"""Runs: the list, points of a chart, rows side by side, notes, files; the history of memory. The operator's alone."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from backend.errors import InvalidInput, Message
from backend.lab import export
from backend.lab.history import DAY
from backend.lab.row import RunRow
from backend.lab.runs import MOST_BESIDE, MOST_ROWS, NUMBERS, Query
from backend.message_document import message_from_json
from backend.services import Services
from ui.i18n import Language, say
from ui.web.routes import json_route, whole_number
from ui.web.visitor import language_of, require_operator

LONGEST_WINDOW = 90 * DAY
MEDIA = {"csv": "text/csv", "json": "application/json", "md": "text/markdown"}


def run_routes(services: Services) -> list[BaseRoute]:
    """What is mounted under ``console/``."""
    view = RunRoutes(services)
    return [
        Route("/lab/runs", json_route(view.listed), methods=["GET"]),
        Route("/lab/runs/points", json_route(view.points), methods=["GET"]),
        Route("/lab/runs/beside", json_route(view.beside), methods=["POST"]),
        Route("/lab/runs/note", json_route(view.note), methods=["POST"]),
        Route("/lab/runs/delete", json_route(view.delete), methods=["POST"]),
        Route("/lab/runs/file", json_route(view.file), methods=["GET"]),
        Route("/lab/history", json_route(view.history), methods=["GET"]),
    ]


class RunRoutes:
    """Every answer is made in a thread: the store is read."""

    def __init__(self, services: Services) -> None:
        self._lab = services.lab

    def listed(self, request: Request, body: Mapping[str, Any]) -> Any:
        """A part of the list, from row ``skip`` on: ``rows``, how many there are (``total``), the ``states`` to filter
        by, the columns that hold ``numbers``."""
        require_operator(request)
        rows, total = self._lab.runs.listed(query_of(request), whole_number(request, "skip"), MOST_ROWS)
        return {
            "rows": [_flat(row) for row in rows],
            "total": total,
            "states": self._lab.runs.states(),
            "numbers": NUMBERS,
        }

    def points(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Two columns as points: [id, name, x, y]."""
        require_operator(request)
        x, y = (request.query_params.get(name, "") for name in "xy")
        return {"points": self._lab.runs.points(query_of(request), x, y)}

    def beside(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Rows with their detail, in the order of ``ids``."""
        require_operator(request)
        rows = self._lab.runs.several(_ids(body)[:MOST_BESIDE])
        return {"rows": [{**_flat(row), "detail": _detail(row, language_of(request))} for row in rows]}

    def note(self, request: Request, body: Mapping[str, Any]) -> Any:
        """A person's note on a row."""
        require_operator(request)
        return {"note": self._lab.runs.note(str(body.get("id", "")), str(body.get("note") or ""))}

    def delete(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Rows that a person wants no more."""
        require_operator(request)
        ids = _ids(body)
        self._lab.runs.delete(ids)
        return {"deleted": len(ids)}

    def file(self, request: Request, body: Mapping[str, Any]) -> Response:
        """The rows of the query, or those of ``ids``, as CSV, JSON or Markdown (``columns``)."""
        require_operator(request)
        kind = request.query_params.get("format", "csv")
        if kind not in export.FORMATS:
            known = ", ".join(export.FORMATS)
            raise InvalidInput(Message("lab.error.format", {"value": kind[:80], "known": known}, "format"))
        ids = [part for part in request.query_params.get("ids", "").split(",") if part]
        rows = self._lab.runs.several(ids) if ids else self._lab.runs.exported(query_of(request))
        if kind == "md":
            text = export.as_markdown(rows, request.query_params.get("columns", "").split(","))
        else:
            text = export.as_csv(rows) if kind == "csv" else export.as_json(rows)
        headers = {"content-disposition": f'attachment; filename="runs.{kind}"'}
        return Response(text, media_type=f"{MEDIA[kind]}; charset=utf-8", headers=headers)

    def history(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Memory and servers over ``window`` seconds: the seconds of a ``step``, ``rows`` of [time, value]."""
        require_operator(request)
        text = request.query_params.get("window", "3600")
        try:
            window = float(text)
        except ValueError:
            window = 0.0
        if not 60 <= window <= LONGEST_WINDOW:
            raise InvalidInput(Message("lab.error.window", {"value": text[:80]}))
        step, rows = self._lab.history.since(window)
        return {"step": step, "rows": rows}


def query_of(request: Request) -> Query:
    """``text``, ``kind``, ``state``, ``sort``, and ``order`` ("up" or "down")."""
    asked = request.query_params
    return Query(
        text=asked.get("text", "")[:200],
        kind=asked.get("kind", ""),
        state=asked.get("state", ""),
        sort=asked.get("sort") or "started_at",
        descending=asked.get("order") != "up",
    )


def _ids(body: Mapping[str, Any]) -> list[str]:
    ids = body.get("ids")
    if not isinstance(ids, list) or not ids or len(ids) > 1000 or not all(isinstance(one, str) for one in ids):
        raise InvalidInput(Message("common.bad_request"))
    return ids


def _flat(row: RunRow) -> dict[str, Any]:
    value = asdict(row)
    del value["detail"]
    return value


def _detail(row: RunRow, language: Language) -> dict[str, Any]:
    """With the reason as a sentence."""
    detail = dict(row.detail)
    if detail.get("reason"):
        detail["reason"] = say(message_from_json(detail["reason"]), language)
    return detail
