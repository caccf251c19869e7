"""Everything with a life of its own, made once by app.py and handed to the page."""

from dataclasses import dataclass

from backend.settings import Settings


@dataclass(frozen=True)
class Services:
    """The console's parts. Each is safe to call from any thread."""

    settings: Settings

    def close(self) -> None:
        """Ends the console's own threads; servers and jobs go on."""


def build_services(settings: Settings) -> Services:
    """Wires the parts together."""
    return Services(settings)
