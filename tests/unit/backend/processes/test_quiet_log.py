"""A log without the console's own questions: nothing else is missing, no byte is read twice or left out."""

from pathlib import Path

import pytest

from backend.processes.quiet_log import FEW_LINES, read_back, read_on

OWN = 'INFO:     127.0.0.1:41234 - "GET /health HTTP/1.1" 200 OK\n'
METRICS = 'INFO:     127.0.0.1:41234 - "GET /metrics HTTP/1.1" 200 OK\n'
OTHERS = [
    'INFO:     127.0.0.1:41234 - "GET /health HTTP/1.1" 503 Service Unavailable\n',
    'INFO:     127.0.0.1:41234 - "POST /v1/chat/completions HTTP/1.1" 200 OK\n',
    'INFO:     127.0.0.1:41234 - "GET /healthy HTTP/1.1" 200 OK\n',
    "INFO:     Uvicorn running on http://127.0.0.1:23333 (Press CTRL+C to quit)\n",
    "模型 loaded: GET /health 200 OK\n",
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_only_the_own_questions_are_left_out(log: Path) -> None:
    log.write_text("".join(OWN + other + METRICS for other in OTHERS), encoding="utf-8")
    chunk, starts = read_back(log, None)
    assert chunk.text == "".join(OTHERS)
    assert (chunk.offset, chunk.next_offset) == (0, log.stat().st_size)
    data = log.read_bytes()
    for line, start in zip(chunk.text.split("\n"), starts, strict=True):
        assert data[start:].startswith(line.encode())


@pytest.mark.parametrize("cut", range(1, len(OWN)))
def test_a_line_that_may_become_one_is_waited_for(log: Path, cut: int) -> None:
    log.write_text("first\n" + OWN[:cut])
    chunk, _ = read_back(log, None)
    assert chunk.text == "first\n"
    log.write_text("first\n" + OWN + "second\n")
    after, _ = read_on(log, chunk.next_offset)
    assert (after.text, after.next_offset) == ("second\n", after.size)


@pytest.mark.parametrize("begun", ["Loading: 29%|##  | 7/24", "INFO:     Started", 'INFO:     1.2.3.4:5 - "POST /v1'])
def test_another_line_is_shown_as_it_grows(log: Path, begun: str) -> None:
    log.write_text(OWN + begun)
    chunk, _ = read_back(log, None)
    assert (chunk.text, chunk.next_offset) == (begun, chunk.size)


def test_what_stands_before_a_day_of_questions_is_found(log: Path) -> None:
    log.write_text("".join(f"line {n}\n" for n in range(300)) + OWN * 40_000)
    chunk, _ = read_back(log, None)
    assert chunk.text.endswith("line 299\n")
    assert chunk.text.count("\n") >= FEW_LINES
    earlier = chunk
    text = chunk.text
    while earlier.offset:
        earlier, _ = read_back(log, earlier.offset)
        text = earlier.text + text
    assert text == "".join(f"line {n}\n" for n in range(300))
