"""What form an answer shall have: a JSON schema or a regular expression. It is checked before it is asked for, and the
answer against it. Pure."""

import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from re import _constants, _parser  # type: ignore[attr-defined]  # the tree of a pattern; no other library has it
from typing import Any

from backend.chat.conversation import AnswerForm
from backend.errors import InvalidInput, Message

FIELD = "answer_form"
SCHEMA_LENGTH = 20_000  # characters
PATTERN_LENGTH = 1_000
MOST_WILD = 2  # ``.*`` in a pattern
MATCHED = 2_000  # characters that are matched against a pattern: the time may grow with their square
REPEATS = 1_000  # of a counted repetition, nested ones multiplied
DEEPEST = 24
MOST_PROBLEMS = 20
SHOWN = 60
TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip


def read_form(kind: str, text: str) -> AnswerForm | None:
    """The form; None where none is wanted. Raises InvalidInput."""
    text = text.strip()
    if not kind or not text:
        return None
    if kind == "regex":
        check_pattern(text)
        return AnswerForm("regex", text)
    if kind != "schema":
        raise _wrong("kind", value=kind[:SHOWN])
    if len(text) > SCHEMA_LENGTH:
        raise _wrong("long", count=len(text), limit=SCHEMA_LENGTH)
    try:
        schema = json.loads(text)
    except RecursionError:
        raise _wrong("deep", limit=DEEPEST) from None
    except ValueError as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        raise _wrong("json", line=line, column=column) from None
    if isinstance(schema, Mapping) and isinstance(schema.get("schema"), Mapping):  # as OpenAI's json_schema has it
        schema = schema["schema"]
    check_schema(schema)
    return AnswerForm("schema", json.dumps(schema, ensure_ascii=False))


def response_format(form: AnswerForm) -> dict[str, Any]:
    """As LMDeploy's request has it."""
    if form.kind == "regex":
        return {"type": "regex_schema", "regex_schema": form.text}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": json.loads(form.text)}}


# -- a schema ----------------------------------------------------------------------------------------------------------


def check_schema(schema: Any) -> None:
    """InvalidInput where it is no JSON schema, with the place in it."""
    for place, part, depth in _parts(schema, "$", 0):
        if depth > DEEPEST:
            raise _wrong("deep", limit=DEEPEST)
        if isinstance(part, bool) and place != "$":
            continue
        if not isinstance(part, Mapping):
            raise _wrong("part", place=place)
        kinds = part.get("type", [])
        unknown = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind not in TYPES]
        if unknown:
            raise _wrong("type", place=place, value=str(unknown[0])[:SHOWN], known=", ".join(TYPES))
        if "enum" in part and (not isinstance(part["enum"], list) or not part["enum"]):
            raise _wrong("enum", place=place)
        if isinstance(part.get("pattern"), str):
            check_pattern(part["pattern"])
        if "$ref" in part and _referred(schema, part["$ref"]) is None:
            raise _wrong("ref", place=place, value=str(part["$ref"])[:SHOWN])
    if not schema:
        raise _wrong("empty")


def _parts(schema: Any, place: str, depth: int) -> Iterator[tuple[str, Any, int]]:
    yield place, schema, depth
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        return
    for key in ("properties", "patternProperties", "$defs", "definitions"):
        inner = schema.get(key)
        if inner is not None and not isinstance(inner, Mapping):
            yield f"{place}.{key}", None, depth
        for name, part in inner.items() if isinstance(inner, Mapping) else ():
            yield from _parts(part, f"{place}.{key}.{name}"[:200], depth + 1)
    for key in ("items", "additionalProperties", "not"):
        if key in schema:
            yield from _parts(schema[key], f"{place}.{key}", depth + 1)
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for number, part in enumerate(schema[key] if isinstance(schema.get(key), list) else ()):
            yield from _parts(part, f"{place}.{key}[{number}]", depth + 1)


def _referred(schema: Any, reference: Any) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found = schema
    for step in reference.removeprefix("#").strip("/").split("/") if len(reference) > 1 else ():
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


# -- a regular expression ----------------------------------------------------------------------------------------------


def check_pattern(pattern: str) -> None:
    """InvalidInput where it is none, or would take a server or this console for ever."""
    if len(pattern) > PATTERN_LENGTH:
        raise _wrong("pattern_long", count=len(pattern), limit=PATTERN_LENGTH)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
            tree = _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        at = getattr(error, "pos", None)
        raise _wrong("pattern", problem=str(getattr(error, "msg", "") or error)[:SHOWN], at=at or 0) from None
    _check_repeats(tree, 1, False)
    if _wild(tree) > MOST_WILD:
        raise _wrong("pattern_explodes", limit=REPEATS)


