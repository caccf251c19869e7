"""Why an answer ended, in one spelling for the many that servers have. Pure."""

import re
from collections.abc import Mapping

_STOP = "stop"
_MEANINGS = {
    _STOP: (
        "stop", "stopped", "stop_token", "stop_sequence", "stop_str", "stop_string", "stop_word", "eos", "eos_token",
        "eos_token_id", "eot", "end", "ended", "end_turn", "end_of_turn", "end_of_text", "complete", "completed",
        "completion", "finish", "finished", "normal", "success", "done", "ok", "true", "yes",
    ),
    "length": (
        "length", "max_length", "max_tokens", "max_token", "max_new_tokens", "max_output_tokens",
        "max_completion_tokens", "token_limit", "limit", "model_length", "context_length", "context_length_exceeded",
        "max_context_length", "model_context_window_exceeded", "length_limit",
    ),
    "tool_calls": (
        "tool_calls", "tool_call", "toolcalls", "toolcall", "tool_use", "tool", "tools", "function_call",
        "function_calls", "functioncall", "function",
    ),
    "": (
        "", "null", "none", "nil", "undefined", "unknown", "not_finished", "unfinished", "in_progress", "running",
        "continue", "generating", "false", "no", "0", "unspecified", "finish_reason_unspecified",
        "finish_reason_unknown", "finish_reason_none",
    ),
}  # fmt: skip
_KNOWN = {spelling: meaning for meaning, spellings in _MEANINGS.items() for spelling in spellings}
_NAMES = ("finish_reason", "finishReason", "stop_reason", "stopReason")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def reason_of(holder: object) -> str:
    """Why a choice, a delta or a chunk ended: "stop", "length", "tool_calls", else in the server's words; "" where it
    doesn't say."""
    if not isinstance(holder, Mapping):
        return ""
    for name in _NAMES:
        if (given := holder.get(name)) is not None and (meaning := _meaning(given)):
            return meaning
    return ""


def _meaning(reason: object) -> str:
    if isinstance(reason, list):
        reason = reason[0] if reason else ""
    if isinstance(reason, Mapping):  # SGLang's {"type": "abort", "message": "…"}
        kind = reason.get("type") or reason.get("reason")
        meaning = _meaning(kind) if isinstance(kind, str) else ""
        said = reason.get("message")
        return f"{meaning}: {said}" if meaning not in _MEANINGS and isinstance(said, str) and said else meaning
    if isinstance(reason, bool | int | float):
        reason = str(reason)
    if not isinstance(reason, str):
        return ""
    word = _CAPITAL.sub("_", reason.strip()).lower().replace("-", "_").replace(" ", "_")
    return _KNOWN.get(word.removeprefix("finish_reason_"), _KNOWN.get(word, reason.strip()))
