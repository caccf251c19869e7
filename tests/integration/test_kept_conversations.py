"""Many conversations of many people: opened, branched, gone on with, deleted, imported, and each only its owner's."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from backend.chat.conversation import AnswerState, Sampling
from backend.chat.quota import Quota
from backend.chat.service import Chat
from backend.errors import Conflict, InvalidInput, NotFound, Unavailable
from backend.services import Services, build_services
from backend.settings import Settings
from tests.integration.test_chat import ME, OTHER, PATIENT, answer_of, known, picture_file, until, until_ended
from tests.support.asgi import client
from tests.support.scripted_server import Scripted
from ui.tabs.chat.routes import routes
from ui.web.visitor import STATE_KEY, Role, Visitor

MINE_TOO = "c" * 32  # the operator's other browser


@pytest.fixture
def child() -> Iterator[Scripted]:
    child = Scripted("--tokens", "5")
    yield child
    child.close()


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    services = build_services(settings)
    yield services
    services.close()


@pytest.fixture
async def chat(services: Services) -> AsyncIterator[Chat]:
    yield services.chat
    await services.chat.close()


async def titles(chat: Chat, visitor: str = ME, query: str = "") -> list[str]:
    return [entry.title for entry in (await chat.library.listed(visitor, query))[0]]


async def ask(chat: Chat, server: str, text: str, visitor: str = ME, **more: object) -> str:
    """Ask to the end; the conversation's id."""
    await chat.asking.ask(visitor, text, (), Sampling(), (server,), **more)  # type: ignore[arg-type]
    return (await until_ended(chat, visitor)).id


def questions(view: object) -> list[str]:
    return [exchange.question.text for exchange in view.conversation.exchanges]  # type: ignore[attr-defined]


async def test_a_new_conversation_keeps_the_old_one(chat: Chat, services: Services, child: Scripted) -> None:
    server = known(services, child)
    before = chat.library.revision(ME)
    first = await ask(chat, server, "About the first")
    assert chat.library.revision(ME) != before
    async with asyncio.timeout(30):  # an answer that has ended is saved a moment later
        while True:
            again = chat.library.revision(ME)
            await chat.view(ME)
            await titles(chat)
            if chat.library.revision(ME) == again:
                break
    await chat.clear(ME)
    second = await ask(chat, server, "And the second")
    assert await titles(chat) == ["And the second", "About the first"]
    assert await titles(chat, query="FOX first") == ["About the first"]
    # One page goes on in the first, another in the second: each says which.
    await chat.asking.ask(ME, "More of the first", (), Sampling(), (server,), conversation=first)
    await chat.asking.ask(ME, "More of the second", (), Sampling(), (server,), conversation=second)
    async with asyncio.timeout(60):
        for found in (first, second):
            async for _ in chat.watch(ME, found):
                pass
    assert questions(await chat.view(ME, first)) == ["About the first", "More of the first"]
    assert questions(await chat.view(ME, second)) == ["And the second", "More of the second"]
    assert questions(await chat.open(ME, first)) == questions(await chat.view(ME))


async def test_the_operators_are_theirs_in_every_browser_and_a_guests_their_own(
    chat: Chat, services: Services, child: Scripted, tmp_path: Path
) -> None:
    server = known(services, child)
    for visitor, role in ((ME, "operator"), (MINE_TOO, "operator"), (OTHER, "class"), ("d" * 32, "class")):
        chat.people.note(visitor, role)
    await chat.asking.ask(ME, "Mine", [picture_file(tmp_path)], Sampling(), (server,))
    mine = (await until_ended(chat)).id
    theirs = await ask(chat, server, "Theirs", OTHER)
    assert await titles(chat, MINE_TOO) == await titles(chat) == ["Mine"]
    assert questions(await chat.view(MINE_TOO, mine)) == ["Mine"]
    (picture,) = (await chat.view(MINE_TOO, mine)).conversation.pictures
    assert chat.pictures.path(MINE_TOO, picture).is_file()
    assert await titles(chat, OTHER) == ["Theirs"]
    assert await titles(chat, "d" * 32) == []
    for stranger, found in ((OTHER, mine), ("d" * 32, theirs), (ME, theirs), ("e" * 32, mine)):
        for attempt in (
            chat.view(stranger, found),
            chat.open(stranger, found),
            chat.library.delete(stranger, found),
            chat.library.rename(stranger, found, "x"),
            chat.library.export(stranger, found, "json"),
            chat.asking.ask(stranger, "In", (), Sampling(), (server,), conversation=found),
        ):
            with pytest.raises(NotFound):
                await attempt
    assert questions(await chat.view(ME, mine)) == ["Mine"]


