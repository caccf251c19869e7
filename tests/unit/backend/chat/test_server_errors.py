"""What is an error, and the words that a person reads of it."""

from typing import Any

import pytest

from backend.chat.server_errors import error_in, words

ERRORS: list[tuple[dict[str, Any], str, int]] = [
    ({"error": "Bad Request", "message": "max_tokens must be positive", "statusCode": 400},
     "Bad Request: max_tokens must be positive", 400),
    ({"error": "Bad Request", "message": ["a is empty", "b is empty"]}, "Bad Request: a is empty; b is empty", 0),
    ({"error": 1, "message": "boom"}, "boom", 0),
    ({"error": 500, "message": "boom"}, "boom", 0),
    ({"error": True, "message": "boom"}, "boom", 0),
    ({"error": {"message": ""}, "detail": "boom"}, "boom", 0),
    ({"error": {"type": "overloaded"}, "message": "boom"}, "boom", 0),
    ({"error": {"message": "boom"}, "detail": "boom"}, "boom", 0),
    ({"error": "invalid", "error_description": "the model is gone"}, "invalid: the model is gone", 0),
    ({"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": '{"error":"too long"}'}}},
     "Provider returned error: too long", 400),
    ({"error": {"message": "Failed to call", "failed_generation": "<function=add>"}},
     "Failed to call: <function=add>", 0),
    ({"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "login fail", 0),
    ({"header": {"code": 10013, "message": "boom"}}, "boom", 0),
    ({"Error": {"Message": "boom"}}, "boom", 0),
    ({"status": "error", "reason": "boom"}, "boom", 0),
    ({"detail": {"error": {"message": "boom"}}}, "boom", 0),
    ({"type": "response.failed", "response": {"error": {"message": "boom"}}}, "boom", 0),
    ({"error": {"http_code": "429", "message": "slow"}}, "slow", 429),
    ({"code": 1261, "msg": "too long"}, "too long", 0),
]  # fmt: skip
NONE: list[dict[str, Any]] = [
    {"code": 200, "msg": "success", "data": {"choices": []}},
    {"code": 0, "message": "Success", "usage": {"completion_tokens": 1}},
    {"status": "ok", "message": "stream started"},
    {"error": {"code": 0, "message": ""}, "choices": [{}]},
    {"error": "null", "choices": [{}]},
    {"error": None, "choices": [{}]},
    {"base_resp": {"status_code": 0, "status_msg": ""}, "choices": [{}]},
    {"choices": [{}], "message": "a note"},
]


@pytest.mark.parametrize(("value", "text", "status"), ERRORS)
def test_an_error_is_told_in_all_its_words(value: dict[str, Any], text: str, status: int) -> None:
    error = error_in(value, "")
    assert error is not None
    assert (error.text, error.status) == (text, status)
    assert text in words(value)


@pytest.mark.parametrize("value", NONE)
def test_what_went_well_is_no_error(value: dict[str, Any]) -> None:
    assert error_in(value, "") is None
