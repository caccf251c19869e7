"""The console's tools: whatever a model asks of them, they compute and never run; a person's are read, never run."""

import json
import time
from typing import Any

import pytest

from backend.chat.calculator import NotAFormula, calculate
from backend.chat.conversation import OwnTool, Sampling
from backend.chat.gpu_reading import NONE, gpu_text
from backend.chat.own_tools import read_tools
from backend.chat.text_calls import TextCall, calls_in
from backend.chat.toolset import BUILT_IN, NAMES, Toolset, tool_schemas
from backend.chat.unit_conversion import convert
from backend.errors import InvalidInput


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("(3+5)*2", "16"),
        ("(3 + 5) × 2 =", "16"),
        ("2^10", "1024"),
        ("7 // 2 + 7 % 2", "4"),
        ("0.1+0.2", "0.3"),
        ("sqrt(16) + abs(-2)", "6"),
        ("-3**2", "-9"),
        ("1/3", "0.333333333333"),
        ("ln(e)", "1"),
        ("max(1, 2, 3)", "3"),
        ("14*10^9*2/1024^3", "26.0770320892"),
        ("2**100", str(2**100)),
        ("1e3", "1000"),
        ("cos(π)", "-1"),
    ],
)
def test_arithmetic_is_computed(expression: str, result: str) -> None:
    assert calculate(expression) == result


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "two plus two",
        "__import__('os').system('true')",
        "().__class__",
        "a.b",
        "[1]*9**9",
        "'x'*9",
        "1 if 1 else 2",
        "9**9**9",
        "9**999999999",
        "2**10**10",
        "1/0",
        "sqrt(-1)",
        "(-8)**(1/3)",
        "(" * 300,
        "1+" * 249 + "1",
        "-" * 400 + "1",
        "lambda: 1",
        "print(1)",
        "factorial(10**9)",
        "1_000_000 ** 1_000_000",
        "x = 1",
        "1\n2",
        "1e400",
        "10**200*10**200",
        "round(1, 2, 3)",
        "max()",
        "f(x=1)",
        "0x" + "f" * 400,
        "True + 1",
        "1j",
    ],
)
def test_what_is_no_arithmetic_is_told_to_the_model(expression: str) -> None:
    with pytest.raises(NotAFormula) as caught:
        calculate(expression)
    assert str(caught.value)


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        (1, "GiB", "MiB", "1024 MiB"),
        (24, "GB", "GiB", "22.3517417908 GiB"),
        (100, "C", "F", "212 F"),
        (1, "mile", "km", "1.609344 km"),
        (3, "hours", "min", "180 min"),
        (2, "公斤", "斤", "4 斤"),
        (0, "K", "°C", "-273.15 °C"),
        (8, "bit", "B", "1 B"),
        (1, "inches", "CM", "2.54 cm"),
    ],
)
def test_units_are_converted(value: float, source: str, target: str, result: str) -> None:
    assert convert(value, source, target) == result


@pytest.mark.parametrize(("source", "target"), [("kg", "m"), ("C", "m"), ("foo", "m"), ("", "m")])
def test_units_that_do_not_fit_are_said(source: str, target: str) -> None:
    with pytest.raises(NotAFormula):
        convert(1, source, target)


async def run(name: str, arguments: Any, names: tuple[str, ...] = NAMES, **sources: Any) -> str:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    result, seconds = await Toolset(Sampling(tools=names), sources).run(name, text)
    assert seconds >= 0
    return result


