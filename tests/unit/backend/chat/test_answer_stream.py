"""The plain reader gives what httpx gives, whatever a server does with HTTP, and loses nothing that came."""

import asyncio
import gzip
import sys

import pytest

from backend.chat.client import Client, Deadlines
from backend.chat.completion import Delta
from backend.errors import ConsoleError

TEXT = b'data: {"choices": [{"index": 0, "delta": {"content": "fox"}, "finish_reason": null}]}\n\n'
END = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
PACKED = gzip.compress(TEXT + END, mtime=0)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE, GONE = ("fox", ""), ("fox", "chat.end.gone")
DOCUMENT = b'{"choices": [{"message": {"content": "fox"}, "finish_reason": "stop"}]}'
DEADLINES = Deadlines(connect_s=20, first_token_s=20, silence_s=20)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def read(
    *answers: bytes, plainly: bool, deadlines: Deadlines = DEADLINES, open_after: bool = False, pause_s: float = 0
) -> tuple[str, str]:
    """The text that came, and the key of the error, if any."""

    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for place, answer in enumerate(answers):
            if place:
                await asyncio.wait([asyncio.ensure_future(over.wait())], timeout=pause_s)
            writer.write(answer)
        if open_after:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    client, text, error = Client(deadlines), "", ""
    try:
        await client.prepare(url, "")
        assert client._plainly == {(url, "")}
        if not plainly:
            client._plainly.clear()
        async for event in client.stream(url, "", {"messages": []}):
            text += event.text if isinstance(event, Delta) else ""
    except ConsoleError as refused:
        error = refused.messages[0].key
    finally:
        over.set()
        await client.close()
        server.close()
    return text, error


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (CHUNKED + chunk(TEXT) + chunk(END) + b"0\r\n\r\n", WHOLE),
        (CHUNKED + chunk(TEXT) + chunk(END), WHOLE),  # without the last chunk
        (CHUNKED + chunk(TEXT), GONE),
        (CHUNKED + chunk(TEXT) + b"50\r\ndata: {", GONE),
        (b"HTTP/1.0 200 OK\r\n\r\n" + TEXT + END, WHOLE),
        (OK + b"\r\n" + TEXT + END, WHOLE),
        (OK + b"Content-Length: 9999\r\n\r\n" + TEXT, GONE),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED, WHOLE),
        (OK + b"X: " + b"a" * 20_000 + b"\r\n\r\n" + TEXT + END, WHOLE),
        (OK + b"".join(b"X-%d: a\r\n" % number for number in range(300)) + b"\r\n" + TEXT + END, WHOLE),
        (OK + b"Content-Length: %d\r\n\r\n" % (len(DOCUMENT) + 2) + DOCUMENT, WHOLE),
        (CHUNKED + chunk(DOCUMENT), WHOLE),
        (CHUNKED + chunk(DOCUMENT[:41]), ("fox", "chat.end.gone")),
        (CHUNKED + chunk(TEXT[6:-2]), GONE),  # JSON lines, the last without a line end
        (CHUNKED + chunk(TEXT + b"Killed\n"), ("fox", "chat.end.gone_said")),
        (CHUNKED + chunk(TEXT[:-1]), GONE),
        (CHUNKED + chunk(TEXT[:-2]), GONE),
        (CHUNKED + chunk(TEXT + END[:-16]), WHOLE),
        (b"HTTP/1.1 400 Bad\r\n\r\n" + gzip.compress(b'{"error":"boom"}', mtime=0), ("", "chat.error.status")),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\ndown", ("", "chat.error.status")),
        (OK.replace(b"200 OK", b"302 Found") + b"Location: http://x/\r\n\r\n", ("", "chat.error.redirect")),
        (b"HELLO\r\n\r\n", ("", "chat.end.gone")),
        (b"", ("", "chat.end.gone")),
    ],
)
async def test_both_readers_agree(answer: bytes, wanted: tuple[str, str]) -> None:
    assert await read(answer, plainly=True) == wanted
    assert await read(answer, plainly=False) == wanted


@pytest.mark.parametrize("body", [DOCUMENT, TEXT + END[:-1], TEXT + END[:-2], TEXT + b"data: [DONE]"])
async def test_a_whole_answer_ends_though_its_connection_stays(body: bytes) -> None:
    quick = Deadlines(connect_s=20, first_token_s=60, silence_s=60, end_s=0.2)
    for answer in (OK + b"\r\n" + body, CHUNKED + chunk(body)):
        async with asyncio.timeout(20):
            assert await read(answer, plainly=True, deadlines=quick, open_after=True) == WHOLE


@pytest.mark.parametrize("first", [
    TEXT.replace(b"null", b'"stop"'),
    TEXT + b'data: {"choices": [], "usage": {"completion_tokens": 1}}\n\n',
    TEXT.replace(b"null", b'"not_finished"'),
])  # fmt: skip
async def test_what_only_seems_to_be_the_end_is_waited_beyond(first: bytes) -> None:
    quick = Deadlines(connect_s=20, first_token_s=20, silence_s=20, end_s=0.05)
    pieces = [OK + b"\r\n" + first, TEXT + END]
    assert await read(*pieces, plainly=True, deadlines=quick, pause_s=0.5) == ("foxfox", "")


async def test_nobody_there_is_told_so() -> None:
    client = Client(DEADLINES)
    with pytest.raises(ConsoleError) as caught:
        async for _ in client.stream("http://127.0.0.1:1/v1", "", {}):
            pass
    await client.close()
    assert caught.value.messages[0].key == "chat.error.unreachable"


async def test_where_it_cannot_be_used_httpx_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)  # its import fails
    client = Client(DEADLINES)
    await client.prepare("http://127.0.0.1:1/v1", "")
    assert not client._plainly
    await client.close()
