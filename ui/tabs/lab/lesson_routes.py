"""Lessons: the shelf, a visitor's own way through one, the report to hand in; a teacher's files and view of the class.

A visitor reads and changes their own way alone: whose it is, the cookie says, never the request.
"""

import base64
import binascii
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from backend.errors import ConsoleError, InvalidInput, Message
from backend.lab.lessons import report as reports
from backend.lab.lessons.lesson import MOST_BYTES, Both, Lesson, Step
from backend.lab.lessons.progress import Done, Progress
from backend.lab.row import RunRow, serve_config, settings_text
from backend.lab.runs import Query
from backend.machine.host import read_host
from backend.services import Services
from ui.i18n import Language, say, t
from ui.page.units import gib
from ui.web.routes import json_route
from ui.web.visitor import Role, language_of, require_operator, role_of, visitor_of

MOST_MEASURED = 20
FORMATS = {"html": "text/html", "md": "text/markdown", "json": "application/json"}
PARTS = ("weights", "context", "kv", "work")


def lesson_routes(services: Services) -> list[BaseRoute]:
    """What is mounted under ``console/``."""
    view = LessonRoutes(services)
    return [
        Route("/lab/lessons", json_route(view.listed), methods=["GET"]),
        Route("/lab/lessons/class", json_route(view.everyone), methods=["GET"]),
        Route("/lab/lessons/name", json_route(view.name), methods=["POST"]),
        Route("/lab/lessons/add", json_route(view.add), methods=["POST"]),
        Route("/lab/lessons/{id}", json_route(view.one), methods=["GET"]),
        Route("/lab/lessons/{id}/report", json_route(view.report), methods=["GET"]),
        Route("/lab/lessons/{id}/{what}", json_route(view.act), methods=["POST"]),
    ]


