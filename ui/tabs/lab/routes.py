"""The Lab's routes."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from backend.services import Services
from ui.tabs.lab.benchmark_routes import benchmark_routes
from ui.tabs.lab.lesson_routes import lesson_routes
from ui.tabs.lab.run_routes import run_routes


def routes(services: Services) -> Sequence[BaseRoute]:
    """The tab's routes, mounted under ``console/``."""
    return [*run_routes(services), *benchmark_routes(services), *lesson_routes(services)]
