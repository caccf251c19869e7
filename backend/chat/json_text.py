"""JSON as text that comes in pieces, several values behind one another, or cut. Pure."""

import json
import re

REST_LIMIT = 4000  # characters of what is nested too deeply to be read
MOST_CUTS = 4
UNSEEN = "\ufeff\u200b\0"  # what programs between put around a text: marks of its beginning, an end of C's
_SIGN = re.compile(r'\\.?|[{}\[\]"]', re.DOTALL)
_BETWEEN = re.compile(rf"(?:[\s,;{UNSEEN}\x1e]|data:)*")


class JsonScanner:
    """Follows a text's brackets, so that its end is known without reading it again with each piece."""

    def __init__(self) -> None:
        self._open: list[str] = []  # what closes them
        self._in_string = False
        self._escaped = False  # the text was cut behind a backslash
        self._begun = False

    @property
    def whole(self) -> bool:
        """Whether an object or a list began, and all that began has ended."""
        return self._begun and not self.unfinished

    @property
    def unfinished(self) -> bool:
        """Whether something began that hasn't ended."""
        return bool(self._open) or self._in_string

    @property
    def missing(self) -> str:
        """What would end it here."""
        return '"' * self._in_string + "".join(reversed(self._open))

    def feed(self, text: str) -> None:
        """One more piece."""
        begin = int(self._escaped and bool(text))
        self._escaped = self._escaped and not text
        for found in _SIGN.finditer(text, begin):
            sign = found[0]
            if sign == '"':
                self._in_string = not self._in_string
            elif sign[0] == "\\":
                self._escaped = self._in_string and len(sign) == 1
            elif self._in_string:
                continue
            elif sign in "{[":
                self._begun = True
                self._open.append("}" if sign == "{" else "]")
            elif self._open:
                self._open.pop()


def json_values(text: str) -> tuple[list[object], str]:
    """The JSON values that stand in the text, one behind another, and the rest that is none."""
    try:
        return [json.loads(text, strict=False)], ""  # a raw tab or line end in a string is text like any other
    except RecursionError:
        return [], text[:REST_LIMIT]
    except ValueError:
        pass
    values: list[object] = []
    decoder = json.JSONDecoder(strict=False)
    at = _end_of_gap(text, 0)
    while text.startswith(("{", "["), at):
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        values.append(value)
        at = _end_of_gap(text, at)
    return values, text[at:]


def cut_value(text: str) -> object:
    """The value whose text was cut, as far as it goes; None where that can't be told."""
    for _ in range(MOST_CUTS):
        scanner = JsonScanner()
        scanner.feed(text)
        if not scanner.unfinished:
            return None
        try:
            return json.loads(text + scanner.missing, strict=False)
        except RecursionError:
            return None
        except ValueError:
            text = text[: max(0, text.rfind(","))]  # without the name or the word that it was cut in
    return None


def is_json(text: bytes | str) -> bool:
    """Whether the text is an object or a list as a whole."""
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _end_of_gap(text: str, at: int) -> int:
    gap = _BETWEEN.match(text, at)
    return gap.end() if gap else at
