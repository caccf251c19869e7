"""Tools: numbers in, a number out, and nothing a model writes is run."""

import json

import pytest

from backend.chat.tools import TOOLS, run_tool, schemas

ALL = tuple(TOOLS)


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("add", '{"a": 3, "b": 5}', "8"),
        ("mul", '{"a": 8, "b": 2}', "16"),
        ("add", '{"a": 0.5, "b": 0.25}', "0.75"),
        ("mul", '{"a": "8", "b": "2"}', "16"),  # small models write numbers as strings
    ],
)
def test_tools_compute(name: str, arguments: str, result: str) -> None:
    assert run_tool(name, arguments, ALL) == result


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("add", ""),
        ("add", "a=3, b=5"),
        ("add", "[3, 5]"),
        ("add", '{"a": 3}'),
        ("add", '{"a": 3, "b": 5, "c": 7}'),
        ("add", '{"a": true, "b": 5}'),
        ("add", '{"a": NaN, "b": 5}'),
        ("add", '{"a": "__import__(\'os\').system(\'true\')", "b": 5}'),
        ("mul", '{"a": 1e308, "b": 1e308}'),
        ("mul", json.dumps({"a": 10**400, "b": 1})),
        ("eval", '{"a": 1, "b": 2}'),
        ("__class__", "{}"),
    ],
)
def test_a_wrong_call_is_told_to_the_model(name: str, arguments: str) -> None:
    assert run_tool(name, arguments, ALL).startswith("error: ")


def test_a_tool_that_was_not_offered_does_not_run() -> None:
    assert run_tool("mul", '{"a": 1, "b": 2}', ("add",)).startswith("error: ")


def test_the_model_is_told_of_known_tools_alone() -> None:
    assert [tool["function"]["name"] for tool in schemas(("add", "rm", "mul"))] == ["add", "mul"]
