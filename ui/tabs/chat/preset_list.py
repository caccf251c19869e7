"""Presets as the page offers them: those that come with the console, in the page's language, and the visitor's own."""

from collections.abc import Mapping, Sequence
from typing import Any

from backend.chat.conversation import Sampling
from backend.chat.presets import Preset
from backend.errors import Message, NotFound
from ui.i18n import Language, t

SHIPPED_SETTINGS: Mapping[str, Sampling] = {
    "exact": Sampling(temperature=0.0, top_p=1.0),
    "tutorial": Sampling(),
    "free": Sampling(temperature=1.1, top_p=0.95, repetition_penalty=1.05),
}
SHIPPED_PROMPTS = ("teacher", "reviewer", "translator", "summary", "json", "quantization")


def shipped(language: Language) -> tuple[tuple[str, Preset], ...]:
    """Those that come with the console, each with its key."""
    settings = [
        (key, Preset(t(f"chat.preset.{key}", language), False, sampling)) for key, sampling in SHIPPED_SETTINGS.items()
    ]
    prompts = [
        (
            key,
            Preset(
                t(f"chat.sample.prompt.{key}", language),
                True,
                Sampling(system=t(f"chat.sample.prompt.{key}.system", language)),
                t(f"chat.sample.prompt.{key}.question", language),
            ),
        )
        for key in SHIPPED_PROMPTS
    ]
    return (*settings, *prompts)


def presets_value(own: Sequence[Preset], language: Language) -> Mapping[str, Any]:
    """What the page's script shows: ``key`` is "" for the visitor's own."""
    offered = [*shipped(language), *(("", preset) for preset in own)]
    return {"presets": [{"key": key, "name": one.name, "prompt": one.prompt} for key, one in offered]}


def shipped_one(key: str, prompt: bool, language: Language) -> Preset:
    """The shipped one of that key. NotFound."""
    for known, preset in shipped(language):
        if (known, preset.prompt) == (key, prompt):
            return preset
    raise NotFound(Message("chat.error.preset_gone", {"name": key[:60]}, field="preset"))
