"""Finds the errors that servers send in place of an answer, or in the middle of one, and their words. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backend.chat.completion_values import PARTS_DEPTH, whole_number
from backend.chat.json_text import json_values

# By their names in small letters without underscores, the telling ones first
SAID = (
    "error", "err", "exception", "fault", "baseresp", "header", "message", "msg", "detail", "details", "errormsg",
    "errormessage", "errors", "reason", "description", "errordescription", "statusmsg", "faultstring", "metadata",
    "raw", "failedgeneration", "title",
)  # fmt: skip
ALONE = ("detail", "message", "msg", "errormsg", "errormessage", "err", "exception", "fault")  # an error by itself
STATUSES = ("status", "code", "statuscode", "httpstatus", "httpcode", "errorcode")
NOTHING = frozenset({"", "null", "none", "false", "nil", "undefined", "0", "no error"})
FINE = frozenset({"ok", "success", "succeeded", "successful", "true", "0", "200", "completed", "in_progress", "queued"})
FORMAL = frozenset({
    *STATUSES, "success", "ok", "message", "msg", "statusmsg", "id", "sid", "requestid", "created", "model", "object",
    "type",
})  # fmt: skip
MOST_ITEMS = 20


class ServerSaid(Exception):
    """The server answered with an error; its own words, and its code where it is an HTTP status (else 0)."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


def error_in(value: Mapping[str, Any], kind: str) -> ServerSaid | None:
    """The error that a JSON object is or holds, in whatever shape; None where it holds none."""
    given = _small(value)
    has_answer = bool(value.get("choices"))
    is_error = (
        not _is_nothing(given.get("error"))
        or kind.lower() == "error"
        or value.get("object") == "error"
        or value.get("type") in ("error", "response.failed")
    )
    if not is_error and not has_answer:
        is_error = (
            bool(given.get("errors"))
            or value.get("success") is False
            or value.get("status") in ("error", "failed", "failure")
            or _has_failed(given)
            or (not _is_fine(given) and "content" not in value and any(_is_telling(given.get(name)) for name in ALONE))
        )
    if not is_error:
        return None
    status = status_in(value.get("error")) or status_in(value)
    if value.get("type") == "response.failed" and isinstance(value.get("response"), Mapping):
        value = value["response"]
    return ServerSaid(words(value), status)


def says_fine(value: Mapping[str, Any]) -> bool:
    """Whether it says that all is well and nothing more."""
    given = _small(value)
    return _is_fine(given) and given.keys() <= FORMAL


def choice_error(choice: Mapping[str, Any], reason: str) -> ServerSaid | None:
    """The error that stands in a choice, where the answer's text would."""
    delta = choice.get("delta")
    for holder in (choice, delta):
        if isinstance(holder, Mapping) and not _is_nothing(error := holder.get("error")):
            return ServerSaid(words(error), status_in(error))
    if reason.lower() == "error":
        said = {name: text for name, text in choice.items() if name not in ("delta", "finish_reason")}
        if isinstance(said.get("message"), Mapping):
            del said["message"]
        if text := ": ".join(_once(_texts(said, PARTS_DEPTH))):
            return ServerSaid(text, status_in(choice))
    return None


def words(value: object) -> str:
    """The server's own words out of an error of any shape, the short ones before what explains them."""
    if isinstance(value, Mapping) and isinstance(error := value.get("error"), Mapping | list | str) and error:
        outside = {name: inner for name, inner in value.items() if name != "error"}
        found = _once(_texts(error, PARTS_DEPTH)) + _once(_texts(outside, PARTS_DEPTH))
        return ": ".join(_once(found)) or _shown(error)
    return ": ".join(_once(_texts(value, PARTS_DEPTH))) or ("" if value is None else _shown(value))


def status_in(value: object) -> int:
    """The HTTP status that an error names, or 0."""
    if isinstance(value, Mapping):
        given = _small(value)
        for name in STATUSES:
            number = whole_number(given.get(name))
            if number is not None and 400 <= number <= 599:
                return number
    return 0


def _texts(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        inner, rest = json_values(value) if value.lstrip()[:1] == "{" and depth else ([], value)
        if len(inner) == 1 and not rest:
            yield words(inner[0])
        elif value.strip() and value.strip().lower() not in NOTHING:
            yield value
    elif isinstance(value, Mapping) and depth:
        given = _small(value)
        for name in SAID:
            yield from _texts(given.get(name), depth - 1)
    elif isinstance(value, list) and value and depth:
        yield "; ".join(filter(None, (_item_words(item, depth - 1) for item in value[:MOST_ITEMS])))


def _item_words(item: object, depth: int) -> str:
    """An item of a list of errors; a validator's names the place: ``messages.0.content: field required``."""
    said = ": ".join(_once(_texts(item, depth))) or _shown(item)
    if isinstance(item, Mapping) and isinstance(item.get("loc"), list):
        place = ".".join(str(part) for part in item["loc"])
        return f"{place}: {said}"
    return said


def _once(texts: Iterable[str]) -> list[str]:
    """Without those that another one holds."""
    found: list[str] = []
    for text in texts:
        if text and not any(text in known for known in found):
            found = [known for known in found if known not in text] + [text]
    return found


def _shown(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return str(type(value).__name__)


def _small(value: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name).lower().replace("_", ""): inner for name, inner in value.items()}


def _is_nothing(error: object) -> bool:
    """Whether a field for an error says that there is none."""
    if isinstance(error, str):
        return error.strip().lower() in NOTHING
    if isinstance(error, Mapping) and error:
        code = error.get("code", error.get("status"))
        return code is not None and str(code).lower() in FINE and not any(_texts(error, PARTS_DEPTH))
    return not error


def _is_telling(said: object) -> bool:
    if isinstance(said, Mapping):
        return any(_texts(said, PARTS_DEPTH))
    return isinstance(said, str | list) and bool(said)


def _is_fine(given: Mapping[str, Any]) -> bool:
    """Whether it says of itself that nothing went wrong: its message is no error's."""
    said = [given[name] for name in (*STATUSES, "success", "ok") if name in given and given[name] is not None]
    return bool(said) and all(str(one).lower() in FINE for one in said)


def _has_failed(given: Mapping[str, Any]) -> bool:
    """MiniMax's and Spark's own forms."""
    for name, code in (("baseresp", "statuscode"), ("header", "code")):
        if isinstance(inner := given.get(name), Mapping):
            number = whole_number(_small(inner).get(code))
            if number not in (None, 0, 200):
                return True
    return False
