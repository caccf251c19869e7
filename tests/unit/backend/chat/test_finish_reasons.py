"""Finish reasons in every spelling."""

import pytest

from backend.chat.finish_reasons import reason_of

SPELLINGS: dict[str, tuple[object, ...]] = {
    "stop": (
        "stop", "STOP", "Stop", "eos", "EOS", "eos_token", "stop_token", "end", "end_turn", "stop_sequence", "COMPLETE",
        "complete", "finished", "normal", True, ["stop"], {"type": "stop", "matched": 1}, "FINISH_REASON_STOP",
    ),
    "length": ("length", "max_length", "MAX_TOKENS", "max-tokens", "maxTokens", "model_length", {"type": "length"}),
    "tool_calls": ("tool_calls", "tool_use", "tool-calls", "toolCalls", "function_call", "function"),
    "": (None, "", "null", "None", "none", "not_finished", "unknown", False, 0, [], {}, "FINISH_REASON_UNSPECIFIED"),
    "sensitive": ("sensitive",),
    "abort": ({"type": "abort"},),
    "abort: out of memory": ({"type": "abort", "message": "out of memory"},),
    "3": (3,),
}  # fmt: skip


@pytest.mark.parametrize(("meaning", "given"), [(meaning, one) for meaning, all_ in SPELLINGS.items() for one in all_])
def test_a_reason_has_one_spelling(meaning: str, given: object) -> None:
    assert reason_of({"finish_reason": given}) == meaning
    assert reason_of({"finishReason": given}) == meaning


def test_the_first_name_that_says_something_counts() -> None:
    assert reason_of({"finish_reason": None, "stop_reason": "max_tokens"}) == "length"
    assert reason_of({"finish_reason": "stop", "stop_reason": 151645}) == "stop"
    assert reason_of("stop") == ""
