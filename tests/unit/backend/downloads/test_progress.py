"""How far a download is, and how fast, by its log in pieces cut anywhere."""

import random

from backend.downloads.progress import WINDOW_S, ByteReader

LOG = (
    "config.json: it is on this machine already\n0 of 1000 bytes\n400 of 1000 bytes\n"
    "x: 9 of 10 bytes more\n900 of 1000 bytes\n"
)


def test_any_cut_gives_the_same() -> None:
    rng = random.Random(5)
    for _ in range(200):
        reader, rest = ByteReader(), LOG
        while rest:
            cut = rng.randint(1, 30)
            reader.feed(rest[:cut], 0.0)
            rest = rest[cut:]
        assert reader.done == 900


def test_a_half_line_does_not_count() -> None:
    reader = ByteReader(50)
    assert reader.feed("900 of 10", 1.0) == 50
    assert reader.feed("00 bytes", 2.0) == 50
    assert reader.feed("\n", 3.0) == 900


def test_speed() -> None:
    reader = ByteReader()
    assert reader.speed(0.0) is None
    for second in range(40):
        reader.feed(f"{second * 100} of 9999 bytes\n", float(second))
    assert reader.speed(39.0) == 100.0
    speed = reader.speed(39.0 + WINDOW_S)  # nothing came since
    assert speed is not None
    assert speed < 60
    reader.feed("10 of 9999 bytes\n", 60.0)  # a file comes anew
    assert reader.speed(60.5) is None