async def test_the_earlier_one_stays_as_a_branch(chat: Chat, services: Services, child: Scripted) -> None:
    server = known(services, child)
    await ask(chat, server, "One")
    await ask(chat, server, "Two")
    view = await chat.view(ME)
    first = view.conversation.exchanges[0]
    await ask(chat, server, "One, better", instead_of=first.id)
    assert questions(await chat.view(ME)) == ["One, better"]
    await chat.asking.again(ME, Sampling(), (server,))
    await until_ended(chat)
    assert len((await chat.view(ME)).conversation.asides) == 2
    assert await titles(chat, query="two") == ["One, better"]  # found in a branch that isn't shown
    await chat.changes.turn_to(ME, first.id)
    assert questions(await chat.view(ME)) == ["One", "Two"]
    assert [m["content"] for m in child.requests()[2]["body"]["messages"]] == ["One, better"]
    with pytest.raises(NotFound):  # a page that shows another branch edits what isn't there
        await ask(chat, server, "Late", instead_of=99)
    with pytest.raises(NotFound):
        await chat.asking.again(ME, Sampling(), (server,), exchange=3)
    assert questions(await chat.view(ME)) == ["One", "Two"]


async def test_an_answer_that_was_cut_off_goes_on(chat: Chat, services: Services, child: Scripted) -> None:
    server = known(services, child)
    child.script(text="The first half, ", finish="length")
    await ask(chat, server, "Tell me")
    child.script(text="and the second.", finish="stop")
    await chat.asking.go_on(ME, Sampling(), server, "Go on")
    answer = answer_of(await until_ended(chat))
    assert (answer.text, answer.state, answer.end) == ("The first half, and the second.", AnswerState.DONE, None)
    sent = child.requests()[-1]["body"]["messages"]
    assert [(m["role"], m["content"]) for m in sent] == [
        ("user", "Tell me"), ("assistant", "The first half, "), ("user", "Go on"),
    ]  # fmt: skip
    with pytest.raises(Conflict):
        await chat.asking.go_on(ME, Sampling(), server, "Go on")


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_deleted_text_and_pictures_are_in_no_byte(
    chat: Chat, services: Services, child: Scripted, tmp_path: Path
) -> None:
    server = known(services, child)
    child.script(text="Answer XYZZYANSWER of it")
    picture = picture_file(tmp_path)
    sampling = Sampling(system="XYZZYSYSTEM")
    await chat.asking.ask(ME, "Question XYZZYQUESTION 显存密语", [picture], sampling, (server,))
    view = await until_ended(chat)
    await chat.asking.again(ME, sampling, (server,))
    await until_ended(chat)
    await chat.library.rename(ME, view.id, "XYZZYNAME")
    data = chat.pictures.path(ME, next(iter(view.conversation.pictures))).read_bytes()
    await chat.clear(ME)
    child.script(text="Of another")
    await chat.asking.ask(ME, "Kept", [picture], Sampling(), (server,))
    await until_ended(chat)
    state = services.settings.state_dir
    assert data in bytes_of(state)
    await chat.library.delete(ME, view.id)
    assert data in bytes_of(state)  # the other has the same picture
    left = bytes_of(state)
    for word in ("XYZZYQUESTION", "XYZZYANSWER", "XYZZYNAME", "显存密语"):
        assert word.encode() not in left, word
        assert word.lower().encode() not in left, word
        assert json.dumps(word).strip('"').encode() not in left, word
    assert await titles(chat) == ["Kept"]
    assert await chat.library.delete_all(ME) == 1
    assert data not in bytes_of(state)
    assert b"Kept" not in bytes_of(state)


async def test_a_deleted_one_is_not_written_again(chat: Chat, services: Services, child: Scripted) -> None:
    server = known(services, child)
    child.script(tokens=100_000, rate=50)
    await chat.asking.ask(ME, "Under way", (), Sampling(), (server,))
    view = await until(chat, lambda view: bool(answer_of(view).text))
    await chat.library.delete(ME, view.id)
    assert await titles(chat) == []
    assert (await chat.view(ME)).conversation.exchanges == ()
    with pytest.raises(NotFound):
        await chat.view(OTHER, view.id)


