"""Log-probabilities as servers send them: in any spelling, with any of it missing; and how an answer gets them."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from backend.chat.abilities import logprobs_mode, no_logprobs
from backend.chat.answer_loop import write_answer
from backend.chat.answer_reader import read_all
from backend.chat.completion import Delta, End, Event, Weighed
from backend.chat.conversation import Answer, Conversation, Exchange, Question, Sampling, from_json, to_json
from backend.chat.logprobs import (
    ALTERNATIVES,
    IMPOSSIBLE,
    MOST_TOKENS,
    Alternative,
    Token,
    TokenReader,
    entries_of,
    packed,
    unpacked,
)
from backend.chat.prompt import sampling_fields
from backend.chat.stats import Meter
from backend.engines.base import ServeConfig
from backend.errors import Message, Unavailable
from tests.support.servers_of import server
from tests.unit.backend.chat.test_answer_loop import STOP, Told, task_of


def entry(token: str, logprob: Any = -0.5, tops: Any = (), data: Any = "own") -> dict[str, Any]:
    """A token as LMDeploy has it: the bytes are those of its spelling."""
    told: dict[str, Any] = {"token": token, "logprob": logprob, "top_logprobs": [
        {"token": other, "logprob": value, "bytes": list(other.encode())} for other, value in tops
    ]}  # fmt: skip
    data = list(token.encode("utf-8", "surrogatepass")) if data == "own" else data
    return told if data == "none" else {**told, "bytes": data}


def unpack(tokens: Sequence[str] | None) -> tuple[Token, ...]:
    return tuple(map(unpacked, tokens or ()))


def read(text: str, *entries: Any) -> tuple[Token, ...]:
    reader = TokenReader()
    for one in entries:  # one a chunk
        reader.add(entries_of({"content": [one]}), text)
    return unpack(reader.tokens)


def test_tokens_in_the_spelling_of_a_byte_level_tokenizer() -> None:
    tokens = read(
        "The fox (你", entry("The"), entry("Ġfox", -0.1, [("Ġdog", -2.5), ("<|im_end|>", -3.0)]), entry("Ġ("),
        entry("ä½"), entry("ł"),
    )  # fmt: skip
    assert [token.text for token in tokens[:3]] == ["The", " fox", " ("]
    assert tokens[1].alternatives == (Alternative(" dog", -2.5), Alternative("<|im_end|>", -3.0))
    assert bytes.fromhex(tokens[3].raw + tokens[4].raw).decode() == "你"  # two tokens, one character
    assert tokens[3].text == "\\xe4\\xbd"


def test_tokens_that_came_before_the_spelling_was_known_are_read_again() -> None:
    # "Ã©" is é in a byte-level tokenizer's spelling; nothing but the text can tell.
    assert [token.text for token in read("é", entry("Ã©"), entry("Ġa"))] == ["é", " a"]
    assert [token.text for token in read("Ã© a", entry("Ã©"), entry(" a"))] == ["Ã©", " a"]


@pytest.mark.parametrize(
    ("text", "entries", "found"),
    [
        (" The fox", [entry("▁The"), entry("▁fox")], [" The", " fox"]),
        ("你", [entry("<0xE4>"), entry("<0xBD>"), entry("<0xA0>")], ["\\xe4", "\\xbd", "\\xa0"]),
        ("a fox", [entry("a"), entry(" fox")], ["a", " fox"]),
        # It decodes, and the model writes of tokenizers.
        ("Ġ is a space", [entry("Ġ"), entry(" is")], ["Ġ", " is"]),
        ("write <0xE4>", [entry("write"), entry(" <0xE4>")], ["write", " <0xE4>"]),
        # Bytes that say more than the token.
        ("你", [entry("�", data=[0xE4, 0xBD]), entry("�", data=[0xA0])], ["\\xe4\\xbd", "\\xa0"]),
        ("你好", [entry("你好", data="none"), entry("\n", data=None)], ["你好", "\n"]),
        ("x", [entry("x", data=[300]), entry("y", data="abc"), entry("z", data=[True])], ["x", "y", "z"]),
        ("", [entry("\ud83d")], ["\\xed\\xa0\\xbd"]),  # half of a surrogate pair can be stored, too
    ],
)
def test_tokens_in_other_spellings(text: str, entries: list[Any], found: list[str]) -> None:
    assert [token.text for token in read(text, *entries)] == found


@pytest.mark.parametrize(
    ("logprob", "found"),
    [
        (-0.5, -0.5), (0, 0.0), (0.004, 0.0), (-math.inf, IMPOSSIBLE), (-1e300, IMPOSSIBLE), (-12345, IMPOSSIBLE),
        (math.nan, None), (math.inf, None), (7.5, None), (None, None), ("-0.5", None), (True, None), ([], None),
    ],
)  # fmt: skip
def test_what_is_no_logarithm_of_a_probability_isnt_known(logprob: Any, found: float | None) -> None:
    assert read("a", entry("a", logprob))[0].logprob == found


def test_alternatives_are_the_likeliest_others() -> None:
    tops = [
        ("a", -0.1),
        ("d", -4.0),
        ("b", -2.0),
        ("n", None),
        ("i", -math.inf),
        ("b", -2.0),
        *((f"x{n}", -9.0) for n in range(9)),
    ]
    (token,) = read("a", entry("a", -0.1, tops))
    assert [other.text for other in token.alternatives] == ["b", "d", "x0", "x1", "x2"]
    assert len(token.alternatives) == ALTERNATIVES
    assert read("a", entry("a", 0.0))[0].alternatives == ()


def test_a_token_that_the_server_doesnt_know_has_no_probability() -> None:
    # What LMDeploy sends where the written token has none.
    (token,) = read("fox", {"token": "", "bytes": [], "logprob": 0.0, "top_logprobs": [{"token": "a", "logprob": -1}]})
    assert token == Token("", None, (Alternative("a", -1.0),))


@pytest.mark.parametrize(
    "logprobs",
    [None, [], "x", 5, {}, {"content": None}, {"content": {}}, {"content": []}, {"content": [None, 5]}, {"tokens": 5}],
)
def test_what_holds_no_tokens(logprobs: Any) -> None:
    assert entries_of(logprobs) == ()


def test_the_form_of_the_older_completions() -> None:
    found = entries_of({"tokens": ["a", " b"], "token_logprobs": [None], "top_logprobs": [None, {"c": -1.0}]})
    reader = TokenReader()
    reader.add(found, "a b")
    assert unpack(reader.tokens) == (Token("a", None), Token(" b", None, (Alternative("c", -1.0),)))


def test_thousands_of_tokens_are_kept_and_no_more() -> None:
    reader = TokenReader((packed(Token("before", -1.0)),))
    for _ in range(MOST_TOKENS + 5):
        reader.add(entries_of({"content": [entry("Ġfox", -0.1, [("Ġdog", -1.0)])]}), " fox")
    assert len(reader.tokens) == MOST_TOKENS
    assert unpacked(reader.tokens[-1]) == Token(" fox", -0.1, (Alternative(" dog", -1.0),))


def chunk(delta: str, *entries: Any, **more: Any) -> str:
    choice = {"index": 0, "delta": {"content": delta}, "logprobs": {"content": list(entries)} if entries else None}
    return "data: " + json.dumps({"choices": [{**choice, **more}]}) + "\n\n"


def test_a_stream_brings_text_and_tokens() -> None:
    body = chunk("", entry("Ġthe")) + chunk("the fox", entry("Ġfox")) + chunk("", finish_reason="stop") + "data: [DONE]"
    events = list(read_all(body.encode()))
    assert [type(event).__name__ for event in events] == ["Weighed", "Delta", "Weighed", "End"]
    whole = {"object": "chat.completion", "choices": [{
        "message": {"content": "a b"}, "logprobs": {"content": [entry("a"), entry("Ġb")]}, "finish_reason": "stop",
    }]}  # fmt: skip
    [_, weighed, _] = read_all(json.dumps(whole).encode())
    assert isinstance(weighed, Weighed)
    assert len(weighed.entries) == 2


def test_a_whole_message_after_its_pieces_brings_nothing_twice() -> None:
    message = {"message": {"content": "a b"}, "logprobs": {"content": [entry("a"), entry(" b")]}}
    body = chunk("a", entry("a")) + chunk(" b", entry(" b")) + "data: " + json.dumps({"choices": [message]}) + "\n\n"
    body += chunk("", finish_reason="stop") + "data: [DONE]\n\n"
    assert sum(len(event.entries) for event in read_all(body.encode()) if isinstance(event, Weighed)) == 2


ASKED = Answer("s", "S", "m", tokens=())
WEIGHED = Weighed(entries_of({"content": [entry("Ġfox")]}))


async def last_of(answers: list[Any], asked: Answer = ASKED) -> tuple[Answer, Told]:
    client = Told(answers)
    task = task_of(Sampling(logprobs=True))
    *_, last = [one async for one in write_answer(client, task, asked, Meter(0.0))]
    return last, client


async def test_an_answer_has_the_tokens_that_came() -> None:
    last, _ = await last_of([[Delta("The fox"), WEIGHED, STOP]])
    assert (unpack(last.tokens), last.no_logprobs) == ((Token(" fox", -0.5),), None)
    assert last.stats.answer_tokens == 2  # tokens aren't counted as text


async def test_an_answer_without_tokens_says_so() -> None:
    last, _ = await last_of([[Delta("The fox"), STOP]])
    assert last.tokens == ()
    assert last.no_logprobs is not None
    assert last.no_logprobs.key == "chat.logprobs.none"
    assert last.no_logprobs.level == "info"


async def test_nobody_asked_for_tokens() -> None:
    last, _ = await last_of([[Delta("The fox"), WEIGHED, STOP]], Answer("s", "S", "m"))
    assert (last.tokens, last.no_logprobs) == (None, None)


async def test_a_server_that_refuses_to_tell_answers_all_the_same() -> None:
    words = "Logprobs(True)/top_logprobs(6) requested but not enabled logprobs_mode in engine configuration"
    refusal = Unavailable(Message("chat.error.status", {"status": 400, "detail": words}))
    last, client = await last_of([refusal, [Delta("The fox"), STOP]])
    assert last.text == "The fox"
    assert last.no_logprobs is not None
    assert last.no_logprobs.key == "chat.logprobs.refused"
    assert len(client.requests) == 2
    with pytest.raises(Unavailable):
        await last_of([refusal, refusal])  # not for ever


def test_the_request_asks_for_one_more_than_is_kept() -> None:
    assert sampling_fields(Sampling(logprobs=True))["top_logprobs"] == ALTERNATIVES + 1
    assert "logprobs" not in sampling_fields(Sampling())


def test_a_stored_answer_has_its_tokens() -> None:
    tokens = (Token(" fox", -0.5, (Alternative(" dog", -1.5), Alternative("\\xe4", -3.0, "e4"))), Token("", None))
    told = Answer(
        "s",
        "S",
        "m",
        text="x",
        tokens=tuple(map(packed, tokens)),
        no_logprobs=Message("chat.logprobs.none", level="info"),
    )
    whole = Conversation((Exchange(Question("Hi"), (told,)),), Sampling(logprobs=True))
    stored = json.loads(json.dumps(to_json(whole)))
    assert unpack(from_json(stored).exchanges[0].answers[0].tokens) == tokens
    assert from_json(stored).sampling.logprobs


@pytest.mark.parametrize(
    ("engine", "extra", "key"),
    [
        ("turbomind", (), ""),
        ("pytorch", (), "chat.logprobs.mode"),
        ("pytorch", ("--logprobs-mode", "raw_logits"), "chat.logprobs.mode"),  # these are no probabilities
        ("pytorch", ("--logprobs-mode", "raw_logprobs"), ""),
        ("pytorch", ("--eager-mode", "--logprobs-mode=raw_logprobs"), ""),
        ("pytorch", ("--logprobs-mode",), "chat.logprobs.mode"),
        ("transformers", (), "chat.logprobs.engine"),
        ("external", (), ""),
        ("proxy", (), ""),
    ],
)
def test_which_engine_tells(engine: str, extra: tuple[str, ...], key: str) -> None:
    view = server("s", config=ServeConfig(engine, "/m/s", extra=extra))
    found = no_logprobs(view)
    assert (found.key if found else "") == key


def test_the_mode_is_the_last_one() -> None:
    assert logprobs_mode(("--logprobs-mode", "raw_logits", "--logprobs-mode=raw_logprobs")) == "raw_logprobs"


def test_events_are_what_they_were_without_log_probabilities() -> None:
    body = chunk("a") + chunk("", finish_reason="stop") + "data: [DONE]\n\n"
    events: list[Event] = list(read_all(body.encode()))
    assert events == [Delta("a"), End("stop", None, None)]


@pytest.mark.parametrize(
    "text", ["", "x", "5", "[]", '["a"]', '["a", 5, []]', '["a", -1, [5]]', '["a", NaN, []]', "[" * 9999]
)
def test_what_was_packed_elsewhere_is_a_token_of_which_nothing_is_known(text: str) -> None:
    assert unpacked(text) == Token("", None)
