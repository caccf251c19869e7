"""The chat against a scriptable model server: answers, every way to fail, turns, and what stays."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.chat.attachments import Upload
from backend.chat.client import Deadlines
from backend.chat.conversation import Answer, AnswerState, Sampling
from backend.chat.logprobs import Alternative, Token, unpacked
from backend.chat.service import Chat
from backend.chat.session import Crowd, View
from backend.chat.setup import Setup
from backend.classroom.limits import ClassLimits, LimitReached, Used
from backend.engines.base import ServeConfig
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, NotFound, Unavailable
from backend.servers.server import ServerState
from backend.services import Services, build_services
from backend.settings import Settings
from tests.support.scripted_server import Scripted
from tests.support.waiting import wait_for

PATIENT = Deadlines(connect_s=10, first_token_s=60, silence_s=60)
SHORT = Deadlines(connect_s=10, first_token_s=1.0, silence_s=1.0)
DEADLINE_S = 60.0
START_DEADLINE_S = 240.0
ME = "a" * 32
OTHER = "b" * 32


@pytest.fixture
def child() -> Iterator[Scripted]:
    child = Scripted()
    yield child
    child.close()


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    services = build_services(settings)
    yield services
    services.close()


Start = Callable[..., Chat]


@pytest.fixture
async def start(services: Services, tmp_path: Path) -> AsyncIterator[Start]:
    """A chat with deadlines of the test's own."""
    chats: list[Chat] = []

    def make(deadlines: Deadlines = PATIENT) -> Chat:
        chats.append(Chat(services.servers, services.store, tmp_path / "pictures", deadlines=deadlines))
        return chats[-1]

    yield make
    for chat in chats:
        await chat.close()


def known(services: Services, child: Scripted, key: str = "", name: str = "scripted") -> str:
    """The child as a server of the console."""
    return services.servers.start(
        ServeConfig(engine="external", model="", address=child.address, api_key=key, model_name=name)
    )


async def until_ended(chat: Chat, visitor: str = ME) -> View:
    """Watch as a page does; the last view."""
    async with asyncio.timeout(DEADLINE_S):
        views = [view async for view in chat.watch(visitor)]
        # What has ended is saved a moment later, by the task that wrote it.
        saving = [task for room in chat._rooms if not room.active for task in room.tasks]
        if saving:
            await asyncio.wait(saving)
    return views[-1]


async def until(chat: Chat, wanted: Callable[[View], bool], visitor: str = ME) -> View:
    """Watch until it is so."""
    async with asyncio.timeout(DEADLINE_S):
        async for view in chat.watch(visitor):
            if wanted(view):
                return view
    raise AssertionError("the answers ended before")


async def eventually(what: str, probe: Callable[[], Any]) -> None:
    """Wait without holding up the chat, which lives in this loop."""
    await asyncio.to_thread(wait_for, what, probe, DEADLINE_S)


def answer_of(view: View, lane: int = 0) -> Answer:
    return view.conversation.exchanges[-1].answers[lane]


def picture_file(folder: Path, name: str = "cat.png", kind: str = "PNG") -> Upload:
    path = folder / name
    Image.new("RGB", (64, 48), "red").save(path, kind)
    return Upload(path, name)


async def test_an_answer_streams_with_its_figures(start: Start, services: Services, child: Scripted) -> None:
    chat, server = start(), known(services, child)
    child.script(tokens=30, rate=100)
    await chat.asking.ask(ME, "  Tell me of a fox  ", (), Sampling(system="Be brief.", max_tokens=50), (server,))
    lengths = []
    async with asyncio.timeout(DEADLINE_S):
        async for view in chat.watch(ME):
            lengths.append(len(answer_of(view).text))
    answer = answer_of(view)
    assert answer.state is AnswerState.DONE
    assert answer.end is None
    assert len(set(lengths)) > 3
    assert answer.text.startswith("The fox found")
    assert (answer.stats.prompt_tokens, answer.stats.answer_tokens) == (11, 30)
    assert answer.stats.ttft_ms is not None
    assert answer.stats.tokens_per_s is not None
    (request,) = child.requests()
    body = request["body"]
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Tell me of a fox"},
    ]
    assert (body["temperature"], body["top_p"], body["max_tokens"], body["model"]) == (0.8, 0.8, 50, "scripted")
    assert body["stream"] is True