async def test_a_class_is_kept_for_as_long_as_the_operator_says(
    chat: Chat, services: Services, child: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = known(services, child)
    chat.people.note(ME, "operator")
    chat.people.note(OTHER, "class")
    for visitor in (ME, OTHER, "e" * 32):  # of the last one nobody knows what they are: from before
        await ask(chat, server, "Long ago", visitor)
    monkeypatch.setattr(chat.archive, "_clock", lambda: 4e9)
    assert await chat.library.sweep() == 0
    for wrong in (0, -1, 1.5, "7", True, 10**9):
        with pytest.raises(InvalidInput):
            chat.library.keeping.set_days(wrong)
    chat.library.keeping.set_days(7)
    assert await chat.library.sweep() == 1
    assert [await titles(chat, who) for who in (ME, OTHER, "e" * 32)] == [["Long ago"], [], ["Long ago"]]
    assert (
        Chat(services.servers, services.store, services.settings.state_dir, deadlines=PATIENT).library.keeping.days == 7
    )


async def test_files_there_and_back(chat: Chat, services: Services, child: Scripted, tmp_path: Path) -> None:
    server = known(services, child)
    await chat.asking.ask(ME, "A picture", [picture_file(tmp_path)], Sampling(system="S"), (server,))
    view = await until_ended(chat)
    await chat.asking.again(ME, Sampling(system="S"), (server,))
    before = (await until_ended(chat)).conversation
    await chat.library.rename(ME, view.id, "My name")
    saved = await chat.library.export(ME, "", "json")
    (new,), notes = await chat.library.take(OTHER, saved.data, saved.name)
    assert notes == ()
    assert (await chat.view(OTHER, new)).conversation == before
    assert await titles(chat, OTHER, "fox") == ["My name"]
    (picture,) = before.pictures
    assert chat.pictures.path(OTHER, picture).is_file()
    messages = await chat.library.export(ME, view.id, "openai")
    (new,), notes = await chat.library.take(OTHER, messages.data, messages.name)
    assert notes == ()
    assert questions(await chat.view(OTHER, new)) == ["A picture"]
    assert (await chat.library.export(ME, view.id, "markdown")).data.startswith(b"# My name\n")


async def test_an_import_that_cannot_be_stored_leaves_nothing_half_done(chat: Chat, services: Services) -> None:
    file = json.dumps([{"messages": [{"role": "user", "content": f"Q{n}"}]} for n in range(3)]).encode()
    services.store._writer.execute("PRAGMA query_only = ON")  # as on a full disk
    with pytest.raises(Unavailable):
        await chat.library.take(ME, file, "f.json")
    services.store._writer.execute("PRAGMA query_only = OFF")
    services.store.settle()
    assert await titles(chat) == []
    ids, _ = await chat.library.take(ME, file, "f.json")
    assert len(ids) == len(await titles(chat)) == 3


async def test_an_import_that_doesnt_fit_leaves_nothing(chat: Chat, services: Services, tmp_path: Path) -> None:
    picture = base64.b64encode(picture_file(tmp_path).path.read_bytes()).decode()
    parts = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}]
    told = [{"role": "user", "content": [*parts, {"type": "text", "text": "x" * 10_000}]}]
    chat.library.quota = Quota(chat.archive, chat.pictures, chat.people.is_operator, 20_000)
    with pytest.raises(InvalidInput) as refusal:
        await chat.library.take(OTHER, json.dumps(told).encode(), "f.json")
    assert refusal.value.messages[0].key == "chat.import.visitor_full"
    assert await titles(chat, OTHER) == []
    assert chat.pictures.bytes_in_total() == 0
    chat.people.note(OTHER, "operator")
    assert len((await chat.library.take(OTHER, json.dumps(told).encode(), "f.json"))[0]) == 1


def asking(services: Services, who: Visitor) -> httpx.AsyncClient:
    app = Starlette(routes=[*routes(services)])

    async def seen(scope, receive, send):  # type: ignore[no-untyped-def]
        scope["state"] = {STATE_KEY: who}
        await app(scope, receive, send)

    return client(seen)


async def test_the_routes(chat: Chat, services: Services, child: Scripted) -> None:
    server = known(services, child)
    mine = asking(services, Visitor(Role.OPERATOR, "en", ME))
    theirs = asking(services, Visitor(Role.CLASS, "zh", OTHER))
    file = json.dumps({"messages": [{"role": "user", "content": "<img src=x onerror=alert(1)> 显存"}, {"role": "?"}]})
    headers = {"content-type": "application/json"}
    taken = (await mine.post("/chat/import?name=a.json", content=file, headers=headers)).json()
    assert taken["count"] == 1
    assert "a.json" in taken["notes"][0]
    listed = (await mine.get("/chat/list", params={"q": "显存"})).json()
    assert [(row["id"], row["title"]) for row in listed["entries"]] == [
        (taken["first"], "<img src=x onerror=alert(1)> 显存")
    ]
    assert (await theirs.get("/chat/list")).json()["total"] == 0
    refused = await theirs.post("/chat/list/delete", json={"id": taken["first"]})
    assert (refused.status_code, "cookie" in refused.json()["messages"][0]) == (404, True)
    gone = await theirs.get("/chat/stream", headers={"console-conversation": taken["first"]})
    assert gone.status_code == 404
    assert (await theirs.post("/chat/kept", json={"days": 7})).status_code == 403
    assert (await mine.post("/chat/kept", json={"days": 7})).json() == {"days": 7, "deleted": 0}
    for path, body in (
        ("rename", {}), ("pin", {"id": 5}), ("delete", {"id": ["x"]}), ("branch", {"id": "x", "exchange": "1"}),
    ):  # fmt: skip
        assert (await mine.post(f"/chat/list/{path}", json=body)).status_code == 400, path
    saved = await mine.get("/chat/export", params={"id": taken["first"], "format": "markdown"})
    assert "attachment" in saved.headers["content-disposition"]
    assert (await mine.get("/chat/export", params={"format": "exe"})).status_code == 400

    async def large() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield bytes(1 << 20)

    answer = await mine.post("/chat/import?name=b.json", content=large(), headers=headers)
    assert (answer.status_code, "200 MiB" in answer.json()["messages"][0]) == (400, True)
    plain = await mine.post("/chat/import?name=b.json", content=file, headers={"content-type": "text/plain"})
    assert plain.status_code == 400
    assert server
