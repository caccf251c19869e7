"""An HTTP and SOCKS5 proxy that passes nothing on, and writes down what it was asked for.

``python recording_proxy.py FILE``; it prints ``port N``. Each connection's first bytes are appended to FILE as one JSON
line. Whatever is asked for is answered with a model list of the proxy's own, so that a client that came here shows it.
The standard library only.
"""

import asyncio
import json
import sys

BODY = json.dumps({"object": "list", "data": [{"id": "through-the-proxy"}]}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(
    BODY
)


def note(first: bytes) -> None:
    with open(sys.argv[1], "a", encoding="utf-8") as file:
        file.write(json.dumps(first.decode("latin-1")) + "\n")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    first = await reader.read(65536)
    if first.startswith(b"\x05"):  # SOCKS5: no authentication, connected to whatever it is
        writer.write(b"\x05\x00")
        first += await reader.read(65536)
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x01")
        first += await reader.read(65536)
    note(first)
    if not first.startswith(b"CONNECT"):  # a tunnel would want TLS: it is only noted
        writer.write(ANSWER + BODY)
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
