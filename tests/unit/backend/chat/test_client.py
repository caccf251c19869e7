"""A server's own words out of the bodies that come with an error."""

import gzip
import time

import pytest

from backend.chat.client import plain, said_by


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "boom"}', "boom"),
        (b'{"error": "Bad Request", "message": "too many"}', "Bad Request: too many"),
        (gzip.compress(b'{"error": "boom"}', mtime=0), "boom"),
        (b'data: {"error": "boom"}\n\n', "boom"),
        (
            b"<html><head><style>a{}</style><title>502 Bad&nbsp;Gateway</title></head><body>nginx",
            "502 Bad Gateway nginx",
        ),
        (b"<script>x < 1</script ><!-- a > b --><p class=c>Down</p>", "Down"),
        (b"<p", "<p"),
        (b"loading", "loading"),
    ],
)
def test_words_are_found(body: bytes, said: str) -> None:
    assert said_by(body) == said


@pytest.mark.parametrize("piece", ["<a ", "<", "<!--", "<script>", "<a b='", "&", "</script "])
def test_no_page_takes_long(piece: str) -> None:
    began = time.process_time()
    plain("<p>" + piece * (200_000 // len(piece)))
    assert time.process_time() - began < 1
