"""The text in a record of training or evaluation data, by the names that such data uses. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# A field that holds the whole text; the first one that is there counts.
WHOLE = (
    "text", "content", "raw_content", "document", "article", "body", "markdown", "passage", "paragraph", "sentence",
    "code", "story", "page_content",
)  # fmt: skip
# Lists of turns, as ShareGPT, OpenAI and their kin write them.
TURNS = ("messages", "conversations", "conversation", "dialog", "dialogue", "dialogs", "turns", "chat", "history")
# What a question and its answer are made of, in the order they are read: Alpaca and its kin, preferences, exams.
PARTS = (
    "system", "system_prompt", "instruction", "instructions", "title", "context", "prompt", "question", "problem",
    "query", "input", "inputs", "human", "user", "history", "messages", "reasoning", "thought", "think",
    "chain_of_thought", "output", "outputs", "answer", "answers", "response", "responses", "completion", "target",
    "targets", "solution", "assistant", "bot", "gpt", "moss", "chosen", "summary", "translation", "abstract",
)  # fmt: skip
# What a turn calls its text.
SAID = ("content", "value", "text", "message", "utterance", "parts", "content_parts")
# What wraps records: exports of datasets, of their viewers, of chat services.
WRAPPERS = (
    "data",
    "train",
    "rows",
    "row",
    "examples",
    "instances",
    "records",
    "items",
    "samples",
    "dataset",
    "docs",
    "documents",
)
# Lists of records that go on with what the record itself begins: exams by passage, books, threads.
INSIDE = ("paragraphs", "qas", "instances", "sections", "pages", "chapters", "comments", "replies")
LEAST_PROSE = 20  # characters: shorter values of unknown fields are rather names and categories
DEEPEST = 16


def texts_of(value: Any, depth: int = 0) -> Iterator[str]:
    """Every sample's text in a JSON value: a text, a record, a list of them, or what wraps such a list."""
    if depth > DEEPEST:
        return
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, Mapping):
        yield from _of_mapping({str(key).strip().lower(): item for key, item in value.items()}, depth)
    elif isinstance(value, Sequence):
        if value and all(_is_turn(turn) for turn in value):
            yield from _one(_turns(value))
        else:
            for item in value:
                yield from texts_of(item, depth + 1)


def _of_mapping(record: Mapping[str, Any], depth: int) -> Iterator[str]:
    """A record is one sample; a table by columns has one in each row."""
    whole = next((record[key] for key in WHOLE if record.get(key)), None)
    if isinstance(whole, str):
        yield from _one([whole])
        return
    if isinstance(whole, (list, Mapping)):  # columns, as pandas writes them, or a message's parts
        yield from _one([_said(record)]) if _is_turn(record) else texts_of(_column(whole), depth + 1)
        return
    turns = next((record[key] for key in TURNS if isinstance(record.get(key), list) and record[key]), None)
    parts = [_part(record[key]) for key in PARTS if key in record and record[key] is not turns]
    if turns is not None and any(_is_turn(turn) or isinstance(turn, (str, list)) for turn in turns):
        spoken = _turns(turns)
        answered = [part for part in parts if part and part not in spoken]
        system = [part for part in answered if part == _part(record.get("system"))]
        yield from _one([*system, *spoken, *(part for part in answered if part not in system)])
        return
    columns = [record[key] for key in PARTS if isinstance(record.get(key), list)]
    if len(columns) > 1 and len({len(column) for column in columns}) == 1 and len(columns[0]) > 1:
        for row in zip(*columns, strict=True):
            yield from _one([_part(item) for item in row])
        return
    if any(parts):
        more = [item for key in INSIDE if isinstance(record.get(key), list) for item in record[key]]
        yield from _one([*parts, *(text for item in more for text in texts_of(item, depth + 1))])
        return
    inside = [record[key] for key in WRAPPERS if isinstance(record.get(key), (list, Mapping))]
    if inside:
        for item in inside:
            yield from texts_of(item, depth + 1)
        return
    words = next((item for item in record.values() if _is_words(item)), None)
    if words is not None:  # of data for taggers
        yield from _one([("" if words[0] > "\u2e80" else " ").join(words)])
        return
    nested = [item for item in record.values() if isinstance(item, (list, Mapping))]
    texts = [text for item in nested for text in texts_of(item, depth + 1)]
    if texts:
        yield from texts
        return
    yield from _one([item for item in record.values() if isinstance(item, str) and _is_prose(item)])


def _turns(turns: Sequence[Any]) -> list[str]:
    """What is said in a conversation, turn by turn. ChatGLM's history is a list of pairs."""
    lines = []
    for turn in turns:
        if isinstance(turn, Mapping):
            lines.append(_said({str(key).lower(): item for key, item in turn.items()}))
        else:
            lines.append(_part(turn))
    return [text for text in lines if text.strip()]


def _said(turn: Mapping[str, Any]) -> str:
    for key in SAID:
        if turn.get(key):
            return _part(turn[key])
    return "\n".join(filter(None, (_part(turn[key]) for key in PARTS if key in turn)))


def _part(value: Any) -> str:
    """The text of a field: itself, or that of the parts it is made of (a picture among them has none)."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        lower = {str(key).lower(): item for key, item in value.items()}
        return next((_part(lower[key]) for key in SAID if lower.get(key)), "")
    if isinstance(value, Sequence):
        return "\n".join(filter(None, (_part(item) for item in value)))
    return ""


def _is_turn(value: Any) -> bool:
    """Whether it is one turn of a conversation rather than a sample of its own."""
    if not isinstance(value, Mapping):
        return False
    keys = {str(key).lower() for key in value}
    return bool(keys & {"role", "from", "speaker", "author"}) and bool(keys & set(SAID))


def _column(whole: Any) -> Any:
    """What stands in a column: pandas numbers its rows. Another mapping is a record of its own."""
    numbered = isinstance(whole, Mapping) and all(str(key).isdecimal() for key in whole)
    return list(whole.values()) if numbered else whole


def _is_words(value: Any) -> bool:
    """Whether it is a sentence in a list of its words."""
    return (
        isinstance(value, list)
        and len(value) > 2
        and all(isinstance(word, str) and word and len(word) < 30 and not word[0].isspace() for word in value)
        and not any(" " in word for word in value)
    )


def _is_prose(text: str) -> bool:
    wide = sum(char > "\u2e80" for char in text)
    return len(text) + 2 * wide >= LEAST_PROSE and (" " in text.strip() or wide > 0) and "://" not in text[:10]


def _one(parts: Sequence[str]) -> Iterator[str]:
    text = "\n".join(part.strip("\n") for part in parts if part and part.strip())
    if text.strip():
        yield text
