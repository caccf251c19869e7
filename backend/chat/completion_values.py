"""Reads the values of a completion: its choices, texts, thoughts and counts, in whatever shape. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

PARTS_DEPTH = 8
PART_LIMIT = 2000
THOUGHTS = ("reasoning_content", "reasoning", "thinking", "thinking_content", "thought", "thoughts", "reasoning_text")
TEXTS = ("text", "content", "value", "output_text", "refusal", "transcript", "summary")
BARE_TEXTS = ("content", "response", "text", "output_text")  # of a chunk that has no choices
OTHER_TEXTS = (
    "output_text", "response", "answer", "reply", "value", "generated_text", "completion", "output", "result",
    "data",
)  # fmt: skip
PART_KEYS = frozenset({*TEXTS, *THOUGHTS, "type", "id", "index", "role", "annotations", "logprobs", "signature"}) - {
    "summary"
}
WRAPPERS = ("output", "data", "result", "response", "payload", "chunk")
CALLS = ("tool_calls", "toolCalls", "function_call", "tool_call")
BESIDE = frozenset({"images", "annotations", "citations", "search_results"})
QUIET = frozenset({
    "delta", "message", "index", "id", "role", "name", "type", "object", "logprobs", "usage", "signature", "refusal",
    "content_filter_results", "content_filter_offsets", "finish_reason", "finishReason", "stop_reason", "stopReason",
    "audio", "token_ids", "matched_stop", "obfuscation", "native_finish_reason", "provider_specific_fields", *BESIDE,
})  # fmt: skip
LEFT_LIMIT = 4000  # characters of what wasn't understood

_OTHER_NAMES, _THOUGHT_NAMES = frozenset(OTHER_TEXTS), frozenset(THOUGHTS)
USUAL = frozenset({"index", "delta", "message", "finish_reason", "logprobs"})  # of a choice

Content = tuple[str, str]  # text and thought


def content_of(piece: object, depth: int = 2) -> Content:
    """(text, thought) of a delta, a message or what stands in their place."""
    if isinstance(piece, str):
        return piece, ""
    if not isinstance(piece, Mapping):
        return "", ""
    text, thought = parts_of(piece.get("content"))
    if not (text or thought):  # {"type": "text_delta", "text": …}
        text, thought = parts_of(piece.get("text"))
    if not (text or thought or _OTHER_NAMES.isdisjoint(piece)):
        text = next((piece[name] for name in OTHER_TEXTS if isinstance(piece.get(name), str) and piece[name]), "")
    if not (text or thought) and depth and isinstance(inner := piece.get("message"), Mapping):  # Cohere's own form
        text, thought = content_of(inner, depth - 1)
    text += parts_of(piece.get("refusal"))[0]
    if isinstance(audio := piece.get("audio"), Mapping):
        text += parts_of(audio.get("transcript"))[0]
    for name in () if _THOUGHT_NAMES.isdisjoint(piece) else THOUGHTS:
        more = "".join(parts_of(piece.get(name)))
        if more:
            return text, thought + more
    return text, thought + "".join(parts_of(piece.get("reasoning_details")))


def parts_of(content: object, depth: int = PARTS_DEPTH) -> Content:
    """(text, thought) of a content: a string, a part, a list of parts, null; what is neither is shown as JSON."""
    if content is None or content is False:
        return "", ""
    if isinstance(content, str):
        return content, ""
    if isinstance(content, list) and depth:
        pairs = [parts_of(item, depth - 1) for item in content]
        return "".join(text for text, _ in pairs), "".join(thought for _, thought in pairs)
    if isinstance(content, Mapping) and depth:
        kind = str(content.get("type") or "")
        if "encrypted" in kind:
            return "", ""
        if any(word in kind for word in ("thinking", "reasoning", "thought")):
            inner = next((content[name] for name in (*THOUGHTS, *TEXTS) if content.get(name)), None)
            return "", "".join(parts_of(inner, depth - 1))
        if kind or content.keys() <= PART_KEYS:  # else it is an object that the model was asked for
            for name in TEXTS:
                if content.get(name):
                    return parts_of(content[name], depth - 1)
            for name in THOUGHTS:
                if content.get(name):
                    return "", "".join(parts_of(content[name], depth - 1))
            if not content or content.keys() & {*TEXTS, *THOUGHTS}:
                return "", ""
    shown = json.dumps(content, ensure_ascii=False, default=str)
    if len(shown) > PART_LIMIT:
        shown = shown[:PART_LIMIT] + "…"
    return f"\n```json\n{shown}\n```\n", ""


def choices_of(value: Mapping[str, Any]) -> Sequence[Any] | None:
    """The choices of a chunk; one made of what stands in their place; None where it has none."""
    choices = value.get("choices")
    if isinstance(choices, str) and choices:
        return [{"text": choices}]
    if isinstance(choices, list):
        return choices if choices or not any(value.get(name) for name in BARE_TEXTS) else [_bare(value)]
    if isinstance(choices, Mapping):
        return [choices] if {"delta", "message", "text", "finish_reason"} & set(choices) else list(choices.values())
    if isinstance(message := value.get("message"), Mapping):  # Ollama's own form
        return [
            {"delta": message, "finish_reason": value.get("done_reason") or ("stop" if value.get("done") else None)}
        ]
    if isinstance(delta := value.get("delta"), Mapping | str):
        if isinstance(delta, str) and "reasoning" in str(value.get("type")):
            delta = {THOUGHTS[0]: delta}
        return [{"delta": delta, "finish_reason": value.get("finish_reason")}]
    if any(isinstance(value.get(name), str | list) for name in BARE_TEXTS) or any(
        isinstance(value.get(name), str) for name in THOUGHTS
    ):
        return [_bare(value)]
    return None


def wrapped_in(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The chunk that stands inside of another API's own, with its text as a message: it may be longer each time."""
    if str(value.get("type")).startswith("response."):  # Responses' events hold the whole once more
        return None
    for name in WRAPPERS:
        inner = value.get(name)
        if isinstance(inner, Mapping) and choices_of(inner) is not None:
            text = inner.get("text")
            if name == "output" and isinstance(text, str) and "choices" not in inner:  # DashScope's own form
                return {
                    **inner,
                    "choices": [{"message": {"content": text}, "finish_reason": inner.get("finish_reason")}],
                }
            return inner
    return None


