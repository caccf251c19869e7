"""A text is counted once, however many ask at that moment; the child is a real process that says when it began."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.errors import InvalidInput
from backend.machine.machine import Environment
from backend.models.checkpoint import ModelInfo, read_model
from backend.quantization.texts import KeptText
from backend.quantization.token_count import TokenCounter
from tests.support.tiny_models import fake_model
from tests.support.waiting import wait_for

CHILD = """#!/bin/sh
echo begun >> "$(dirname "$0")/begun"
while [ ! -e "$(dirname "$0")/go" ]; do sleep 0.05; done
%s
"""


@pytest.fixture
def subject(tmp_path: Path) -> tuple[ModelInfo, KeptText]:
    (tmp_path / "text").mkdir()
    text = KeptText("one", tmp_path / "text", 3, "one.txt")
    text.file.parent.mkdir(parents=True, exist_ok=True)
    text.file.write_text("one")
    return read_model(fake_model(tmp_path / "model")), text


def python(tmp_path: Path, answer: str) -> Environment:
    program = tmp_path / "python"
    program.write_text(CHILD % answer)
    program.chmod(0o700)
    return Environment("here", "Here", program, "console")


@pytest.mark.parametrize("answer", ["""echo '{"tokens": 7}'""", "exit 3"])
def test_who_asks_while_it_is_counted_waits_for_that_count(
    tmp_path: Path, subject: tuple[ModelInfo, KeptText], answer: str
) -> None:
    counter, here, asked = TokenCounter(), python(tmp_path, answer), threading.Semaphore(0)

    def count() -> int | str:
        asked.release()
        try:
            return counter.count(*subject, here, False)
        except InvalidInput as error:
            return error.messages[0].key

    with ThreadPoolExecutor(4) as pool:
        counts = [pool.submit(count) for _ in range(4)]
        wait_for("a child", (tmp_path / "begun").exists)
        assert all(asked.acquire(timeout=30) for _ in counts)
        (tmp_path / "go").touch()
        found = {running.result(60) for running in counts}
    assert found == ({7} if "tokens" in answer else {"quantize.text.no-tokens"})
    if "tokens" in answer:
        assert counter.known(*subject, here, False) == 7
        assert (tmp_path / "begun").read_text().count("begun") == 1
    assert counter._under_way == {}
