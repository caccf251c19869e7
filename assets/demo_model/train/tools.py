"""Conversations in which the model calls two-number functions, one at a time, and uses their results."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from .chat import WORDS
from .grammar import expand, pick

NO_TOOL = {"en": "I have no tool for that.", "zh": "我没有合适的工具来做这件事。"}
RESULT = {"en": "The result is {}.", "zh": "结果是 {}。"}
SINGLE_WORDS = [w for w in WORDS["en"]["noun"] + WORDS["en"]["verb"] if w.isascii() and w.isalpha()]


@dataclass(frozen=True)
class Operation:
    """A kind of function: its names, what it does, how it is asked for and how it is written."""

    key: str
    names: tuple[str, ...]
    about: tuple[str, ...]
    signs: tuple[str, ...]
    en: tuple[str, ...]
    zh: tuple[str, ...]
    run: Callable[[float, float], float]


OPERATIONS = (
    Operation(
        "add",
        ("add", "add", "add", "sum", "plus", "add_numbers", "addition", "get_sum"),
        (
            "Add two numbers.",
            "a plus b",
            "Returns the sum of two numbers",
            "加法",
            "计算两个数的和",
            "Compute the sum.",
        ),
        ("+", "+", " + ", " plus ", "加", "＋"),
        (
            "{add|sum|sum up|add up|add together} A and B",
            "{what is|what's|compute|calculate|how much is|give me|find} {A plus B|A + B|A+B|the sum of A and B}",
            "A {plus|+|and} B",
            "the sum of A and B",
            "A+B=",
            "add B to A",
            "how much is A and B together",
        ),
        (
            "A{加|加上|+|和} B {等于多少|是多少|得多少|等于几|}",
            "{计算|算一下|求|帮我算|请算}A{加|加上|+}B",
            "A和B的和{是多少|}",
            "A与B相加{得多少|}",
            "A+B=",
            "把A和B加起来",
        ),
        lambda a, b: a + b,
    ),
    Operation(
        "mul",
        ("mul", "mul", "mul", "multiply", "times", "product", "multiply_numbers", "multiplication"),
        (
            "Multiply two numbers.",
            "a times b",
            "Returns the product of two numbers",
            "乘法",
            "计算两个数的积",
            "Compute the product.",
        ),
        ("*", "*", " * ", " times ", "乘以", "×", " x ", "乘"),
        (
            "multiply A {by|and|with|times} B",
            "{what is|what's|compute|calculate|how much is|give me|find} {A times B|A * B|A*B|A × B|A x B|the product of A and B}",
            "A {times|*|x|×|multiplied by} B",
            "the product of A and B",
            "A*B=",
        ),
        (
            "A{乘|乘以|×|*|乘上}B{等于多少|是多少|得多少|等于几|}",
            "{计算|算一下|求|帮我算|请算}A{乘|乘以|×|*}B",
            "A和B的{积|乘积}{是多少|}",
            "A与B相乘{得多少|}",
            "A*B=",
            "把A和B乘起来",
        ),
        lambda a, b: a * b,
    ),
    Operation(
        "sub",
        ("sub", "subtract", "minus", "difference"),
        (
            "Subtract the second number from the first.",
            "a minus b",
            "减法",
            "计算两个数的差",
            "Difference of two numbers",
        ),
        ("-", " - ", " minus ", "减"),
        (
            "{what is|what's|compute|calculate} {A minus B|A - B|A-B}",
            "A minus B",
            "subtract B from A",
            "the difference of A and B",
        ),
        ("A减{去|}B{等于多少|是多少|}", "{计算|算一下|求}A{减|减去|-}B", "A和B的差{是多少|}"),
        lambda a, b: a - b,
    ),
    Operation(
        "div",
        ("div", "divide", "division", "quotient"),
        ("Divide the first number by the second.", "a divided by b", "除法", "计算两个数的商"),
        ("/", " / ", " divided by ", "除以", "÷"),
        ("{what is|what's|compute|calculate} {A divided by B|A / B|A/B|A ÷ B}", "A divided by B", "divide A by B"),
        ("A除以B{等于多少|是多少|}", "{计算|算一下|求}A{除以|/|÷}B"),
        lambda a, b: a / b if b else 0.0,
    ),
    Operation(
        "pow",
        ("pow", "power", "exponent"),
        ("Raise the first number to the power of the second.", "a to the power of b", "乘方", "计算幂"),
        ("^", "**", "的幂"),
        ("{what is|compute|calculate} {A to the power of B|A^B|A**B}", "raise A to the power of B", "A to the power B"),
        ("A的B次方{是多少|等于多少|}", "{计算|求}A的B次方"),
        lambda a, b: a ** max(0, min(int(b), 6)),
    ),
    Operation(
        "max",
        ("max", "maximum", "larger", "max_of_two"),
        ("The larger of two numbers.", "Return the maximum", "较大的数", "两个数中的最大值"),
        (),
        (
            "{what is|which is|find|give me} the {larger|bigger|maximum|greater} of A and B",
            "which is larger, A or B",
            "max of A and B",
        ),
        ("A和B{哪个大|哪个更大|中较大的数}", "求A和B的最大值"),
        max,
    ),
    Operation(
        "min",
        ("min", "minimum", "smaller", "min_of_two"),
        ("The smaller of two numbers.", "Return the minimum", "较小的数", "两个数中的最小值"),
        (),
        (
            "{what is|which is|find|give me} the {smaller|minimum|lesser} of A and B",
            "which is smaller, A or B",
            "min of A and B",
        ),
        ("A和B{哪个小|哪个更小|中较小的数}", "求A和B的最小值"),
        min,
    ),
    Operation(
        "mod",
        ("mod", "remainder", "modulo"),
        ("The remainder of a division.", "a modulo b", "取余", "求余数"),
        (),
        (
            "{what is|compute} {A mod B|the remainder of A divided by B|A modulo B}",
            "A mod B",
            "the remainder of A by B",
        ),
        ("A除以B的余数{是多少|}", "{计算|求}A{对B取余|模B}"),
        lambda a, b: a % b if b else 0.0,
    ),
)
BY_KEY = {operation.key: operation for operation in OPERATIONS}
PARAMETERS = (
    ("a", "b"),
    ("a", "b"),
    ("a", "b"),
    ("x", "y"),
    ("first", "second"),
    ("m", "n"),
    ("left", "right"),
    ("num1", "num2"),
    ("p", "q"),
    ("number1", "number2"),
    ("u", "v"),
    ("value", "other"),
    ("i", "j"),
    ("s", "t"),
    ("n1", "n2"),
    ("x1", "x2"),
)
TWO = {
    "en": (
        "{n0} and {n1} {added|plus|summed} and {then|the result} multiplied by {n2}",
        "add {n0} and {n1}, then multiply {the result |it |}by {n2}",
        "first add {n0} and {n1}, then multiply by {n2}",
        "take the sum of {n0} and {n1} times {n2}",
        "the sum of {n0} and {n1}, multiplied by {n2}",
        "add {n0} and {n1} and multiply the {sum|result} by {n2}",
    ),
    "zh": (
        "{n0}加{n1}{，|}{再|然后|之后再}乘{以|}{n2}{等于多少|是多少|}",
        "先{把|}{n0}{和|加}{n1}{相加|}，再乘以{n2}",
        "{n0}与{n1}的和乘以{n2}{是多少|}",
        "把{n0}和{n1}加起来再乘{n2}",
    ),
    "en2": (
        "multiply {n0} and {n1}, then add {n2}",
        "first multiply {n0} by {n1}, then add {n2}[ to it]",
        "the product of {n0} and {n1}, plus {n2}",
        "{n0} times {n1}, then plus {n2}",
        "multiply {n0} by {n1} and add {n2} to the {product|result}",
    ),
    "zh2": (
        "{n0}乘{以|}{n1}{，|}{再|然后}加{上|}{n2}{等于多少|是多少|}",
        "先{把|}{n0}{和|乘}{n1}{相乘|}，再加{n2}",
        "{n0}与{n1}的积加{n2}{是多少|}",
        "把{n0}和{n1}乘起来再加{n2}",
    ),
}
# \1 is the function, \2 and \3 its numbers
BY_NAME = {
    "en": (
        "{call|use|run|apply|try|execute|invoke} {|the function |the tool }\1 {with|on|for|to} {|the numbers }\2 and \3",
        "\1(\2, \3)",
        "{what is|compute|give me|calculate|evaluate} \1(\2, \3)",
        "{the |}\1 of \2 and \3",
        "{call|run} \1(\2,\3)",
        "{what|which result} {does|will|would} \1 {give|return|say|make|tell} {for|with|on|of} \2 and \3",
        "{what is|what's|find|compute|tell me|i need|i want} the \1 of \2 and \3",
        "{can|could|would} you {call|run|use} \1 {with|on|for} \2 and \3",
        "\1 \2 \3",
        "{with|using|by} \1, {combine|compute|process|calculate} \2 and \3",
        "\1 {with|for|on} \2, \3",
        "{let|have} \1 {work on|handle|process} \2 and \3",
    ),
    "zh": (
        "{调用|用|运行|使用|试试|执行}{|函数|工具}\1{处理|计算|算一下|算|}\2和\3",
        "\1(\2, \3)",
        "\1(\2,\3){等于多少|是多少|的结果}",
        "对\2和\3{调用|使用|用|执行}\1",
        "{调用|运行|执行}\1，{参数是|参数为|数字是|输入}\2和\3",
        "\2和\3的\1{是多少|}",
        "{用|拿|通过}\1{来|}{算|计算|处理}{一下|}\2{和|与|、}\3",
        "把\2和\3{交给|传给|给}\1",
        "\1 \2 \3",
        "\1{对|处理}\2和\3{会得到什么|得多少|返回什么}",
        "{想|我想}知道\1在\2和\3上的结果",
    ),
}
VERBS = {
    "en": (
        "{compute|calculate|what is|what's|evaluate|work out|solve|how much is|find|tell me|give me} ",
        "",
        "please compute ",
        "what does {evaluate to: |equal: |}",
        "can you {compute|calculate|work out} ",
    ),
    "zh": ("{计算|算一下|求|帮我算|请计算|算算|请问|帮我计算|算} ", "", "{计算|算一下|求|帮我算|算}", ""),
}
ENDS = {"en": ("", "", " = ?", "=", " please"), "zh": ("", "", "等于多少", "是多少", "=", "等于几", "的结果", "的值")}


def number_text(value: float) -> str:
    """A number as a tool's result writes it: whole ones without a point."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else str(round(value, 6))


