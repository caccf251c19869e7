"""What a tab is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.routing import BaseRoute

from backend.services import Services
from ui.paste.target import BoundTarget


def no_routes(services: Services) -> Sequence[BaseRoute]:
    """A tab without routes of its own."""
    return ()


@dataclass(frozen=True)
class TabSpec:
    """One tab. Its title is the text "{name}.title", its elem_id "{name}-tab". Its script and style
    are ui/tabs/{name}/{name}.js and .css.

    ``build(services)`` lays out the components inside the tab and returns them as a frozen dataclass. ``bind(services,
    components, tabs)`` connects the events once every tab is built; ``tabs`` holds the components by tab name, for what
    crosses tabs, and the outer gr.Tabs under "tabs". ``routes(services)`` are its poll and action routes, mounted under
    ``console/``, behind the guard. ``paste(components)`` is what its paste box fills. ``for_class``: whether a class
    has the tab too.
    """

    name: str
    build: Callable[[Services], Any]
    bind: Callable[[Services, Any, Mapping[str, Any]], None]
    routes: Callable[[Services], Sequence[BaseRoute]] = field(default=no_routes)
    paste: Callable[[Any], BoundTarget] | None = None
    for_class: bool = False
