"""A person's own tools, pasted as JSON or as a tutorial's Python: read, never run. Pure."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from backend.chat.conversation import OwnTool
from backend.errors import InvalidInput, Message

FIELD = "own_tools"
LENGTH = 50_000  # characters of what is pasted
MOST = 16
SCHEMA_LENGTH = 20_000
_NAME = re.compile(r"[A-Za-z_][\w-]{0,63}")
_WORDS = {"true": True, "false": False, "null": None}


def read_tools(text: str) -> tuple[OwnTool, ...]:
    """The tools of a text: JSON, or Python with ``tools = […]`` somewhere in it, in any dialect of the field. ()
    where it is empty. Raises InvalidInput, which says what couldn't be read."""
    text = text.strip().removeprefix("\ufeff")
    if not text:
        return ()
    if len(text) > LENGTH:
        raise _wrong("long", count=len(text), limit=LENGTH)
    found = _value(text)
    items = found if isinstance(found, list) else found.get("tools", found) if isinstance(found, Mapping) else None
    items = [items] if isinstance(items, Mapping) else items
    if not isinstance(items, list) or not items:
        raise _wrong("none")
    if len(items) > MOST:
        raise _wrong("many", count=len(items), limit=MOST)
    tools = tuple(_tool(item, number) for number, item in enumerate(items, start=1))
    names = [tool.name for tool in tools]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise _wrong("twice", name=twice)
    return tools


def _tool(item: Any, number: int) -> OwnTool:
    function = item.get("function", item) if isinstance(item, Mapping) else None
    if not isinstance(function, Mapping):
        raise _wrong("item", number=number)
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong("name", number=number, value=str(name)[:60])
    schema: Any = next(
        (function[key] for key in ("parameters", "input_schema", "inputSchema", "args") if key in function), {}
    )
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        raise _wrong("schema", name=name)
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping) or not all(isinstance(value, Mapping) for value in properties.values()):
        raise _wrong("properties", name=name)
    try:
        written = json.dumps({"type": "object", "properties": {}, **schema}, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise _wrong("schema", name=name) from None
    if len(written) > SCHEMA_LENGTH:
        raise _wrong("long", count=len(written), limit=SCHEMA_LENGTH)
    description = function.get("description")
    return OwnTool(name, description if isinstance(description, str) else "", written)


def _value(text: str) -> Any:
    """The JSON or the Python literal. Raises InvalidInput."""
    try:
        return json.loads(text)
    except RecursionError:
        raise _wrong("none") from None
    except ValueError as error:
        problem = error
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    for value in _literals(tree) if tree is not None else ():
        return value
    line = getattr(problem, "lineno", 1)
    raise _wrong("unread", line=line)


def _literals(tree: ast.Module) -> Iterator[Any]:
    """What ``tools`` is in Python code; else the first value that may be tools."""
    named, others = list[ast.expr](), list[ast.expr]()
    known: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            known |= dict.fromkeys(names, node.value)
            (named if any("tool" in name.lower() for name in names) else others).append(node.value)
        elif isinstance(node, ast.keyword) and node.arg == "tools":
            named.append(node.value)
        elif isinstance(node, ast.Expr):
            others.append(node.value)
    for node in (*named, *others):
        try:
            value = _literal(node, known)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, list | dict) and value:
            yield value


def _literal(node: ast.expr, known: Mapping[str, ast.expr], depth: int = 40) -> Any:
    """As ast.literal_eval, with JSON's words and names that stand for literals. ValueError."""
    if depth <= 0:
        raise ValueError("too deep")
    if isinstance(node, ast.Name):
        if node.id in _WORDS:
            return _WORDS[node.id]
        if node.id in known:
            return _literal(known[node.id], known, depth - 20)
        raise ValueError(node.id)
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(one, known, depth - 1) for one in node.elts]
    if isinstance(node, ast.Dict):
        keys = [_literal(key, known, depth - 1) for key in node.keys if key is not None]
        if len(keys) != len(node.values) or not all(isinstance(key, str) for key in keys):
            raise ValueError("no JSON object")
        return dict(zip(keys, (_literal(value, known, depth - 1) for value in node.values), strict=True))
    return ast.literal_eval(node)


def _wrong(key: str, **values: str | int) -> InvalidInput:
    return InvalidInput(Message(f"chat.error.own_tools.{key}", values, field=FIELD))
