"""Conversations as files and back, and every file that is none."""

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from backend.chat.archive import Entry
from backend.chat.branches import set_aside
from backend.chat.conversation import (
    Answer,
    AnswerState,
    Conversation,
    Picture,
    Question,
    Round,
    Sampling,
    ToolUse,
    to_json,
)
from backend.chat.export import exported
from backend.chat.imports import Found, read_file
from backend.chat.logprobs import MOST_TOKENS
from backend.errors import InvalidInput, Message, NotFound

ENTRY = Entry("x", "v", "KV cache: 显存?", True, False, 1.0, 2.0, 2)


def png() -> str:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def url(visitor: str, picture: str) -> str:
    assert visitor == "v"
    if picture == "gone.png":
        raise NotFound(Message("chat.error.picture_missing"))
    return png()


def talked() -> Conversation:
    called = Answer(
        "s", "Server", "qwen", AnswerState.DONE, "It is 16. <script>alert(1)</script>", "hm",
        (Round("", (ToolUse("c1", "add", '{"a": 3}', "8"),)),),
    )  # fmt: skip
    plain = Answer("s", "Server", "qwen", AnswerState.DONE, "显存")
    whole = Conversation().asked(Question("看图", (Picture("a.png", "cat.png", 4, 3),)), (plain,), Sampling(system="S"))
    whole = whole.asked(Question("(3+5)*2"), (called, plain), Sampling(system="S", temperature=0.1))
    return set_aside(whole, 1).asked(Question("again"), (plain,), Sampling(system="S"))


def out(form: str, several: bool = False, conversation: Conversation | None = None) -> bytes:
    return exported([(ENTRY, to_json(conversation or talked()))], form, several, url).data


def found(value: Any) -> Found:
    return read_file(value if isinstance(value, bytes) else json.dumps(value).encode(), "file.json")


def keys(found: Found) -> dict[str, object]:
    return {note.key.removeprefix("chat.import.left_"): note.params["count"] for note in found.notes}


def test_what_was_saved_as_json_comes_back_whole() -> None:
    back = found(out("json", several=True))
    (one,) = back.conversations
    assert (one.conversation, one.title, back.notes) == (talked(), ENTRY.title, ())
    assert list(one.pictures) == ["a.png"]
    assert one.pictures["a.png"].data[:4] == b"\x89PNG"


@pytest.mark.parametrize("several", [False, True])
def test_openai_messages_there_and_back(several: bool) -> None:
    data = out("openai", several)
    messages = json.loads(data)["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user", "assistant"]
    assert messages[1]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    back = found(data)
    (one,) = back.conversations
    assert back.notes == ()
    assert [exchange.question.text for exchange in one.conversation.exchanges] == ["看图", "again"]
    assert one.conversation.sampling.system == "S"
    assert len(one.pictures) == 1


def test_tools_survive_openai_messages() -> None:
    from backend.chat.branches import turned_to

    back = found(out("openai", conversation=turned_to(talked(), 2)))
    answer = back.conversations[0].conversation.exchanges[1].answers[0]
    assert [(use.name, use.arguments, use.result) for use in answer.rounds[0].calls] == [("add", '{"a": 3}', "8")]
    assert answer.text == "It is 16. <script>alert(1)</script>"
    assert back.notes == ()


def test_markdown_is_read_by_people() -> None:
    text = out("markdown").decode()
    assert text.startswith("# KV cache: 显存?\n")
    for part in ("> S", "[cat.png]", "看图", "again", "### Server"):
        assert part in text
    name = exported([(ENTRY, to_json(talked()))], "markdown", False, url).name
    assert name == "KV cache 显存.md"
    with pytest.raises(InvalidInput):
        exported([(ENTRY, {})], "pdf", False, url)


def test_a_picture_whose_file_is_gone_is_said() -> None:
    lost = Conversation().asked(Question("?", (Picture("gone.png", "g", 1, 1),)), (), Sampling())
    back = found(out("json", conversation=lost))
    assert keys(back) == {"pictures": 1}
    assert back.conversations[0].conversation.exchanges[0].question == Question("?")


USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
OTHERS: dict[str, Any] = {
    "bare": [USER, BOT],
    "named": {"title": "T", "model": "gpt", "messages": [USER, BOT]},
    "list": [{"messages": [USER, BOT]}, {"messages": [USER]}],
    "open webui": [{"id": "1", "title": "T", "chat": {"title": "T", "models": ["m"], "messages": [USER, BOT]}}],
    "sharegpt": {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
    "below a name": {"data": [{"messages": [USER, BOT]}]},
    "fine-tuning lines": b'{"messages":[{"role":"user","content":"Hi"}]}\n\n[{"role":"user","content":"?"}]\n',
    "bom": b"\xef\xbb\xbf" + json.dumps([USER, BOT]).encode(),
    "utf-16": json.dumps([USER, BOT]).encode("utf-16"),
    "parts": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, BOT],
    "developer": [{"role": "developer", "content": "S"}, USER, BOT],
    "answer first": [BOT, USER, BOT],
    "two answers": [USER, BOT, BOT],
    "a response of the api": {"messages": [USER], "model": "m", "temperature": 0.1, "stream": True},
    "one after another": json.dumps({"messages": [USER]}, indent=1).encode() + b"\n" + json.dumps([USER]).encode(),
    "a message a line": b"\n".join(json.dumps(message).encode() for message in (USER, BOT)),
    "text": [{"role": "user", "text": "Hi"}, BOT],
    "one part": [{"role": "user", "content": {"type": "text", "text": "Hi"}}, BOT],
    "deep text": [{"role": "user", "content": [{"type": "text", "text": {"value": "Hi"}}]}, BOT],
    "capitals": [{"role": "User", "content": "Hi"}, {"role": "Assistant", "content": "Hello"}],
    "chinese roles": [{"role": "用户", "content": "Hi"}, {"role": "助手", "content": "Hello"}],
    "gbk": json.dumps([USER, {"role": "assistant", "content": "你好"}], ensure_ascii=False).encode("gbk"),
    "utf-16 without a mark": json.dumps([USER, BOT]).encode("utf-16-le"),
    "utf-32": json.dumps([USER, BOT]).encode("utf-32"),
    "two marks": b"\xef\xbb\xbf\xef\xbb\xbf" + json.dumps([USER, BOT]).encode(),
    "sessions below the program's name": {"chat-next-web-store": {"sessions": [{"messages": [USER, BOT]}]}},
    "claude": [{"chat_messages": [{"sender": "human", "text": "Hi"}, {"sender": "assistant", "text": "Hello"}]}],
    "chatgpt": [{"title": "T", "current_node": "b", "mapping": {
        "r": {"message": None, "parent": None},
        "a": {"message": {"author": {"role": "user"}, "content": {"parts": ["Hi"]}}, "parent": "r"},
        "x": {"message": {"author": {"role": "assistant"}, "content": {"parts": ["Not this"]}}, "parent": "a"},
        "b": {"message": {"author": {"role": "assistant"}, "content": {"parts": ["Hello"]}}, "parent": "a"},
    }}],
    "open webui's tree": [{"chat": {"history": {"currentId": "b", "messages": {
        "a": {"role": "user", "content": "Hi", "parentId": None}, "b": {**BOT, "parentId": "a"},
    }}}}],
    "a tree that goes round": [{"mapping": {"a": {**USER, "parent": "b"}, "b": {**BOT, "parent": "a"}}}],
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_programs_files_are_taken_whole(name: str) -> None:
    back = found(OTHERS[name])
    assert back.notes == ()
    first = back.conversations[0]
    assert any(exchange.question.text == "Hi" for exchange in first.conversation.exchanges)
    assert len(back.conversations) == (2 if name in ("list", "fine-tuning lines", "one after another") else 1)


def test_of_a_tree_the_branch_that_was_open_is_taken() -> None:
    (back,) = found(OTHERS["chatgpt"]).conversations
    (exchange,) = back.conversation.exchanges
    assert (exchange.question.text, exchange.answers[0].text, back.title) == ("Hi", "Hello", "T")


@pytest.mark.parametrize("between", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
def test_lines_end_with_a_line_feed_alone(between: str) -> None:
    said = f"a{between}b"
    line = json.dumps({"messages": [{"role": "user", "content": said}, BOT]}, ensure_ascii=False)
    back = read_file(f"{line}\n{line}\n".encode() + b"{half\n", "file.jsonl")
    assert keys(back) == {"lines": 1}
    assert [one.conversation.exchanges[0].question.text for one in back.conversations] == [said, said]


def test_thought_calls_and_pictures_as_others_write_them() -> None:
    data = png().partition(",")[2]
    spoken = [
        {"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
            {"type": "image_url", "image_url": {"url": f"DATA:image/png;charset=utf-8;base64,{data[:9]}\n{data[9:]}"}},
            {"type": "text", "text": "Hi"},
        ]},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "yes"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hello"}]},
        USER, {**BOT, "thinking": "so"},
    ]  # fmt: skip
    back = found(spoken)
    assert back.notes == ()
    (one,) = back.conversations
    first, second = (exchange.answers[0] for exchange in one.conversation.exchanges)
    assert (first.text, first.thinking, second.thinking) == ("Hello", "hm", "so")
    assert [(call.name, call.result) for call in first.rounds[0].calls] == [("f", "yes")]
    assert [picture.data for picture in one.pictures.values()] == [base64.b64decode(data)] * 2


def test_what_cannot_be_taken_is_named() -> None:
    back = found(
        [
            {"messages": [
                USER,
                {"role": "critic", "content": "no"},
                {"role": "user", "content": [
                    {"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "http://192.0.2.1/a.png"}},
                    {"type": "input_audio"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%"}},
                ]},
                {"role": "assistant", "tool_calls": [{"id": "1"}, {"id": "2", "function": {"name": "f"}}]},
                {"role": "tool", "tool_call_id": "9", "content": "?"},
                {"role": "tool", "tool_call_id": "2", "content": "yes"},
                {"role": "user", "content": ""},
                {"role": "system", "content": "late"},
            ]},
            {"messages": [{"role": "system", "content": "alone"}]},
            {"settings": 1}, 7,
        ]
    )  # fmt: skip
    assert keys(back) == {
        "messages": 1, "addresses": 1, "parts": 1, "pictures": 1, "calls": 1, "results": 1, "empty": 1,
        "late_system": 1, "empty_conversations": 1, "unknown": 2,
    }  # fmt: skip
    (one,) = back.conversations
    assert [exchange.question.text for exchange in one.conversation.exchanges] == ["Hi", "See"]
    assert one.conversation.exchanges[1].answers[0].rounds[0].calls[0].result == "yes"


OWN = {"format": "lmdeploy-console-conversations", "version": 1}
NONE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "no_json"),
    "markdown": (b"# Title\n\ntext\n", "no_json"),
    "half": (b'{"messages": [{"role": "user"', "no_json"),
    "picture": (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "no_text"),
    "zip": (b"PK\x03\x04\xff\xff\xff", "no_text"),
    "numbers": (b"[1, 2, 3]", "none"),
    "null": (b"null", "none"),
    "text": (b'"hello"', "none"),
    "object": (b'{"a": {"b": []}}', "none"),
    "deep": (b"[" * 200_000 + b"]" * 200_000, "no_json"),
    "nobody": (b'{"messages": []}', "none"),
    "own, empty": (json.dumps({**OWN, "conversations": []}).encode(), "none"),
    "own, newer": (json.dumps({**OWN, "version": 99, "conversations": [1]}).encode(), "none"),
    "own, broken": (json.dumps({**OWN, "conversations": [{"conversation": {"exchanges": 5}}, 7]}).encode(), "none"),
    "own, no list": (json.dumps({**OWN, "conversations": 5}).encode(), "none"),
    "own, same ids": (
        json.dumps({**OWN, "conversations": [{"conversation": {"exchanges": [
            {"question": {"text": "a"}, "id": 1}, {"question": {"text": "b"}, "id": 1}]}}]}).encode(), "none",
    ),
    "own, branch from nowhere": (
        json.dumps({**OWN, "conversations": [{"conversation": {"exchanges": [{"question": {"text": "a"}, "id": 1}],
            "asides": [{"after": 9, "exchanges": [{"question": {"text": "b"}, "id": 2}]}]}}]}).encode(), "none",
    ),
    "numbers of a million digits": (b"9" * 1_000_000, "no_json"),
}  # fmt: skip


@pytest.mark.parametrize("name", NONE)
def test_a_file_that_holds_no_conversation(name: str) -> None:
    data, key = NONE[name]
    with pytest.raises(InvalidInput) as caught:
        found(data)
    assert caught.value.messages[0].key == f"chat.import.{key}"
    assert caught.value.messages[0].params["name"] == "file.json"


def test_what_is_too_large_is_refused_by_its_size() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_file(bytes(65 << 20), "big.json")
    assert caught.value.messages[0].params["size"] == "65 MiB"
    long = [{"role": "user", "content": "x" * 1_500_000}]
    with pytest.raises(InvalidInput) as caught:
        found(long)
    assert [message.key for message in caught.value.messages] == ["chat.import.none", "chat.import.left_long"]


def test_an_answer_with_more_tokens_than_are_kept_is_none_of_ours() -> None:
    def kept(count: int) -> Found:
        answer = Answer("s", "S", "m", AnswerState.DONE, "x", tokens=('["x",-1,[]]',) * count)
        return found(out("json", conversation=Conversation().asked(Question("Hi"), (answer,), Sampling())))

    [taken] = kept(3).conversations
    assert len(taken.conversation.exchanges[0].answers[0].tokens or ()) == 3
    with pytest.raises(InvalidInput) as caught:
        kept(MOST_TOKENS + 1)
    assert caught.value.messages[-1].key == "chat.import.left_broken"
