"""Computes what is written as a formula. It is read as a tree of a few known kinds, each computed here: nothing is
evaluated, and neither numbers nor time grow without bound. Pure."""

import ast
import math
from collections.abc import Callable, Mapping

LENGTH = 500  # characters
DEEPEST = 50
DIGITS = 300  # of a whole number
MOST_STEPS = 500

OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
}
FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "sqrt": math.sqrt, "cbrt": math.cbrt, "exp": math.exp, "log": math.log, "ln": math.log, "log2": math.log2,
    "log10": math.log10, "sin": math.sin, "cos": math.cos, "tan": math.tan, "asin": math.asin, "acos": math.acos,
    "atan": math.atan, "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh, "abs": abs, "round": round,
    "floor": math.floor, "ceil": math.ceil, "min": min, "max": max, "gcd": math.gcd, "hypot": math.hypot,
    "degrees": math.degrees, "radians": math.radians,
}  # fmt: skip
CONSTANTS: Mapping[str, float] = {"pi": math.pi, "π": math.pi, "e": math.e, "tau": math.tau}
SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "（": "(", "）": ")", "，": ",", "＋": "+"})


class NotAFormula(ValueError):
    """It can't be computed; the text says why, for the model."""


def calculate(expression: str) -> str:
    """The result as text. Raises NotAFormula."""
    text = expression.translate(SIGNS).replace("^", "**").strip().rstrip("=").strip()
    if not text:
        raise NotAFormula("the expression is empty")
    if len(text) > LENGTH:
        raise NotAFormula(f"the expression has {len(text)} characters; at most {LENGTH} are taken")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotAFormula("this isn't an arithmetic expression such as (3+5)*2") from error
    if sum(1 for _ in ast.walk(tree)) > MOST_STEPS:
        raise NotAFormula("the expression has too many parts")
    try:
        return written(_value(tree, DEEPEST))
    except ZeroDivisionError:
        raise NotAFormula("it divides by zero") from None
    except OverflowError:
        raise NotAFormula("the result is too large") from None
    except (TypeError, ValueError) as error:
        if isinstance(error, NotAFormula):
            raise
        raise NotAFormula(f"a function can't take its arguments: {error}") from error


def written(value: float) -> str:
    """A number as a person writes it: whole ones without a point."""
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        raise NotAFormula("the result is too large, or no number")
    rounded = float(f"{value:.12g}")
    return str(int(rounded)) if rounded.is_integer() and abs(rounded) < 1e15 else repr(rounded)


def _value(node: ast.AST, depth: int) -> float:
    if depth <= 0:
        raise NotAFormula("the expression is nested too deeply")
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return _bounded(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name) and node.id in CONSTANTS:
        return CONSTANTS[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _value(node.operand, depth - 1)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, depth - 1), _value(node.right, depth - 1)
        if isinstance(node.op, ast.Pow):
            return _power(left, right)
        if operate := OPERATORS.get(type(node.op)):
            return _bounded(operate(left, right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if function := FUNCTIONS.get(node.func.id):
            return _bounded(function(*(_value(one, depth - 1) for one in node.args)))
        raise NotAFormula(f"there is no function {node.func.id[:40]!r}; there are: {', '.join(FUNCTIONS)}")
    if isinstance(node, ast.Name):
        raise NotAFormula(f"{node.id[:40]!r} is neither a number nor a known constant")
    raise NotAFormula("only numbers, + - * / // % ^, parentheses and functions such as sqrt are known")


def _power(base: float, exponent: float) -> float:
    result: float | complex
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if base not in (0, 1, -1) and exponent * math.log10(abs(base)) > DIGITS:
            raise OverflowError
        return _bounded(int(base**exponent))
    result = float(base) ** float(exponent)
    if isinstance(result, complex):
        raise NotAFormula("the root of a negative number is no real number")
    return result


def _bounded(value: float) -> float:
    if isinstance(value, int) and value.bit_length() > DIGITS * 4:
        raise OverflowError
    return value
