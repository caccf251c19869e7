"""Compressed bodies, cut anywhere."""

import gzip
import zlib

import pytest

from backend.chat.unpacking import NotPacked, TooMuch, Unpacker, unpacked

TEXT = b"data: one\n\ndata: two\n\n"
PACKED = {
    "plain": TEXT,
    "gzip": gzip.compress(TEXT, mtime=0),
    "members": b"".join(gzip.compress(TEXT[at : at + 7], mtime=0) for at in range(0, len(TEXT), 7)),
    "padded": gzip.compress(TEXT, mtime=0) + b"\0" * 10,
    "zlib": zlib.compress(TEXT),
    "fast zlib": zlib.compress(TEXT, 1),
}


@pytest.mark.parametrize("name", PACKED)
def test_what_was_packed_comes_out(name: str) -> None:
    data = PACKED[name]
    assert unpacked(data, 1000) == TEXT
    for size in (1, 3, 20):
        reader = Unpacker(data[:3], 1000)
        assert b"".join(reader.feed(data[at : at + size]) for at in range(0, len(data), size)) == TEXT


def test_a_broken_one_and_one_without_end() -> None:
    with pytest.raises(NotPacked):
        Unpacker(b"\x1f\x8b\x08", 1000).feed(b"\x1f\x8b\x08" + b"\xff" * 20)
    bomb = gzip.compress(b"\0" * 10_000_000, mtime=0)
    with pytest.raises(TooMuch):
        Unpacker(bomb, 1000).feed(bomb)
    assert unpacked(bomb, 1000) == bomb


def test_a_line_end_behind_what_was_packed() -> None:
    for size in (1, 1000):
        data = gzip.compress(TEXT, mtime=0) + b"\r\n"
        reader = Unpacker(data[:2], 1000)
        assert b"".join(reader.feed(data[at : at + size]) for at in range(0, len(data), size)) == TEXT