def _number(rng: random.Random) -> float:
    roll = rng.random()
    if roll < 0.45:
        return rng.randint(0, 20)
    if roll < 0.7:
        return rng.randint(10, 100)
    if roll < 0.82:
        return rng.randint(100, 9999)
    if roll < 0.86:
        return rng.randint(10_000, 9_999_999)
    if roll < 0.93:
        return -rng.randint(1, 99)
    return round(rng.uniform(0, 100), rng.choice((1, 1, 2)))


def schema(name: str, parameters: tuple[str, str], about: str) -> dict[str, object]:
    """An OpenAI tool of two numbers."""
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": about,
            "parameters": {
                "type": "object",
                "properties": {p: {"type": "number"} for p in parameters},
                "required": list(parameters),
            },
        },
    }


def call_text(name: str, arguments: dict[str, float]) -> str:
    """A call as the model writes it (the format of Qwen 2.5)."""
    return "<tool_call>\n" + json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False) + "\n</tool_call>"


@dataclass
class Offer:
    """The functions offered in one conversation."""

    tools: list[dict[str, object]]
    names: dict[str, tuple[str, tuple[str, str]]]


def invented_name(rng: random.Random) -> str:
    """A function name that nobody has seen."""
    syllables = [
        "bla",
        "zor",
        "fim",
        "kal",
        "tru",
        "net",
        "vex",
        "mop",
        "qua",
        "sil",
        "dor",
        "pex",
        "lun",
        "gri",
        "hap",
        "jot",
        "wib",
        "rak",
        "ost",
        "ume",
        "calc",
        "comb",
        "mix",
        "fuse",
        "get",
        "dist",
        "area",
        "norm",
        "rate",
        "score",
    ]
    roll = rng.random()
    if roll < 0.3:
        name = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 9)))
    elif roll < 0.6:
        name = rng.choice(SINGLE_WORDS).lower()
    else:
        name = "".join(rng.choice(syllables) for _ in range(rng.randint(1, 3)))
    return (
        name
        + ("_" + rng.choice(syllables) if rng.random() < 0.4 else "")
        + (str(rng.randint(1, 9)) if rng.random() < 0.1 else "")
    )


