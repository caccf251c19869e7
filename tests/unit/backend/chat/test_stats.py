"""The figures of an answer, from times that are given."""

import pytest

from backend.chat.stats import Meter


def test_time_to_first_token_and_decoding_speed() -> None:
    meter = Meter(queued_at=10.0)
    meter.sent(12.0)
    for index in range(11):
        meter.token(12.5 + index * 0.1)
    meter.ended(100, 11)
    stats = meter.stats(14.0)
    assert (stats.prompt_tokens, stats.answer_tokens, stats.approximate) == (100, 11, False)
    assert stats.queued_ms == pytest.approx(2000)
    assert stats.ttft_ms == pytest.approx(500)
    assert stats.tokens_per_s == pytest.approx(10)
    assert stats.total_ms == pytest.approx(4000)


def test_while_it_streams_each_chunk_counts_as_a_token() -> None:
    meter = Meter(queued_at=0.0)
    meter.sent(0.0)
    assert meter.stats(1.0).answer_tokens is None
    meter.token(1.0)
    meter.token(1.5)
    meter.token(2.0)
    stats = meter.stats(2.0)
    assert (stats.answer_tokens, stats.approximate) == (3, True)
    assert stats.tokens_per_s == pytest.approx(2)


def test_a_server_without_usage_gives_approximate_counts() -> None:
    meter = Meter(queued_at=0.0)
    meter.sent(0.0)
    for index in range(4):
        meter.token(1.0 + index)
    meter.ended(None, None)
    stats = meter.stats(9.0)
    assert (stats.prompt_tokens, stats.answer_tokens, stats.approximate) == (None, 4, True)
    assert stats.tokens_per_s == pytest.approx(1)


def test_several_tokens_in_a_chunk_count_by_the_usage() -> None:
    meter = Meter(queued_at=0.0)
    meter.sent(0.0)
    meter.token(1.0)
    meter.token(2.0)
    meter.ended(5, 21)
    assert meter.stats(2.0).tokens_per_s == pytest.approx(20)


def test_tool_rounds_add_up() -> None:
    meter = Meter(queued_at=0.0)
    meter.sent(0.0)
    meter.token(0.5)
    meter.token(1.5)
    meter.ended(10, 2)
    meter.sent(3.0)
    meter.token(5.0)
    meter.token(7.0)
    meter.ended(30, 3)
    stats = meter.stats(7.0)
    assert (stats.prompt_tokens, stats.answer_tokens) == (30, 5)
    assert stats.ttft_ms == pytest.approx(500)  # of the first request
    assert stats.tokens_per_s == pytest.approx(3 / 3)


def test_one_token_has_no_speed_and_none_no_time() -> None:
    meter = Meter(queued_at=0.0)
    meter.sent(0.0)
    meter.ended(3, 0)
    stats = meter.stats(1.0)
    assert (stats.answer_tokens, stats.ttft_ms, stats.tokens_per_s) == (0, None, None)
