"""The routes of a class, under ``console/``: each visitor's own name; who is here and what each may use.

class/name      GET one's own, POST {"name": …}
class           GET the operator's view: limits and people
class/limits    POST the limits; an empty field is none
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from backend.classroom.limits import MOST, ClassLimits, Used
from backend.errors import InvalidInput, Message
from backend.services import Services
from ui.i18n import Language, t
from ui.tabs.chat.selection import known_visitor
from ui.web.routes import json_route
from ui.web.visitor import Role, language_of, require_operator, visitor_of

SHOWN_ID = 8  # characters of a visitor's id, where there is no name
Body = Mapping[str, Any]


def class_routes(services: Services) -> Sequence[BaseRoute]:
    """A name is told to its visitor and to the operator, nobody else."""

    def name(request: Request, body: Body) -> Body:
        return {"name": services.names.of(visitor_of(request))}

    def give_name(request: Request, body: Body) -> Body:
        given = body.get("name")
        if not isinstance(given, str):
            raise InvalidInput(Message("common.bad_request"))
        return {"name": services.names.give(known_visitor(services, request).id, given)}

    async def look(request: Request, body: Body) -> Body:
        require_operator(request)
        return {"limits": asdict(services.allowances.limits), "people": people(services)}

    def set_limits(request: Request, body: Body) -> Body:
        require_operator(request)
        services.allowances.set_limits(read_limits(body, language_of(request)))
        return {"limits": asdict(services.allowances.limits)}

    return (
        Route("/class", json_route(look), methods=["GET"]),
        Route("/class/name", json_route(name), methods=["GET"]),
        Route("/class/name", json_route(give_name), methods=["POST"]),
        Route("/class/limits", json_route(set_limits), methods=["POST"]),
    )


def people(services: Services) -> list[dict[str, Any]]:
    """Those of the class who are here, and those who have asked within the last hour; by name, the nameless last."""
    here, used = services.visitors.who(Role.CLASS.value), services.allowances.used()
    names, answered = services.names.by_person(), services.chat.being_answered()
    found = [
        {
            "who": who[:SHOWN_ID],
            "name": names.get(who, ""),
            "here": who in here,
            "answering": answered.get(who, 0),
            **asdict(used.get(who, Used())),
        }
        for who in here | used.keys()
    ]
    return sorted(found, key=lambda one: (not one["name"], str(one["name"]).casefold(), one["who"]))


def read_limits(body: Body, language: Language) -> ClassLimits:
    """The limits of a request. InvalidInput, which names the field."""
    values: dict[str, int | None] = {}
    wrong = []
    for one in fields(ClassLimits):
        text = "" if body.get(one.name) is None else str(body[one.name]).strip().replace(",", "")
        if not text:
            values[one.name] = None
        elif text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= MOST:
            values[one.name] = int(text)
        else:
            params = {"name": t(f"classroom.limits.{one.name}", language), "value": text[:40]}
            wrong.append(Message("classroom.limit.wrong", params))
    if wrong:
        raise InvalidInput(*wrong)
    return ClassLimits(**values)
