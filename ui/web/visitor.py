"""Who asks: the operator or a guest of the class, in which language, from which browser.

The guard (ui/web/guard.py) knows it from the cookies and leaves one ``Visitor`` in the request's scope; everything else
asks here. Handlers pass their ``gr.Request``, routes their Starlette request.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from backend.errors import Forbidden, Message
from ui.i18n import Language

STATE_KEY = "console_visitor"


class Role(StrEnum):
    """``CLASS`` may chat and watch; ``OPERATOR`` may do everything."""

    OPERATOR = "operator"
    CLASS = "class"


@dataclass(frozen=True)
class Visitor:
    """One browser. ``id`` is a random cookie of its own, so that two people's conversations never mix."""

    role: Role
    language: Language
    id: str


def visitor(request: Any) -> Visitor:
    """The visitor behind a gr.Request or a Starlette request. Forbidden where the guard hasn't seen the request."""
    request = getattr(request, "request", None) or request  # a gr.Request wraps the real one
    scope = getattr(request, "scope", None)
    who = scope.get("state", {}).get(STATE_KEY) if scope is not None else None
    if not isinstance(who, Visitor):
        raise Forbidden(Message("common.forbidden"))
    return who


def role_of(request: Any) -> Role:
    """What the visitor may do."""
    return visitor(request).role


def language_of(request: Any) -> Language:
    """The language of the visitor's page."""
    return visitor(request).language


def visitor_of(request: Any) -> str:
    """The browser's random id: 32 hex digits."""
    return visitor(request).id


def require_operator(request: Any) -> None:
    """Forbidden unless the operator asks. Every handler and route with side effects calls it first."""
    if role_of(request) is not Role.OPERATOR:
        raise Forbidden(Message("common.operator_only"))