def _check_repeats(tree: Any, times: int, endless: bool) -> None:
    open_end = False  # an endless repetition came, and nothing since that must be there
    for kind, value in tree:
        repeats = kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
        if repeats and value[1] == _constants.MAXREPEAT:
            if open_end:
                raise _wrong("pattern_explodes", limit=REPEATS)
            open_end = True
        elif kind is not _constants.AT and not (repeats and value[0] == 0):
            open_end = False
        if kind in (_constants.ASSERT, _constants.ASSERT_NOT, _constants.GROUPREF, _constants.GROUPREF_EXISTS):
            raise _wrong("pattern_unknown")
        if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
            _, most, inner = value
            unbounded = most == _constants.MAXREPEAT
            if (endless and (unbounded or most > 1)) or (not unbounded and times * most > REPEATS):
                raise _wrong("pattern_explodes", limit=REPEATS)
            _check_repeats(inner, times if unbounded else times * max(most, 1), endless or unbounded)
        elif kind is _constants.SUBPATTERN:
            _check_repeats(value[-1], times, endless)
        elif kind is _constants.BRANCH:
            for branch in value[1]:
                _check_repeats(branch, times, endless)
        elif kind is _constants.ATOMIC_GROUP:
            _check_repeats(value, times, endless)


def _wild(tree: Any) -> int:
    """How many endless repetitions there are of anything, or of all but something."""
    count = 0
    for kind, value in tree:
        if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            _, most, inner = value
            first, what = inner[0] if len(inner) else (None, [(None, None)])
            wild = first in (_constants.ANY, _constants.NOT_LITERAL) or (
                first is _constants.IN and what[0][0] is _constants.NEGATE
            )
            count += (most == _constants.MAXREPEAT and wild) + _wild(inner)
        elif kind is _constants.SUBPATTERN:
            count += _wild(value[-1])
        elif kind is _constants.BRANCH:
            count += sum(map(_wild, value[1]))
    return count


# -- an answer ---------------------------------------------------------------------------------------------------------


def value_of(text: str) -> Any:
    """The JSON value that an answer is, also between fences. ValueError where it is none."""
    text = text.strip()
    if fenced := re.fullmatch(r"```(?:json)?\s*\n(.*)\n\s*```", text, re.DOTALL):
        text = fenced[1]
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def problems(form: AnswerForm, text: str) -> list[tuple[str, str]]:
    """Where the answer isn't as it should be: a place in it, and a word for what is wrong there (``form.<word>``)."""
    if form.kind == "regex":
        if len(text) > MATCHED:
            return [("", "unchecked")]
        return [] if re.fullmatch(form.text, text.strip("\n")) else [("", "pattern")]
    try:
        value = value_of(text)
    except ValueError:
        return [("", "json")]
    schema = json.loads(form.text)
    return list(_wrongs(schema, value, "$", schema, 0))[:MOST_PROBLEMS]


def _wrongs(schema: Any, value: Any, place: str, root: Any, depth: int) -> Iterator[tuple[str, str]]:
    if schema is False:
        yield place, "extra"
    if not isinstance(schema, Mapping) or depth > 2 * DEEPEST:
        return
    if "$ref" in schema:
        yield from _wrongs(_referred(root, schema["$ref"]), value, place, root, depth + 1)
    kinds = schema.get("type")
    if kinds is not None and not any(_is(value, kind) for kind in (kinds if isinstance(kinds, list) else [kinds])):
        yield place, "type"
        return
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        yield place, "enum"
    if isinstance(value, str):
        yield from _bounds(schema, len(value), place, "minLength", "maxLength", "length")
        if isinstance(pattern := schema.get("pattern"), str) and len(value) > MATCHED:
            yield place, "unchecked"
        elif isinstance(pattern, str) and not re.search(pattern, value):
            yield place, "pattern"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bounds(schema, value, place, "minimum", "maximum", "range")
    elif isinstance(value, Mapping):
        properties = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{place}.{name}", "missing"
        for name, inner in value.items():
            part = properties.get(name, schema.get("additionalProperties", True))
            yield from _wrongs(part, inner, f"{place}.{name}", root, depth + 1)
    elif isinstance(value, list):
        yield from _bounds(schema, len(value), place, "minItems", "maxItems", "length")
        for number, inner in enumerate(value):
            yield from _wrongs(schema.get("items", True), inner, f"{place}[{number}]", root, depth + 1)
    yield from _combined(schema, value, place, root, depth)


def _combined(schema: Mapping[str, Any], value: Any, place: str, root: Any, depth: int) -> Iterator[tuple[str, str]]:
    def fits(part: Any) -> bool:
        return next(_wrongs(part, value, place, root, depth + 1), None) is None

    for part in schema.get("allOf", ()):
        yield from _wrongs(part, value, place, root, depth + 1)
    if (options := schema.get("anyOf")) and not any(map(fits, options)):
        yield place, "none"
    if (options := schema.get("oneOf")) and sum(map(fits, options)) != 1:
        yield place, "none"


def _bounds(
    schema: Mapping[str, Any], size: float, place: str, low: str, high: str, word: str
) -> Iterator[tuple[str, str]]:
    least, most = schema.get(low), schema.get(high)
    too_low = isinstance(least, int | float) and size < least
    if too_low or (isinstance(most, int | float) and size > most):
        yield place, word


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES.get(kind, ()))


def _wrong(key: str, **values: str | int) -> InvalidInput:
    return InvalidInput(Message(f"chat.error.answer_form.{key}", values, field=FIELD))


__all__: Sequence[str] = ("check_pattern", "check_schema", "problems", "read_form", "response_format", "value_of")
