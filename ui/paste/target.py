"""What a tab does with a paste, as each tab gives it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.errors import Message
from backend.services import Services
from ui.paste.box import PasteBox

Updates = tuple[Any, ...]


@dataclass(frozen=True)
class Filled:
    """The tab's outputs, and what else there is to say."""

    updates: Updates
    said: Sequence[Message] = ()


# A command's values, by the settings' fields, into the tab's controls. It may raise ConsoleError.
Fill = Callable[[Services, gr.Request, Mapping[str, object]], Filled]


@dataclass(frozen=True)
class PasteTarget:
    """``kinds`` are the commands that fill the tab (backend/paste/reading.py: Found.kind); ``controls`` its fields'
    elem_ids; ``done`` the message of a form that was filled. ``open_to_all``: a class may use it too."""

    tab: str
    kinds: Sequence[str]
    fill: Fill
    count: int
    controls: Mapping[str, str]
    done: str
    open_to_all: bool = False

    @property
    def unchanged(self) -> Updates:
        """Nothing is filled."""
        return tuple(gr.skip() for _ in range(self.count))


@dataclass(frozen=True)
class BoundTarget:
    """A target with its components; ``outputs`` are in the order of its updates."""

    target: PasteTarget
    box: PasteBox
    outputs: Sequence[Any]