FOX = {"content": [{"token": "Ġfox", "bytes": list("Ġfox".encode()), "logprob": -0.5, "top_logprobs": [
    {"token": "Ġdog", "bytes": list("Ġdog".encode()), "logprob": -2.0}, {"token": "Ġ", "logprob": None}
]}]}  # fmt: skip


async def test_log_probabilities_stream_and_are_kept(start: Start, services: Services, child: Scripted) -> None:
    chat, server, asked = start(), known(services, child), Sampling(logprobs=True)
    child.script(tokens=30, rate=200, logprobs=[FOX, None, {"content": []}])
    await chat.asking.ask(ME, "Why?", (), asked, (server,))
    counts = [len(answer_of(view).tokens or ()) async for view in chat.watch(ME)]
    assert counts == sorted(counts)
    assert len(set(counts)) > 2  # they come with the text
    answer = answer_of(await chat.view(ME))
    assert [unpacked(token) for token in answer.tokens or ()] == [
        Token(" fox", -0.5, (Alternative(" dog", -2.0),))
    ] * 10
    assert answer.stats.answer_tokens == 30
    again = start()  # a console that is started anew has them, and so has an export
    assert answer_of(await again.view(ME)).tokens == answer.tokens
    conversation = (await again.view(ME)).id
    kept = json.loads((await again.library.export(ME, conversation, "json")).data)
    [taken], _ = await again.library.take(OTHER, json.dumps(kept).encode(), "kept.json")
    assert answer_of(await again.view(OTHER, taken)).tokens == answer.tokens


async def test_servers_without_log_probabilities_answer_all_the_same(
    start: Start, services: Services, child: Scripted
) -> None:
    chat, server = start(), known(services, child)
    for fault, key in (("logprobs", "chat.logprobs.refused"), ("", "chat.logprobs.none")):
        child.script(tokens=3, fault=fault)
        await chat.asking.ask(ME, "Why?", (), Sampling(logprobs=True), (server,))
        answer = answer_of(await until_ended(chat))
        assert (answer.state, answer.end) == (AnswerState.DONE, None)
        assert answer.no_logprobs is not None
        assert answer.no_logprobs.key == key
        assert "logprobs" not in child.requests()[-1]["body"] or not fault


async def test_four_servers_side_by_side_and_who_was_better(start: Start, services: Services, child: Scripted) -> None:
    chat = start()
    chat.setup_of = lambda view: Setup(16, 8, 5)
    others = [Scripted() for _ in range(3)]
    try:
        servers = [known(services, one) for one in (child, *others)]
        for number, one in enumerate((child, *others)):
            one.script(text=f"from {number}")
        await chat.asking.ask(ME, "Who?", (), Sampling(), servers)
        view = await until_ended(chat)
        assert [answer.text for answer in view.answers] == [f"from {number}" for number in range(4)]
        assert {answer.setup for answer in view.answers} == {Setup(16, 8, 5)}
        exchange = view.conversation.exchanges[0].id
        await chat.changes.vote(ME, exchange, 2)
        for wrong in (-1, 4):
            with pytest.raises(NotFound):
                await chat.changes.vote(ME, exchange, wrong)
        assert (await start().view(ME)).conversation.exchanges[0].better == 2
        await chat.changes.vote(ME, exchange, None)
        assert (await start().view(ME)).conversation.exchanges[0].better is None
        # A question to one alone has no better answer.
        await chat.asking.ask(ME, "And?", (), Sampling(), servers[:1])
        last = (await until_ended(chat)).conversation.exchanges[1]
        assert last.answers[0].setup is None
        with pytest.raises(NotFound):
            await chat.changes.vote(ME, last.id, 0)
    finally:
        for one in others:
            one.close()


async def test_several_turns_with_pictures(start: Start, services: Services, child: Scripted, tmp_path: Path) -> None:
    chat, server = start(), known(services, child)
    uploads = [picture_file(tmp_path), picture_file(tmp_path, "dog.jpg", "JPEG")]
    await chat.asking.ask(ME, "What is this?", uploads, Sampling(), (server,))
    await until_ended(chat)
    await chat.asking.ask(ME, "And now?", (), Sampling(), (server,))
    view = await until_ended(chat)
    first, second = (request["body"]["messages"] for request in child.requests())
    kinds = [part["type"] for part in first[0]["content"]]
    assert kinds == ["image_url", "image_url", "text"]
    assert first[0]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert first[0]["content"][1]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    assert second[0] == first[0]
    assert second[1]["content"] == view.conversation.exchanges[0].answers[0].text


