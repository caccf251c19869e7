"""What a server wrote while it refused: the cause, from logs of real servers (tests/logs)."""

import asyncio
from pathlib import Path

import pytest

from backend.servers import refusal
from backend.servers.refusal import LogMark, cause, mark, read_cause

LOGS = Path(__file__).parents[3] / "logs"


@pytest.mark.parametrize(
    ("name", "key", "field"),
    [
        ("refused-transformers-no-chat-template", "chat.refused.no_template", ""),
        ("refused-transformers-template-raises", "chat.refused.system", "system"),
        ("fail-awq-vlm-first-image", "engines.died.picture-dtype", ""),
        ("fail-kv-int4-head-dim-64-first-request", "engines.died.kv-misaligned", ""),
        ("fail-oom-weights-turbomind", "chat.refused.memory", ""),
    ],
)
def test_the_cause_is_named(name: str, key: str, field: str) -> None:
    found = read_cause((LOGS / f"{name}.log").read_text(encoding="utf-8", errors="replace"))
    assert found is not None
    assert (found.key, found.field) == (key, field)


@pytest.mark.parametrize("name", ["ok-transformers-serve", "ok-turbomind-1_8b", "ok-pytorch-internvl-image"])
def test_a_log_without_errors_names_none(name: str) -> None:
    assert read_cause((LOGS / f"{name}.log").read_text(encoding="utf-8", errors="replace")) is None


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("jinja2.exceptions.UndefinedError: 'tools' is undefined", "chat.refused.template"),
        ("jinja2.exceptions.TemplateError: Conversation roles must alternate user/assistant", "chat.refused.turns"),
        (
            "jinja2.exceptions.TemplateError: After the optional system message, conversation roles must alternate",
            "chat.refused.turns",
        ),
        ("jinja2.exceptions.TemplateError: System role not supported", "chat.refused.system"),
        ("ValueError: Input length of input_ids is 5000, but `max_length` is set to 4096.", "chat.error.context"),
        ("\0\0\0ValueError: the prompt is too long: 9000 tokens", "chat.error.context"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "chat.refused.memory"),
        ("ValueError: the prompt is too long: 9000 tokens", "chat.error.context"),
        ("PIL.UnidentifiedImageError: cannot identify image file <_io.BytesIO>", "chat.error.pictures_refused"),
        ("2026-11-25 10:00:00,000 - lmdeploy - ERROR - engine.py:7 - something odd", "chat.refused.log"),
        ("KeyError: 'x'", "chat.refused.log"),
        ("MemoryError", "chat.refused.memory"),
        ("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`", "chat.refused.memory"),
        ("[rank1]: torch.OutOfMemoryError: CUDA out of memory.", "chat.refused.memory"),
        ("\x1b[36m(RayWorkerWrapper pid=123)\x1b[0m ValueError: no chat template", "chat.refused.no_template"),
        ("    | ValueError: no chat template", "chat.refused.no_template"),
    ],
)
def test_every_kind_is_told(line: str, key: str) -> None:
    found = read_cause(f'INFO: fine\nTraceback (most recent call last):\n  File "a.py", line 1\n{line}\n')
    assert found is not None
    assert found.key == key


RAISED = 'ERROR:    Exception in ASGI application\nTraceback (most recent call last):\n  File "a.py", line 1\n'


def test_the_exception_is_told_not_that_there_was_one() -> None:
    found = read_cause(RAISED + "IndexError: index 9 is out of bounds\n" + RAISED + "RuntimeError: dragged behind it\n")
    assert found is not None
    assert found.params == {"detail": "IndexError: index 9 is out of bounds"}


@pytest.mark.parametrize("line", ["starlette.requests.ClientDisconnect", "asyncio.exceptions.CancelledError"])
def test_that_somebody_went_away_is_no_cause(line: str) -> None:
    assert read_cause(f"{RAISED}{line}\n") is None


def test_a_key_in_the_log_isnt_told() -> None:
    found = read_cause(RAISED + "ValueError: http://me:secret@host refused sk-abcdefghijklmnop\n")
    assert found is not None
    assert found.params == {"detail": "ValueError: http://***@host refused ***"}


async def test_only_what_was_written_since_counts_and_it_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("KeyError: 'before'\n")
    place = mark(log)

    async def write() -> None:
        with log.open("a") as file:
            file.write("x" * 300_000 + "\nKeyError: 'since'\n")

    waiting = asyncio.create_task(cause(place))
    await asyncio.sleep(0)
    await write()
    found = await waiting
    assert found is not None
    assert found.params["detail"] == "KeyError: 'since'"


async def test_a_server_without_a_log_is_asked_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await cause(LogMark(None)) is None
    monkeypatch.setattr(refusal, "WAIT_S", 0.1)
    assert await cause(mark(tmp_path / "none")) is None