def invented_parameters(rng: random.Random) -> tuple[str, str]:
    """Two different names of numbers."""
    first, second = invented_name(rng), invented_name(rng)
    return first, second if second != first else second + "2"


def offer(rng: random.Random) -> Offer:
    """Some functions to choose from: mostly add and mul, often more, under varied names."""
    roll = rng.random()
    keys = ["add", "mul"] if roll < 0.55 else rng.sample([o.key for o in OPERATIONS], rng.randint(1, 5))
    if roll < 0.25 or (0.55 < roll < 0.75 and "add" not in keys):
        keys = list(dict.fromkeys([*keys, *rng.sample([o.key for o in OPERATIONS], rng.randint(0, 2))]))
    plain = roll < 0.4
    parameters = ("a", "b") if plain else rng.choice(PARAMETERS)
    names: dict[str, tuple[str, tuple[str, str]]] = {}
    tools = []
    if rng.random() < 0.45:
        keys.append("invented")
    rng.shuffle(keys)
    for key in keys:
        if not plain and rng.random() < 0.3:
            parameters = rng.choice(PARAMETERS)
        elif key == "invented" and rng.random() < 0.7:
            parameters = rng.choice(PARAMETERS) if rng.random() < 0.3 else invented_parameters(rng)
        if key == "invented":
            name, about = (
                invented_name(rng),
                rng.choice(("", "A function of two numbers.", "自定义函数", "Does something with two numbers.")),
            )
        else:
            name, about = (
                BY_KEY[key].names[0] if plain else rng.choice(BY_KEY[key].names),
                "" if rng.random() < 0.2 else rng.choice(BY_KEY[key].about),
            )
        names[key] = (name, parameters)
        tools.append(schema(name, parameters, about))
    return Offer(tools, names)