def is_piece(value: object) -> bool:
    """Whether a document says that it is only a piece of an answer."""
    if not isinstance(value, Mapping):
        return False
    choices = value.get("choices")
    deltas = isinstance(choices, list) and any(isinstance(one, Mapping) and one.get("delta") for one in choices)
    return deltas or value.get("done") is False or value.get("object") == "chat.completion.chunk"


def _bare(value: Mapping[str, Any]) -> Mapping[str, Any]:
    text = next((value[name] for name in BARE_TEXTS if value.get(name)), "")
    thoughts = {name: value[name] for name in THOUGHTS if value.get(name)}
    reason = value.get("finish_reason") or value.get("done_reason")
    ended = value.get("done") is True or value.get("stop") is True
    again = str(value.get("type")).endswith(".done")  # Responses' events tell the whole once more
    holder = "message" if again else "delta"
    name = THOUGHTS[0] if again and "reasoning" in str(value["type"]) else "content"
    return {holder: {name: text, **thoughts}, "finish_reason": reason or ("stop" if ended else None)}


def pieces_of(choice: Mapping[str, Any]) -> tuple[Content, bool, Mapping[str, Any]]:
    """A choice's text and thought, whether they are of a whole message, and what holds its tool calls: of its delta,
    else its message, else of what stands in the choice itself."""
    delta, message = choice.get("delta"), choice.get("message")
    itself = {name: choice[name] for name in choice.keys() - USUAL}
    text, thought, whole = "", "", False
    for holder in filter(None, (delta, message, itself)):
        more_text, more_thought = content_of(holder)
        whole = whole or (holder is message and not text and bool(more_text or more_thought))
        text, thought = text or more_text, thought or more_thought
    inner = delta.get("message") if isinstance(delta, Mapping) else None
    calls = next((one for one in (delta, inner, message, itself) if isinstance(one, Mapping) and has_calls(one)), {})
    return (text, thought), whole, calls


def has_calls(holder: Mapping[str, Any]) -> bool:
    """Whether tool calls stand in it."""
    return any(holder.get(name) for name in CALLS)


def more_of(holder: Mapping[str, Any]) -> dict[str, Any]:
    """What stands beside an answer's text for a person: sources, pictures."""
    return {
        name: holder[name] for name in sorted(BESIDE) if isinstance(holder.get(name), list | Mapping) and holder[name]
    }


def unread_of(choice: Mapping[str, Any]) -> dict[str, Any]:
    """What of a choice's delta or message nobody knows to read."""
    found: dict[str, Any] = {}
    for holder in (choice, choice.get("delta"), choice.get("message")):
        if isinstance(holder, Mapping):
            found |= {
                name: inner for name, inner in holder.items() if name not in QUIET and inner and inner is not True
            }
    return found


def count_of(usage: Mapping[str, Any], *names: str) -> int | None:
    """The first of these counts that is one."""
    for name in names:
        number = whole_number(usage.get(name))
        if number is not None and 0 <= number < 10**12:
            return number
    return None


def whole_number(value: object) -> int | None:
    """A whole number, also one that was written as a string or a float."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
