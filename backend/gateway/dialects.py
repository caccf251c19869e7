"""What other APIs (Ollama, OpenRouter, Anthropic and who follows them) ask for in words of their own. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

EFFORTS = ("low", "medium", "high", "max")


def in_own_words(body: Mapping[str, Any], fields: Collection[str]) -> tuple[dict[str, Any], set[str]]:
    """The request in LMDeploy's words, and the names of what was taken out without another word for it.

    What is said in these goes before. ``fields`` are those that the endpoint takes.
    """
    own, left_out = dict(body), set[str]()
    options = own.get("options")
    if isinstance(options, Mapping):
        del own["options"]
        own = {**options, **{name: value for name, value in own.items() if value is not None or name not in options}}
    for name, said in _SAID_OTHERWISE.items():
        if own.get(name) is None or (words := said(own[name])) is None:
            continue
        del own[name]
        if kept := {word: value for word, value in words.items() if word in fields and own.get(word) is None}:
            own |= kept
        else:
            left_out.add(name)
    return own, left_out


def _of_thinking(value: Any) -> dict[str, Any] | None:
    """true, "high", {"type": "disabled"}, {"effort": "low"}, {"enabled": true}, {"budget_tokens": 1024}."""
    if isinstance(value, bool):
        return {"enable_thinking": value}
    if isinstance(value, str):
        return {"reasoning_effort": value} if value in EFFORTS else {}
    if not isinstance(value, Mapping):
        return None
    words: dict[str, Any] = {}
    if value.get("effort") in EFFORTS:
        words["reasoning_effort"] = value["effort"]
    if value.get("type") in ("enabled", "disabled"):
        words["enable_thinking"] = value["type"] == "enabled"
    elif isinstance(value.get("enabled"), bool):
        words["enable_thinking"] = value["enabled"]
    return words


def _of_length(value: Any) -> dict[str, Any] | None:
    """Ollama's: a number of tokens; a negative one is no limit."""
    if type(value) is not int:
        return None
    return {"max_tokens": value} if value >= 0 else {}


def _of_format(value: Any) -> dict[str, Any] | None:
    """Ollama's: "json", or a schema."""
    if value == "":
        return {}
    if value == "json":
        return {"response_format": {"type": "json_object"}}
    if isinstance(value, dict):
        return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": value}}}
    return None


_SAID_OTHERWISE = {
    "think": _of_thinking, "thinking": _of_thinking, "reasoning": _of_thinking, "format": _of_format,
    "num_predict": _of_length,
}  # fmt: skip
