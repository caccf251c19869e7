"""Reads the values of a completion: its choices, texts, thoughts, counts and errors, in whatever shape. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

PARTS_DEPTH = 8
PART_LIMIT = 2000
THOUGHTS = ("reasoning_content", "reasoning", "thinking", "thinking_content", "thought", "thoughts", "reasoning_text")
TEXTS = ("text", "content", "value", "output_text", "refusal", "transcript", "summary")
BARE_TEXTS = ("content", "response", "text", "output_text")  # of a chunk that has no choices
SAID = ("message", "msg", "detail", "error_msg", "error_message", "errorMessage", "errors", "reason", "description")
LEFT_LIMIT = 4000  # characters of what wasn't understood


class ServerSaid(Exception):
    """The server answered with an error; its own words, and its code where it is an HTTP status (else 0)."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


def json_values(text: str) -> tuple[list[object], str]:
    """The JSON values that stand in the text, one behind another, and the rest that is none."""
    try:
        return [json.loads(text, strict=False)], ""  # a raw tab or line end in a string is text like any other
    except RecursionError:
        return [], text[:LEFT_LIMIT]
    except ValueError:
        pass
    values: list[object] = []
    decoder = json.JSONDecoder(strict=False)
    at = 0
    while at < len(text) and text[at] in "{[":
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        values.append(value)
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
    return values, text[at:]


def error_in(value: Mapping[str, Any], kind: str) -> ServerSaid | None:
    """The error that a JSON object is or holds, in whatever shape; None where it holds none."""
    error = value.get("error")
    no_answer = not value.get("choices")
    is_error = bool(error) or kind == "error" or value.get("object") == "error"
    is_error = (
        is_error or value.get("type") in ("error", "response.failed") or (bool(value.get("errors")) and no_answer)
    )
    if not is_error and no_answer:
        is_error = value.get("success") is False or any(
            isinstance(value.get(name), str | list) and value.get(name) and "content" not in value
            for name in ("detail", "message", "msg", "error_msg", "error_message", "errorMessage")
        )
    if not is_error:
        return None
    source = error if error and error is not True else value
    return ServerSaid(words(source), status_in(source) or status_in(value))


def words(value: object, depth: int = PARTS_DEPTH) -> str:
    """The server's own words out of an error of any shape."""
    if isinstance(value, str):
        inner, rest = json_values(value) if value.lstrip()[:1] == "{" else ([], value)
        return words(inner[0], depth - 1) if len(inner) == 1 and not rest and depth else value
    if isinstance(value, Mapping) and depth:
        for name in ("error", *SAID):
            if (inner_value := value.get(name)) and inner_value is not True:
                return words(inner_value, depth - 1)
    if isinstance(value, list) and value and depth:
        return "; ".join(filter(None, (_item_words(item, depth - 1) for item in value[:20])))
    if value is None:
        return ""
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return str(type(value).__name__)


def _item_words(item: object, depth: int) -> str:
    """An item of a list of errors; a validator's names the place: ``messages.0.content: field required``."""
    if isinstance(item, Mapping) and isinstance(item.get("loc"), list):
        place = ".".join(str(part) for part in item["loc"])
        return f"{place}: {words(item.get('msg') or item, depth)}"
    return words(item, depth)


def status_in(value: object) -> int:
    """The HTTP status that an error names, or 0."""
    if isinstance(value, Mapping):
        for name in ("status", "code", "status_code", "http_status", "httpCode"):
            number = whole_number(value.get(name))
            if number is not None and 400 <= number <= 599:
                return number
    return 0


def content_of(piece: object) -> tuple[str, str]:
    """(text, thought) of a delta or a message."""
    if isinstance(piece, str):
        return piece, ""
    if not isinstance(piece, Mapping):
        return "", ""
    content = piece.get("content")
    if content is None and isinstance(piece.get("text"), str):  # {"type": "text_delta", "text": …}
        content = piece["text"]
    text, thought = parts_of(content)
    text += parts_of(piece.get("refusal"))[0]
    if isinstance(audio := piece.get("audio"), Mapping):
        text += parts_of(audio.get("transcript"))[0]
    for name in THOUGHTS:
        more = "".join(parts_of(piece.get(name)))
        if more:
            return text, thought + more
    return text, thought + "".join(parts_of(piece.get("reasoning_details")))


def parts_of(content: object, depth: int = PARTS_DEPTH) -> tuple[str, str]:
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
        for name in TEXTS:
            if name in content:
                return parts_of(content[name], depth - 1)
        for name in THOUGHTS:
            if content.get(name):
                return "", "".join(parts_of(content[name], depth - 1))
        if not content:
            return "", ""
    shown = json.dumps(content, ensure_ascii=False, default=str)
    if len(shown) > PART_LIMIT:
        shown = shown[:PART_LIMIT] + "…"
    return f"\n```json\n{shown}\n```\n", ""


def choices_of(value: Mapping[str, Any]) -> Sequence[Any] | None:
    """The choices of a chunk; one made of what stands in their place; None where it has none."""
    choices = value.get("choices")
    if isinstance(choices, list):
        return choices if choices or not any(value.get(name) for name in BARE_TEXTS) else [_bare(value)]
    if isinstance(choices, Mapping):
        return [choices] if {"delta", "message", "text", "finish_reason"} & set(choices) else list(choices.values())
    if isinstance(output := value.get("output"), Mapping):  # DashScope's own form
        return choices_of(output)
    if isinstance(message := value.get("message"), Mapping):  # Ollama's own form
        return [
            {"delta": message, "finish_reason": value.get("done_reason") or ("stop" if value.get("done") else None)}
        ]
    if isinstance(delta := value.get("delta"), Mapping | str):
        return [{"delta": delta, "finish_reason": value.get("finish_reason")}]
    if any(isinstance(value.get(name), str | list) for name in BARE_TEXTS) or any(
        isinstance(value.get(name), str) for name in THOUGHTS
    ):
        return [_bare(value)]
    return None


def _bare(value: Mapping[str, Any]) -> Mapping[str, Any]:
    text = next((value[name] for name in BARE_TEXTS if value.get(name)), "")
    thoughts = {name: value[name] for name in THOUGHTS if value.get(name)}
    reason = value.get("finish_reason") or value.get("done_reason")
    ended = value.get("done") is True or value.get("stop") is True
    return {"delta": {"content": text, **thoughts}, "finish_reason": reason or ("stop" if ended else None)}


def piece_of(choice: Mapping[str, Any]) -> tuple[object, bool]:
    """A choice's delta, or its message, and whether it is a whole message."""
    delta, message = choice.get("delta"), choice.get("message")
    if delta:
        return delta, False
    if message:
        return message, True
    if choice.get("text"):
        return {"content": choice["text"], **{n: choice[n] for n in THOUGHTS if n in choice}}, False
    plain = {name: choice[name] for name in ("content", "tool_calls", *THOUGHTS) if choice.get(name)}
    return plain, False


def reason_of(choice: object) -> str:
    """Why a choice ended, in the server's word; "" where it doesn't say."""
    if not isinstance(choice, Mapping):
        return ""
    reason = choice.get("finish_reason") or choice.get("finishReason") or choice.get("stop_reason")
    if isinstance(reason, Mapping):
        reason = reason.get("type") or reason.get("reason")
    text = reason if isinstance(reason, str) else ""
    return {"max_tokens": "length", "end_turn": "stop", "stop_sequence": "stop", "null": ""}.get(text, text)


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
