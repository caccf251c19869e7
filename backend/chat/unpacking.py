"""Bodies that are compressed without a word of it in their heads. Pure."""

import zlib

GZIP = b"\x1f\x8b"
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
STEP = 1 << 20  # bytes that are unpacked at a time


class NotPacked(ValueError):
    """What began like something compressed is broken."""


class TooMuch(ValueError):
    """It unpacks to more than is read."""


class Unpacker:
    """Bytes in, cut anywhere; the bytes that were packed out. ``limit``: of what one piece may unpack to."""

    def __init__(self, head: bytes, limit: int) -> None:
        """``head``: the body's first bytes, two at least."""
        self._limit = limit
        self._bits = 31 if head.startswith(GZIP) else 15 if head.startswith(ZLIB) else 0
        self._stream = zlib.decompressobj(self._bits) if self._bits else None

    def feed(self, data: bytes) -> bytes:
        """What these bytes hold. Raises NotPacked, TooMuch."""
        if self._stream is None:
            return data
        pieces, size = [], 0
        while data:
            if self._stream.eof:  # one packed body behind another: some servers pack each piece by itself
                data = data.lstrip(b"\0\r\n")  # filled up, or a line behind each
                if not data:
                    break
                self._stream = zlib.decompressobj(self._bits)
            try:
                piece = self._stream.decompress(data, STEP)
            except zlib.error as error:
                raise NotPacked(str(error)) from error
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            pieces.append(piece)
            size += len(piece)
            if size > self._limit:
                raise TooMuch
        return b"".join(pieces)


def unpacked(data: bytes, limit: int) -> bytes:
    """A whole body; as it is where it isn't packed."""
    try:
        return Unpacker(data, limit).feed(data)
    except (NotPacked, TooMuch):
        return data