FAULTS = {
    "refuse": ("chat.error.status", ""),
    "key": ("chat.error.key", ""),
    "redirect": ("chat.error.redirect", ""),
    "context": ("chat.error.context", ""),
    "missing": ("chat.error.not_found", ""),
    "html": ("chat.error.garbage", ""),
    "garbage": ("chat.end.gone_said", ""),
    "error": ("chat.error.status", ""),  # it names a code
    "half": ("chat.end.gone", "The fox found "),
    "cut": ("chat.end.gone", "The fox found "),
    "die": ("chat.end.gone", "The fox found "),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failing_server_is_explained_and_what_came_is_kept(
    start: Start, services: Services, child: Scripted, fault: str
) -> None:
    key, text = FAULTS[fault]
    chat, server = start(), known(services, child)
    child.script(tokens=12, fault=fault)
    await chat.asking.ask(ME, "Hello", (), Sampling(), (server,))
    answer = answer_of(await until_ended(chat))
    assert answer.state is AnswerState.FAILED
    assert answer.end is not None
    assert answer.end.key == key
    if text is not None:
        assert answer.text == text
    # The question can be sent again, to another server
    spare = Scripted("--tokens", "5")
    try:
        await chat.asking.again(ME, Sampling(), (known(services, spare),))
        view = await until_ended(chat)
    finally:
        spare.close()
    assert answer_of(view).state is AnswerState.DONE
    assert [exchange.question.text for exchange in view.conversation.exchanges] == ["Hello"]


@pytest.mark.parametrize(("fault", "text"), [("silent", ""), ("stall", "The fox found ")])
async def test_a_silent_server_is_given_up(
    start: Start, services: Services, child: Scripted, fault: str, text: str
) -> None:
    chat, server = start(SHORT), known(services, child)
    child.script(fault=fault)
    await chat.asking.ask(ME, "Hello", (), Sampling(), (server,))
    answer = answer_of(await until_ended(chat))
    assert (answer.state, answer.text) == (AnswerState.FAILED, text)
    assert answer.end is not None
    assert answer.end.key == "chat.end.silent"
    await eventually("the closed connection", lambda: child.requests()[0]["end"] == "closed")


async def test_a_server_that_is_gone_is_explained(start: Start, services: Services, child: Scripted) -> None:
    chat, server = start(), known(services, child)
    await chat.prepare(server)
    child.close()
    try:
        await chat.asking.ask(ME, "Hello", (), Sampling(), (server,))
        end = answer_of(await until_ended(chat)).end
    except Unavailable as error:  # the console noticed first
        (end,) = error.messages
    assert end is not None
    assert end.key in ("chat.error.unreachable", "chat.error.server_not_running")


@pytest.mark.parametrize(
    ("script", "key"),
    [
        ({"finish": "length"}, "chat.end.length"),
        ({"finish": "length", "fault": "empty"}, "chat.end.length_empty"),
        ({"fault": "empty"}, "chat.end.empty"),
        ({"finish": "content_filter"}, "chat.end.reason"),
    ],
)
async def test_an_early_end_says_why(
    start: Start, services: Services, child: Scripted, script: dict[str, str], key: str
) -> None:
    chat, server = start(), known(services, child)
    child.script(tokens=5, **script)
    await chat.asking.ask(ME, "Hello", (), Sampling(), (server,))
    answer = answer_of(await until_ended(chat))
    assert answer.state is AnswerState.DONE
    assert answer.end is not None
    assert answer.end.key == key


@pytest.mark.parametrize("fault", ["", "silent"])
async def test_stop_closes_the_request_and_keeps_what_came(
    start: Start, services: Services, child: Scripted, fault: str
) -> None:
    chat, server = start(), known(services, child)
    child.script(tokens=100_000, rate=50, fault=fault)
    await chat.asking.ask(ME, "Hello", (), Sampling(), (server,))
    if fault:
        await eventually("the request", child.requests)
    else:
        await until(chat, lambda view: len(answer_of(view).text) > 20)
    await chat.stop(ME)
    answer = answer_of(await chat.view(ME))
    assert answer.state is AnswerState.STOPPED
    assert answer.end is not None
    assert answer.end.key == "chat.end.stopped"
    assert bool(answer.text) is not bool(fault)
    await eventually("the closed connection", lambda: child.requests()[0]["end"] == "closed")


async def test_a_page_that_comes_back_finds_the_answer_going_on(
    start: Start, services: Services, child: Scripted
) -> None:
    chat, server = start(), known(services, child)
    child.script(tokens=40, rate=40)
    await chat.asking.ask(ME, "Hello", (), Sampling(), (server,))
    await until(chat, lambda view: len(answer_of(view).text) > 20)  # then the page is closed
    assert (await chat.view(ME)).active
    assert answer_of(await until_ended(chat)).state is AnswerState.DONE
    assert len(child.requests()) == 1


async def test_an_answer_that_nobody_watches_is_ended(
    start: Start, services: Services, child: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.chat.service.ABANDONED_S", 0.2)
    chat, server = start(), known(services, child)
    child.script(tokens=100_000, rate=50)
    await chat.asking.ask(ME, "Hello", (), Sampling(), (server,))
    await until(chat, lambda view: bool(answer_of(view).text))
    await eventually("the end", lambda: child.requests()[0]["end"] == "closed")
    end = answer_of(await until_ended(chat)).end
    assert end is not None
    assert end.key == "chat.end.left"


async def test_pages_that_come_and_go_keep_an_answer_alive(
    start: Start, services: Services, child: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.chat.service.ABANDONED_S", 0.5)
    chat, server = start(), known(services, child)
    child.script(tokens=100_000, rate=50)
    await until(chat, lambda view: True)  # a look at the empty conversation, long before
    await chat.asking.ask(ME, "Hello", (), Sampling(), (server,))
    asked = time.monotonic()
    while time.monotonic() < asked + 2:
        await until(chat, lambda view: True)
        await asyncio.sleep(0)  # a moment without a page, however busy the machine is
    assert (await chat.view(ME)).active
    await chat.stop(ME)


async def test_the_conversation_outlives_the_console(
    start: Start, services: Services, child: Scripted, tmp_path: Path
) -> None:
    first, server = start(), known(services, child)
    child.script(tokens=5)
    await first.asking.ask(ME, "Kept?", [picture_file(tmp_path)], Sampling(system="S", temperature=0.1), (server,))
    before = (await until_ended(first)).conversation
    second = start()
    assert (await second.view(ME)).conversation == before
    old = (await second.view(ME)).id
    await second.clear(ME)
    third = start()
    after = (await third.view(ME)).conversation
    assert after.exchanges == ()
    assert after.sampling.system == "S"
    assert (await third.view(ME, old)).conversation == before
    await third.library.delete(ME, old)
    assert not list((tmp_path / "pictures").rglob("*.png"))


async def test_an_answer_cut_off_by_the_consoles_end_says_so(start: Start, services: Services, child: Scripted) -> None:
    first, server = start(), known(services, child)
    child.script(tokens=100_000, rate=50)
    await first.asking.ask(ME, "Hello", (), Sampling(), (server,))
    answer = answer_of(await start().view(ME))  # read from the store, as after a kill
    assert answer.state is AnswerState.STOPPED
    assert answer.end is not None
    assert answer.end.key == "chat.end.console"


async def test_conversations_never_mix(start: Start, services: Services, child: Scripted, tmp_path: Path) -> None:
    chat, server = start(), known(services, child)
    child.script(tokens=5)
    await chat.asking.ask(ME, "Mine", [picture_file(tmp_path)], Sampling(), (server,))
    await chat.asking.ask(OTHER, "Theirs", (), Sampling(), (server,))
    mine, theirs = await until_ended(chat), await until_ended(chat, OTHER)
    assert [e.question.text for e in mine.conversation.exchanges] == ["Mine"]
    assert [e.question.text for e in theirs.conversation.exchanges] == ["Theirs"]
    (picture,) = mine.conversation.pictures
    assert chat.pictures.path(ME, picture).is_file()
    with pytest.raises(ConsoleError):
        chat.pictures.path(OTHER, picture)


async def test_bad_questions_change_nothing(start: Start, services: Services, child: Scripted, tmp_path: Path) -> None:
    chat, server = start(), known(services, child)
    text_file = tmp_path / "cat.png"
    text_file.write_text("not a picture")
    long = "word " * 300_000

    async def refused(kind: type[ConsoleError], *arguments: Any, **more: Any) -> str:
        with pytest.raises(kind) as caught:
            await chat.asking.ask(ME, *arguments, **more)
        return caught.value.messages[0].key

    ask = Sampling()
    assert await refused(InvalidInput, "  \n", (), ask, (server,)) == "chat.error.empty"
    assert await refused(InvalidInput, "Hi", (), ask, ("",)) == "chat.error.no_server"
    assert await refused(InvalidInput, "Hi", (), ask, ("nosuchserver",)) == "chat.error.server_unknown"
    assert await refused(InvalidInput, long, (), ask, (server,)) == "chat.error.too_long"
    uploads = [Upload(text_file, "cat.png")]
    assert await refused(InvalidInput, "Hi", uploads, ask, (server,)) == "chat.error.picture_type"
    uploads = [picture_file(tmp_path, "ok.png")] * 9
    assert await refused(InvalidInput, "Hi", uploads, ask, (server,)) == "chat.error.picture_count"
    child.script(tokens=100_000, rate=20)
    await chat.asking.ask(ME, "Hello", (), ask, (server,))
    assert await refused(Conflict, "Hi", (), ask, (server,)) == "chat.error.busy"
    assert [e.question.text for e in (await chat.view(ME)).conversation.exchanges] == ["Hello"]


async def test_editing_replaces_the_last_question_and_keeps_its_pictures(
    start: Start, services: Services, child: Scripted, tmp_path: Path
) -> None:
    chat, server = start(), known(services, child)
    child.script(tokens=5)
    await chat.asking.ask(ME, "First", (), Sampling(), (server,))
    await until_ended(chat)
    await chat.asking.ask(ME, "Secnod", [picture_file(tmp_path)], Sampling(), (server,))
    await until_ended(chat)
    await chat.asking.ask(ME, "Second", (), Sampling(), (server,), replace_last=True)
    view = await until_ended(chat)
    questions = [exchange.question for exchange in view.conversation.exchanges]
    assert [(question.text, len(question.pictures)) for question in questions] == [("First", 0), ("Second", 1)]
    last = child.requests()[-1]["body"]["messages"]
    assert [message["role"] for message in last] == ["user", "assistant", "user"]


async def test_a_model_calls_tools_until_it_has_the_answer(start: Start, services: Services, child: Scripted) -> None:
    chat, server = start(), known(services, child)
    child.script(text="It is 16.", calls=[[["add", '{"a": 3, "b": 5}']], [["mul", '{"a": 8, "b": 2}']]])
    await chat.asking.ask(ME, "Compute (3+5)*2", (), Sampling(tools=("add", "mul")), (server,))
    answer = answer_of(await until_ended(chat))
    assert answer.text == "It is 16."
    assert [(use.name, use.result) for step in answer.rounds for use in step.calls] == [("add", "8"), ("mul", "16")]
    first, _, last = (request["body"] for request in child.requests())
    assert [tool["function"]["name"] for tool in first["tools"]] == ["add", "mul"]
    assert [message["role"] for message in last["messages"]] == ["user", "assistant", "tool", "assistant", "tool"]
    assert last["messages"][2]["content"] == "8"


async def test_endless_tool_calls_are_ended(start: Start, services: Services, child: Scripted) -> None:
    chat, server = start(), known(services, child)
    child.script(calls=[[["add", '{"a": 3, "b": 5}']]] * 50)
    await chat.asking.ask(ME, "Compute", (), Sampling(tools=("add",)), (server,))
    answer = answer_of(await until_ended(chat))
    assert answer.end is not None
    assert answer.end.key == "chat.end.tool_rounds"


async def test_a_wanted_key_is_sent(start: Start, services: Services) -> None:
    child = Scripted("--key", "sesame", "--tokens", "5")
    try:
        chat, server = start(), known(services, child, key="sesame")
        await chat.asking.ask(ME, "Hello", (), Sampling(), (server,))
        assert answer_of(await until_ended(chat)).state is AnswerState.DONE
        child.script(key="another")
        await chat.asking.again(ME, Sampling(), (server,))
        end = answer_of(await until_ended(chat)).end
    finally:
        child.close()
    assert end is not None
    assert end.key == "chat.error.key"
    assert "sesame" not in str(end)


async def test_two_servers_side_by_side(start: Start, services: Services, child: Scripted) -> None:
    other = Scripted()
    try:
        chat, servers = start(), (known(services, child), known(services, other))
        child.script(text="from the first")
        other.script(text="from the second")
        await chat.asking.ask(ME, "Who are you?", (), Sampling(), servers)
        view = await until_ended(chat)
        assert [answer_of(view, lane).text for lane in (0, 1)] == ["from the first", "from the second"]
        await chat.asking.ask(ME, "And?", (), Sampling(), servers)
        await until_ended(chat)
        last = other.requests()[-1]["body"]["messages"]
    finally:
        other.close()
    assert [message["content"] for message in last] == ["Who are you?", "from the second", "And?"]


async def test_where_one_is_served_at_a_time_the_others_see_their_place(
    start: Start, services: Services, child: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.chat.checks.ONE_AT_A_TIME", frozenset({"external"}))
    chat, server = start(), known(services, child)
    child.script(tokens=100_000, rate=50)
    visitors = [f"{number:032x}" for number in range(4)]
    for visitor in visitors:
        await chat.asking.ask(visitor, "Hello", (), Sampling(), (server,))
    await until(chat, lambda view: bool(answer_of(view).text), visitors[0])
    last = await until(chat, lambda view: view.places == {0: (3, 3)}, visitors[3])
    assert answer_of(last).state is AnswerState.WAITING
    assert len(child.requests()) == 1
    await chat.stop(visitors[1])  # who gives up makes room
    await until(chat, lambda view: view.places == {0: (2, 2)}, visitors[3])
    child.script(tokens=3, rate=0)
    await chat.stop(visitors[0])
    for visitor in visitors[2:]:
        assert answer_of(await until_ended(chat, visitor)).state is AnswerState.DONE


async def test_a_guest_who_has_used_their_share_waits_and_nothing_is_lost(
    services: Services, child: Scripted, tmp_path: Path
) -> None:
    people, allowances = services.chat.people, services.allowances
    chat, server = services.chat, known(services, child)
    people.note(ME, "class")
    people.note(OTHER, "operator")
    child.script(tokens=5, rate=0)
    allowances.set_limits(ClassLimits(requests_a_minute=2, tokens_an_hour=100, pictures_a_question=1))
    pictures = [picture_file(tmp_path, f"{number}.png") for number in range(2)]
    services.servers.change(server, lambda view: replace(view, takes_images=True))
    with pytest.raises(LimitReached) as reached:
        await chat.asking.ask(ME, "What is this?", pictures, Sampling(), (server,))
    assert reached.value.messages[0].key == "classroom.limit.pictures_a_question"
    await chat.asking.ask(ME, "What is this?", pictures[:1], Sampling(), (server,))
    await until_ended(chat)
    assert allowances.used()[ME] == Used(1, 16, 1)  # 11 of the question, 5 of the answer
    await chat.asking.again(ME, Sampling(), (server,))
    before = await until_ended(chat)
    for ask in (chat.asking.ask(ME, "And?", (), Sampling(), (server,)), chat.asking.again(ME, Sampling(), (server,))):
        with pytest.raises(LimitReached) as reached:
            await ask
        assert reached.value.messages[0].key == "classroom.limit.requests_a_minute"
        assert 0 < reached.value.wait_s <= 60
    assert (await chat.view(ME)).conversation == before.conversation
    assert len(child.requests()) == 2
    for _ in range(3):
        await chat.asking.ask(OTHER, "Hello", (), Sampling(), (server,))
        await until_ended(chat, OTHER)
    await chat.close()


async def test_where_a_server_is_stopped_everyone_reads_why_and_goes_on_with_the_next(
    start: Start, services: Services, child: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.chat.checks.ONE_AT_A_TIME", frozenset({"external"}))
    chat, server = start(), known(services, child, name="first")
    following = Scripted()
    try:
        child.script(tokens=100_000, rate=50)
        for visitor in (ME, OTHER):
            await chat.asking.ask(visitor, "Hello", (), Sampling(), (server,))
        await until(chat, lambda view: bool(answer_of(view).text))
        await until(chat, lambda view: view.places == {0: (1, 1)}, OTHER)
        services.servers.change(server, lambda view: replace(view, state=ServerState.STOPPING))
        child.close()
        written, waiting = [answer_of(await until_ended(chat, visitor)) for visitor in (ME, OTHER)]
        for answer in (written, waiting):
            assert answer.state is AnswerState.FAILED
            assert answer.end == Message("chat.end.server_stopped", {"name": "first"})
        assert written.text
        assert written.cut_off
        assert not waiting.cut_off
        second = known(services, following, name="second")
        following.script(text="and so on.")
        await chat.asking.go_on(ME, Sampling(), second, "Go on.")
        await chat.asking.again(OTHER, Sampling(), (second,))
        whole, anew = [answer_of(await until_ended(chat, visitor)) for visitor in (ME, OTHER)]
        assert whole.text == written.text + "and so on."
        assert anew.text == "and so on."
    finally:
        following.close()


async def test_where_several_were_asked_the_one_whose_server_is_gone_goes_on_elsewhere(
    start: Start, services: Services, child: Scripted
) -> None:
    chat, first = start(), known(services, child, name="first")
    steady, third = Scripted(), Scripted()
    try:
        second, following = known(services, steady, name="second"), known(services, third, name="third")
        steady.script(text="Whole.")
        third.script(text="and so on.")
        child.script(tokens=100_000, rate=50)
        await chat.asking.ask(ME, "Hello", (), Sampling(), (second, first))
        await until(chat, lambda view: bool(view.answers[1].text))
        with pytest.raises(Conflict):  # the others are being written still
            await chat.asking.go_elsewhere(ME, Sampling(), following, "Go on.", 1)
        services.servers.change(first, lambda view: replace(view, state=ServerState.STOPPING))
        child.close()
        view = await until_ended(chat)
        written = view.answers[1].text
        for lane in (0, 2, -1):  # whole; none
            with pytest.raises(Conflict):
                await chat.asking.go_elsewhere(ME, Sampling(), following, "Go on.", lane)
        await chat.asking.go_elsewhere(ME, Sampling(), following, "Go on.", 1)
        view = await until_ended(chat)
        assert [answer.text for answer in view.answers] == ["Whole.", written + "and so on."]
        assert [answer.server_name for answer in view.answers] == ["second", "third"]
        assert [answer.state for answer in view.answers] == [AnswerState.DONE] * 2
        assert len(third.requests()) == 1
    finally:
        steady.close()
        third.close()


async def test_who_waits_reads_how_many_others_the_server_answers(
    start: Start, services: Services, child: Scripted
) -> None:
    chat, server = start(), known(services, child)
    child.script(fault="silent")
    visitors = [f"{number:032x}" for number in range(3)]
    for visitor in visitors:
        await chat.asking.ask(visitor, "Hello", (), Sampling(), (server,))
    await until(chat, lambda view: view.crowds == {0: Crowd(2, 0, None)}, visitors[0])


async def test_thirty_at_once_all_get_whole_answers(start: Start, services: Services, child: Scripted) -> None:
    chat, server = start(), known(services, child)
    child.script(tokens=40, rate=200)
    visitors = [f"{number:032x}" for number in range(30)]
    await asyncio.gather(*(chat.asking.ask(v, f"Question {v}", (), Sampling(), (server,)) for v in visitors))
    views = await asyncio.gather(*(until_ended(chat, v) for v in visitors))
    for visitor, view in zip(visitors, views, strict=True):
        assert view.conversation.exchanges[0].question.text == f"Question {visitor}"
        assert answer_of(view).state is AnswerState.DONE
        assert answer_of(view).stats.answer_tokens == 40


SYSTEM_REFUSED = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


async def test_the_real_cpu_engine_refuses_and_its_log_says_why(
    start: Start, services: Services, tmp_path: Path, tiny_qwen2: Path
) -> None:
    model = Path(shutil.copytree(tiny_qwen2, tmp_path / "tiny"))
    (model / "chat_template.jinja").write_text(SYSTEM_REFUSED)
    server = services.servers.start(ServeConfig(engine="transformers", model=str(model)))
    try:
        await asyncio.to_thread(wait_for, "the server to run", lambda: running(services, server), START_DEADLINE_S)
        chat = start()
        await chat.asking.ask(ME, "Hello", (), Sampling(system="Be brief.", max_tokens=4), (server,))
        end = answer_of(await until_ended(chat)).end
        assert end is not None
        assert end.key == "chat.refused.system"
        await chat.asking.again(ME, Sampling(max_tokens=4), (server,))  # what the message says to do helps
        assert answer_of(await until_ended(chat)).state is AnswerState.DONE
    finally:
        services.servers.stop(server)
        await asyncio.to_thread(wait_for, "its end", lambda: not running(services, server), DEADLINE_S)


def running(services: Services, server: str) -> bool:
    view = services.servers.get(server)
    assert view.state is not ServerState.FAILED, view.reason_lines
    return view.state in (ServerState.RUNNING, ServerState.STOPPING)
