"""What the Chat tab's controls hold, and the settings they make. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.chat.conversation import Sampling
from backend.errors import InvalidInput, Message
from ui.tabs.chat.options import NO_OPTIONS, read_options

# The field that a message is about → the control's elem_id.
CONTROLS: Mapping[str, str] = {
    "question": "chat-input",
    "server": "chat-server",
    "system": "chat-system",
    "temperature": "chat-temperature",
    "top_p": "chat-top-p",
    "max_tokens": "chat-max-tokens",
    "tools": "chat-tools",
    "top_k": "chat-top-k",
    "repetition_penalty": "chat-repetition-penalty",
    "seed": "chat-seed",
    "stop": "chat-stop-words",
    "own_tools": "chat-own-tools",
    "answer_form": "chat-answer-form",
    "preset": "chat-presets",
}


@dataclass(frozen=True)
class Form:
    """The tab's inputs as Gradio hands them over; a request sent by hand may hold anything."""

    server: Any
    other: Any
    system: Any
    temperature: Any
    top_p: Any
    max_tokens: Any
    tools: Any

    def sampling(self, options: Mapping[str, Any] = NO_OPTIONS) -> Sampling:
        """With what the page's script holds beside the form (options.py). InvalidInput where a value can't be."""
        return Sampling(
            **read_options(options),
            system=str(self.system or ""),
            temperature=number(self.temperature, "chat.error.temperature", "temperature"),
            top_p=number(self.top_p, "chat.error.top_p", "top_p"),
            max_tokens=self._max_tokens(),
            tools=tuple(str(name) for name in self.tools or ()),
        )

    def _max_tokens(self) -> int | None:
        if self.max_tokens in (None, ""):
            return None
        return int(number(self.max_tokens, "chat.error.max_tokens", "max_tokens"))


def number(value: Any, key: str, field: str) -> float:
    """A finite number; InvalidInput."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not abs(number) < 1e18:
        raise InvalidInput(Message(key, {"value": str(value)[:40]}, field=field))
    return number
