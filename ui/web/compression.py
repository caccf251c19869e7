"""How answers are compressed: brotli where the browser takes it (on loopback and behind https), else gzip.

Once a file, and kept: so it may take its time.
"""

import gzip

import brotli  # type: ignore[import-untyped]

LEAST_BYTES = 500
_QUALITY = 9  # a megabyte takes a quarter of a second; the best takes twenty times as long, for a tenth less


def accepted(header: str) -> str:
    """The encoding to answer with, by the request's Accept-Encoding; "" for none."""
    names = {
        name.strip().lower()
        for name, _, parameters in (part.partition(";") for part in header.split(","))
        if parameters.replace(" ", "") not in ("q=0", "q=0.0")
    }
    return next((name for name in ("br", "gzip") if name in names), "")


def packed(content: bytes, encoding: str) -> bytes:
    """The bytes in that encoding."""
    if encoding == "br":
        whole: bytes = brotli.compress(content, mode=brotli.MODE_TEXT, quality=_QUALITY)
        return whole
    return gzip.compress(content, 9) if encoding == "gzip" else content


def is_text(content_type: str) -> bool:
    """Whether it is worth compressing: pictures are compressed already."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind.endswith(("javascript", "json", "xml"))