class LessonRoutes:
    """Everyone may learn; adding and removing lessons, and the class's ways, are the operator's."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lessons = services.lab.lessons

    def listed(self, request: Request, body: Mapping[str, Any]) -> Any:
        """The shelf, with how far this visitor is; what is wrong with a teacher's files is the operator's to know."""
        language, who = language_of(request), self._who(request)
        shelf = self._lessons.shelf()
        problems = shelf.problems if role_of(request) is Role.OPERATOR else ()
        return {
            "lessons": [self._line(lesson, self._lessons.way(who, lesson.id), language) for lesson in shelf.lessons],
            "problems": [say(message, language) for message in problems],
            "name": self._lessons.name(who),
        }

    def one(self, request: Request, body: Mapping[str, Any]) -> Any:
        """A lesson with its steps; what is true now is ticked off."""
        language = language_of(request)
        lesson, way = self._lessons.look(self._who(request), request.path_params["id"])
        return {
            **self._line(lesson, way, language),
            "intro": _in(lesson.intro, language),
            "words": way.words,
            "steps": [self._step(step, way.done.get(step.id), language) for step in lesson.steps],
            "measured": [
                {"name": f"{one.model} {one.settings}".strip(), "planned": one.planned, "measured": one.measured,
                 "total": one.total_bytes, "tokens": one.tokens}
                for one in self._measured(way)
            ],
        }  # fmt: skip

    def act(self, request: Request, body: Mapping[str, Any]) -> Any:
        """``begin`` (``anew``), ``read``, ``replay``, ``predict`` (``value``), ``words``, ``remove``."""
        who, lesson_id, what = self._who(request), request.path_params["id"], request.path_params["what"]
        step = str(body.get("step", ""))
        if what == "begin":
            self._lessons.begin(who, lesson_id, anew=body.get("anew") is True)
        elif what == "read":
            self._lessons.read(who, lesson_id, step)
        elif what == "replay":
            self._lessons.replay(who, lesson_id, step)
        elif what == "predict":
            self._lessons.predict(who, lesson_id, step, body.get("value"))
        elif what == "words":
            self._lessons.write(who, lesson_id, str(body.get("words") or ""))
        elif what == "remove":
            require_operator(request)
            self._lessons.remove(lesson_id)
        else:
            raise InvalidInput(Message("common.bad_request"))
        return {}

    def name(self, request: Request, body: Mapping[str, Any]) -> Any:
        """The name under which this visitor hands in."""
        return {"name": self._lessons.names.give(self._who(request), str(body.get("name") or ""))}

    def add(self, request: Request, body: Mapping[str, Any]) -> Any:
        """A teacher's lesson: its file's ``name``, its bytes in base64 (``content``)."""
        require_operator(request)
        try:
            content = base64.b64decode(str(body.get("content", "")), validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput(Message("common.bad_request")) from None
        lesson = self._lessons.add(content[: MOST_BYTES + 1], str(body.get("name") or "lesson.md"))
        return {"id": lesson.id}

    def report(self, request: Request, body: Mapping[str, Any]) -> Response:
        """What this visitor hands in, as one file."""
        language, kind = language_of(request), request.query_params.get("format", "html")
        if kind not in FORMATS:
            known = ", ".join(FORMATS)
            raise InvalidInput(Message("lab.error.format", {"value": kind[:80], "known": known}, "format"))
        who = self._who(request)
        lesson, way = self._lessons.look(who, request.path_params["id"])
        made = reports.Report(
            lesson,
            way,
            self._lessons.name(who),
            self._machine(language),
            self._measured(way),
            self._lessons.replays,
            time.time(),
        )
        if kind == "json":
            text = reports.as_json(made, language)
        elif kind == "md":
            text = reports.as_markdown(made, language, _say(language))
        else:
            text = reports.as_html(made, language, _say(language))
        headers = {"content-disposition": f'attachment; filename="{lesson.id}.{kind}"'}
        return Response(text, media_type=f"{FORMATS[kind]}; charset=utf-8", headers=headers)

    def everyone(self, request: Request, body: Mapping[str, Any]) -> Any:
        """How far each visitor is: their name, or the beginning of their browser's id; whether they are here."""
        require_operator(request)
        here = self._services.visitors.who(Role.CLASS.value)
        language = language_of(request)
        lessons = self._lessons.shelf().lessons
        people = []
        for who, (name, ways) in self._lessons.everyone().items():
            lines = [
                {"id": one.id, "done": _done(one, ways[one.id]), "of": len(one.steps)}
                for one in lessons
                if one.id in ways
            ]
            last = max((way.changed_at for way in ways.values()), default=0.0)
            people.append({"who": who[:8], "name": name, "here": who in here, "ways": lines, "last_at": last})
        titles = [{"id": one.id, "title": _in(one.title, language)} for one in lessons]
        return {"lessons": titles, "people": sorted(people, key=lambda one: -one["last_at"])}

    # Parts

    def _who(self, request: Request) -> str:
        """The visitor, whose role is known from now on: an operator's browsers share one way."""
        who = visitor_of(request)
        self._services.chat.people.note(who, role_of(request).value)
        return who

    def _line(self, lesson: Lesson, way: Progress | None, language: Language) -> dict[str, Any]:
        return {
            "id": lesson.id,
            "title": _in(lesson.title, language),
            "minutes": lesson.minutes,
            "own": lesson.own,
            "done": _done(lesson, way),
            "of": len(lesson.steps),
            "begun": way is not None,
        }

    def _step(self, step: Step, done: Done | None, language: Language) -> dict[str, Any]:
        recorded = self._lessons.replays.get(step.replay)
        seen = done is not None and done.how == "replayed" and recorded is not None
        return {
            "id": step.id,
            "kind": step.kind,
            "text": _in(step.text, language),
            "why": _in(step.why, language) if done is not None else "",
            "tab": step.tab,
            "control": step.control,
            "can_replay": bool(step.replay) and done is None,
            "done": None if done is None else done.how,
            "said": None if done is None else done.said,
            "explained": reports.explanation(step, done, _say(language)) if done is not None else "",
            "replay": reports.replay_text(recorded, _say(language)) if seen and recorded is not None else "",
        }

    def _measured(self, way: Progress) -> list[reports.Measured]:
        """The servers that were started since the lesson was begun and whose memory was measured, oldest first."""
        rows, _ = self._services.lab.runs.listed(Query(kind="server"), 0, MOST_MEASURED)
        recent = [row for row in rows if row.started_at >= way.begun_at and (row.measured_bytes or row.host_bytes)]
        whole = self._services.lab.runs.several([row.id for row in recent])
        return [_measured(row) for row in reversed(whole)]

    def _machine(self, language: Language) -> list[str]:
        """GPUs or memory, and versions; no name, path or address."""
        machine = self._services.finder.machine()
        lines = [f"{gpu.name}, {gib(gpu.total_bytes)}" for gpu in machine.gpus]
        if not lines:
            lines.append(t("lab.report.no-gpu", language, {"memory": gib(read_host().total_bytes)}))
        versions = dict.fromkeys(
            f"LMDeploy {one.lmdeploy}" if one.lmdeploy else f"transformers {one.transformers}"
            for one in machine.environments
            if one.problem is None and (one.lmdeploy or one.transformers)
        )
        driver = [f"NVIDIA {machine.driver}"] if machine.driver else []
        return [*lines, ", ".join([*driver, *versions])] if driver or versions else lines


def _measured(row: RunRow) -> reports.Measured:
    planned, measured = row.detail.get("planned") or {}, row.detail.get("measured") or {}
    try:
        config = serve_config(row)
        # Further flags may hold anything.
        settings = settings_text(type(config)(**{**vars(config), "extra": ()}))
    except (ConsoleError, KeyError, TypeError, ValueError):
        settings = ""
    return reports.Measured(
        row.model,
        row.engine,
        settings,
        row.gpu,
        {part: planned[f"{part}_bytes"] for part in PARTS if f"{part}_bytes" in planned},
        {part: measured[f"{part}_bytes"] for part in PARTS if f"{part}_bytes" in measured},
        row.measured_bytes or row.host_bytes,
        row.tokens,
        row.tokens_per_s,
        row.ttft_ms,
    )


def _done(lesson: Lesson, way: Progress | None) -> int:
    return sum(1 for step in lesson.steps if way is not None and step.id in way.done)


def _in(text: Both, language: Language) -> str:
    return text.zh if language == "zh" else text.en


def _say(language: Language) -> reports.Say:
    def said(key: str, /, **values: Any) -> str:
        return t(key, language, values)

    return said