async def test_the_tools_run() -> None:
    assert await run("calculate", {"expression": "(3+5)*2"}) == "16"
    assert await run("add", {"a": 3, "b": 5}) == "8"
    assert await run("convert_units", {"value": "2", "from_unit": "GiB", "to_unit": "MiB"}) == "2048 MiB"
    assert "(Asia/Shanghai, UTC+0800)" in await run("current_time", {"timezone": "Asia/Shanghai"})
    assert "UTC" in await run("current_time", "")
    assert await run("gpu_memory", {}, gpu_memory=lambda given: gpu_text(None)) == NONE
    assert len(await run("console_help", {"query": "x"}, console_help=lambda given: "y" * 90_000)) == 8_000


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("calculate", "{}"),
        ("calculate", "not json"),
        ("calculate", "[1]"),
        ("calculate", {"expression": "1", "b": 2}),
        ("calculate", {"expression": "[" * 200}),
        ("calculate", "[" * 100_000),
        ("current_time", {"timezone": "../etc"}),
        ("current_time", {"timezone": "Mars/Base"}),
        ("convert_units", {"value": "x", "from_unit": "m", "to_unit": "m"}),
        ("gpu_memory", {}),
        ("rm", {"path": "/"}),
        ("__class__", "{}"),
        ("convert_units", {"value": 1e300}),
    ],
)
async def test_a_wrong_call_is_told_to_the_model(name: str, arguments: Any) -> None:
    assert (await run(name, arguments)).startswith("error: ")


async def test_a_tool_that_was_not_chosen_does_not_run() -> None:
    assert (await run("calculate", {"expression": "1"}, ("add",))).startswith("error: there is no tool")
    assert (await run("mul", {"a": 1, "b": 1}, ("calculate",))).startswith("error: there is no tool")


