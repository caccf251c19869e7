"""How often answers are read and shown: one as its tokens come, many several tokens at a time."""

from contextlib import ExitStack

from backend.chat.pace import FEW, LONG_ANSWER, LONG_SHOWN_S, MOST_S, SHORT, SHOWN_S, Pace


def test_the_more_there_are_the_less_often_each() -> None:
    pace = Pace()
    with ExitStack() as stack:
        for _ in range(FEW):
            stack.enter_context(pace.watching())
        assert (pace.reading_pause_s(), pace.pause_s(10)) == (0.0, SHOWN_S)
        assert pace.pause_s(SHORT) == SHOWN_S < pace.pause_s(2 * SHORT) < LONG_SHOWN_S
        assert pace.pause_s(LONG_ANSWER) == pace.pause_s(9 * LONG_ANSWER) == LONG_SHOWN_S
        for _ in range(100 - FEW):
            stack.enter_context(pace.watching())
        assert 0.1 <= pace.reading_pause_s() == pace.pause_s(10) <= MOST_S
        for _ in range(400):
            stack.enter_context(pace.watching())
        assert pace.pause_s(LONG_ANSWER) == MOST_S
    assert pace.reading_pause_s() == 0.0