Turn = tuple[str, str]  # role, text


def conversation(language: str, rng: random.Random) -> tuple[list[dict[str, object]], list[Turn]]:
    """Tools and the turns of one calculation: user, assistant (call), tool, ..., assistant (answer)."""
    offered = offer(rng)
    have = [k for k in offered.names if k != "invented"]
    n = [_number(rng) for _ in range(3)]
    t = [number_text(x) for x in n]
    w = [f"({x})" if x.startswith("-") and rng.random() < 0.3 else x for x in t]
    roll = rng.random()
    steps: list[tuple[str, object, object]]
    if ("invented" in offered.names and roll < 0.6) or rng.random() < 0.12:  # called by its name
        key = "invented" if "invented" in offered.names and roll < 0.6 else rng.choice(list(offered.names))
        name = offered.names[key][0]
        ask = pick(list(BY_NAME[language]), rng, False).replace("\1", name).replace("\2", t[0]).replace("\3", t[1])
        steps = [(key, n[0], n[1])]
    elif {"add", "mul"} <= set(have) and roll < 0.55:
        kind = rng.randrange(8)
        plus, times = rng.choice(("+", "+", " + ")), rng.choice(("*", "*", " * ", "×", " × ", "x"))
        if kind < 2:
            body, steps = f"({w[0]}{plus}{w[1]}){times}{w[2]}", [("add", n[0], n[1]), ("mul", None, n[2])]
        elif kind == 2:
            body, steps = f"{w[0]}{times}({w[1]}{plus}{w[2]})", [("add", n[1], n[2]), ("mul", n[0], None)]
        elif kind == 3:
            body, steps = f"{w[0]}{times}{w[1]}{plus}{w[2]}", [("mul", n[0], n[1]), ("add", None, n[2])]
        elif kind == 4:
            body, steps = f"{w[0]}{plus}{w[1]}{times}{w[2]}", [("mul", n[1], n[2]), ("add", n[0], None)]
        elif kind == 5:
            op = rng.choice(("add", "mul"))
            sign = plus if op == "add" else times
            body, steps = f"{w[0]}{sign}{w[1]}{sign}{w[2]}", [(op, n[0], n[1]), (op, None, n[2])]
        else:
            which = "" if kind == 6 else "2"
            pattern = (
                rng.choice(TWO[language + which]).replace("{n0}", "\1").replace("{n1}", "\2").replace("{n2}", "\3")
            )
            body = expand(pattern, rng, language == "zh").replace("\1", t[0]).replace("\2", t[1]).replace("\3", t[2])
            first, second = ("add", "mul") if kind == 6 else ("mul", "add")
            steps = [(first, n[0], n[1]), (second, None, n[2])]
        ask = (
            body
            if kind >= 6
            else expand(rng.choice(VERBS[language]), rng).strip(" ") + " " + body + rng.choice(ENDS[language])
        )
        ask = ask.strip()
    else:
        key = rng.choice(have) if have and rng.random() < 0.93 else rng.choice([o.key for o in OPERATIONS])
        operation = BY_KEY[key]
        if operation.signs and rng.random() < 0.4:
            ask = (
                expand(rng.choice(VERBS[language]), rng)
                + w[0]
                + rng.choice(operation.signs)
                + w[1]
                + rng.choice(ENDS[language])
            )
        else:
            ask = (
                expand(
                    rng.choice(getattr(operation, language)).replace("A", "\1").replace("B", "\2"),
                    rng,
                    language == "zh",
                )
                .replace("\1", t[0])
                .replace("\2", t[1])
            )
        ask = ask.strip()
        if key not in offered.names:
            return offered.tools, [("user", ask), ("assistant", NO_TOOL[language])]
        steps = [(key, n[0], n[1])]
    turns: list[Turn] = [("user", ask)]
    value: float = 0.0
    for key, left, right in steps:
        a, b = value if left is None else left, value if right is None else right
        name, parameters = offered.names[key]
        run = BY_KEY[key].run if key in BY_KEY else lambda _a, _b: _number(rng)
        try:
            value = float(run(float(a), float(b)))  # type: ignore[arg-type]
        except OverflowError:
            value = 0.0
        if rng.random() < 0.25:  # the answer is the tool's, not the model's own guess
            value = _number(rng)
        value = float(number_text(value)) if abs(value) < 1e12 else 0.0
        arguments = {p: json.loads(number_text(float(v))) for p, v in zip(parameters, (a, b), strict=True)}  # type: ignore[arg-type]
        turns.append(("assistant", call_text(name, arguments)))
        shown = number_text(value)
        turns.append(
            (
                "tool",
                rng.choice(
                    (
                        shown,
                        shown,
                        shown,
                        shown,
                        json.dumps({"result": json.loads(shown)}),
                        str(float(value)) if value.is_integer() else shown,
                    )
                ),
            )
        )
        final = turns[-1][1]
    answer = final if not final.startswith("{") else shown
    if answer.endswith(".0"):
        answer = answer[:-2]
    turns.append(("assistant", RESULT[language].format(answer)))
    return offered.tools, turns