TUTORIAL = """from openai import OpenAI

def add(a: int, b: int):
    return a + b

tools = [{
    'type': 'function',
    'function': {
        'name': 'add',
        'description': 'Compute the sum of two numbers',
        'parameters': {
            'type': 'object',
            'properties': {
                'a': {'type': 'int', 'description': 'A number'},
                'b': {'type': 'int', 'description': 'A number'},
            },
            'required': ['a', 'b'],
        },
    }
}, {'type': 'function', 'function': {'name': 'mul', 'description': 'Compute the product'}}]
messages = [{'role': 'user', 'content': 'Compute (3+5)*2'}]
client = OpenAI(api_key='YOUR_API_KEY', base_url='http://0.0.0.0:23333/v1')
"""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        (TUTORIAL, ["add", "mul"]),
        ('[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]', ["f"]),
        ('{"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]}', ["f"]),
        (
            '{"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}',
            ["weather"],
        ),
        ("my_tools = [{'name': 'f', 'strict': true, 'parameters': {'type': 'object'}}]", ["f"]),
        ("one = {'name': 'f'}\ntools = [one]", ["f"]),
        ("client.create(model='m', tools=[{'name': 'g'}])", ["g"]),
    ],
)
def test_tools_are_read_as_they_are_pasted(text: str, names: list[str]) -> None:
    tools = read_tools(text)
    assert [tool.name for tool in tools] == names
    shown = json.dumps(tool_schemas(Sampling(own_tools=tools)))
    assert read_tools(shown if tools else "") == tools


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("tools = [", "unread"),
        ("{'name': os.system('true')}", "unread"),
        ("[]", "none"),
        ("3", "none"),
        ("[3]", "item"),
        ('[{"name": "a b"}]', "name"),
        ('[{"name": "f", "parameters": []}]', "schema"),
        ("x" * 60_000, "long"),
        ('[{"name": "f", "parameters": {"type": "object", "properties": [1]}}]', "properties"),
        ('[{"name": "f"}, {"name": "f"}]', "twice"),
        (json.dumps([{"name": f"f{n}"} for n in range(17)]), "many"),
        ("[" * 5000, "none"),
    ],
)
def test_what_is_no_tool_is_said(text: str, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_tools(text)
    [message] = caught.value.messages
    assert (message.key, message.field) == (f"chat.error.own_tools.{key}", "own_tools")


def test_an_own_tool_takes_the_place_of_one_of_the_consoles() -> None:
    mine = OwnTool("add", "my own", '{"type": "object", "properties": {}}')
    sampling = Sampling(tools=("add", "mul", "calculate", "gone"), own_tools=(mine,))
    told = [(one["function"]["name"], one["function"]["description"]) for one in tool_schemas(sampling)]
    assert [name for name, _ in told] == ["mul", "calculate", "add"]
    assert told[-1] == ("add", "my own")
    toolset = Toolset(sampling, {})
    assert toolset.names == ("mul", "calculate", "add")
    assert toolset.own == {"add"}
    assert all(one.schema()["function"]["description"] for one in BUILT_IN.values())


ADD = TextCall("add", '{"a": 3, "b": 5}')
MUL = TextCall("mul", '{"a": 8, "b": 2}')
ONE = '{"name": "add", "arguments": {"a": 3, "b": 5}}'
TWO = '{"name": "mul", "parameters": {"a": 8, "b": 2}}'


@pytest.mark.parametrize(
    ("text", "rest", "calls"),
    [
        (f"<tool_call>\n{ONE}\n</tool_call>", "", [ADD]),
        (f"I add.\n<tool_call>{ONE}</tool_call>\n<tool_call>{TWO}</tool_call>", "I add.", [ADD, MUL]),
        (f"<tool_call>\n{ONE}", "", [ADD]),
        (f"I need a tool.<|action_start|><|plugin|>\n{TWO}<|action_end|>\n", "I need a tool.", [MUL]),
        (f"<|plugin|>{ONE}", "", [ADD]),
        (f"I need a tool.\n{TWO}", "I need a tool.", [MUL]),
        (f"<|python_tag|>{ONE}; {TWO}<|eom_id|>", "", [ADD, MUL]),
        (ONE, "", [ADD]),
        (f"{ONE}\n{TWO}", "", [ADD, MUL]),
        (f"```json\n{ONE}\n```", "", [ADD]),
        (f"[TOOL_CALLS][{ONE}, {TWO}]</s>", "", [ADD, MUL]),
        (
            "<tool_call>\n<function=add>\n<parameter=a>\n3\n</parameter>\n<parameter=b>5</parameter>\n</function>\n</tool_call>",
            "",
            [ADD],
        ),
        ('{"type": "function", "function": {"name": "add", "arguments": "{\\"a\\": 3, \\"b\\": 5}"}}', "", [ADD]),
        ('{"name": "add"}', "", [TextCall("add", "{}")]),
    ],
)
def test_calls_are_found_in_text(text: str, rest: str, calls: list[TextCall]) -> None:
    assert calls_in(text, ("add", "mul")) == (rest, calls)


def test_no_text_takes_long() -> None:
    began = time.process_time()
    for text in ("ok" + "\n" * 100_000 + "x", "<tool_call>a" + "\n" * 100_000 + "b", '{"a": 1, "b": 2}\n' * 10_000,
                 "```" + "\n" * 100_000 + "x", '{"a":\n' * 25_000):  # fmt: skip
        assert calls_in(text, ("add",)) == (text, [])
    assert time.process_time() - began < 2
    assert calls_in(f'{{"a": 1}}\nSo:\n{ONE}\n{TWO}\n', ("add", "mul")) == ('{"a": 1}\nSo:', [ADD, MUL])


@pytest.mark.parametrize(
    "text",
    [
        "Just text.",
        "",
        '{"name": "rm", "arguments": {}}',
        '<tool_call>{"name": "rm"}</tool_call>',
        '{"name": "Ada"}',
        "<tool_call>add(3, 5)</tool_call>",
        f"Write {ONE} to call it.",
        '{"a": 1}',
        "[1, 2]",
        "<|plugin|>",
        '{"name": "add", "arguments": {"a": 3',
        "<function=rm><parameter=a>1</parameter></function>",
        "[" * 50_000,
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    assert calls_in(text, ("add", "mul")) == (text, [])
    assert calls_in(ONE, ()) == (ONE, [])
