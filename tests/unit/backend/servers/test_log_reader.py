"""Load progress and causes of death, from logs of real servers (tests/logs)."""

from pathlib import Path

import pytest

from backend.servers.log_reader import clean, diagnose, load_progress

LOGS = Path(__file__).parents[3] / "logs"


def log(name: str) -> str:
    with (LOGS / f"{name}.log").open(encoding="utf-8", newline="") as stream:
        return stream.read()


def stages(engine: str, name: str) -> list[tuple[str, float | None]]:
    """What the page shows while the log grows, byte by byte, each once."""
    text = log(name)
    seen: list[tuple[str, float | None]] = []
    for end in range(len(text)):
        if text[end - 1 : end] in {"\r", "\n", "]"} and (now := load_progress(engine, text[:end])) not in seen:
            seen.append(now)
    return seen


def test_turbomind_counts_its_layers() -> None:
    seen = stages("turbomind", "ok-turbomind-1_8b")
    fractions = [fraction for stage, fraction in seen if stage == "engines.stage.weights"]
    assert fractions[:4] == [0, 7 / 24, 15 / 24, 23 / 24]
    assert seen[0] == ("engines.stage.start", None)
    assert seen[-1] == ("engines.stage.ready", 1.0)


def test_pytorch_loads_then_warms_up() -> None:
    seen = stages("pytorch", "ok-pytorch-internvl-image")
    names = list(dict.fromkeys(stage.removeprefix("engines.stage.") for stage, _ in seen))
    assert names == ["start", "weights", "warm-up", "ready"]
    assert ("engines.stage.warm-up", 1 / 12) in seen


def test_transformers_serve() -> None:
    seen = stages("transformers", "ok-transformers-serve")
    assert ("engines.stage.weights", 0.0) in seen
    assert ("engines.stage.weights", 1.0) in seen
    assert seen[-1] == ("engines.stage.ready", 1.0)


def test_progress_where_there_is_none() -> None:
    assert load_progress("turbomind", "") == ("", None)
    assert load_progress("external", "Loading:  50%|#| 1/2") == ("", None)
    assert load_progress("turbomind", "\rLoading:  50%|#| 0/0 [") == ("engines.stage.weights", 0.5)
    line = "Convert to turbomind format:  31%|███▏      | 10/32 [00:05<00:11]"
    assert load_progress("turbomind", line) == ("engines.stage.weights", 10 / 32)
    line = "Fetching 12 files:  25%|██▌       | 3/12 [00:05<00:15,  1.7s/it]"
    assert load_progress("turbomind", line) == ("engines.stage.download", 0.25)
    assert load_progress("turbomind", "a: 1000%|" * 50_000) == ("engines.stage.start", None)


@pytest.mark.timeout(10)
def test_a_line_of_many_beginnings_of_bars() -> None:
    """64 KiB took nine seconds."""
    assert load_progress("turbomind", "a: 5%|" * 200_000) == ("engines.stage.start", None)


@pytest.mark.parametrize(
    ("name", "key", "line"),
    [
        ("fail-another-hidden-size", "weights-shape", "Check failed: embedding_table.shape(1)"),
        ("fail-awq-vlm-first-image", "picture-dtype", "[TM][FATAL][1121.08:39:15.977130][internvit.cc:293]"),
        ("fail-f32-vlm-first-image", "picture-dtype", "[TM][FATAL][1121.12:55:15.411821][internvit.cc:293]"),
        ("fail-kv-int4-head-dim-64-first-request", "kv-misaligned", "CUDA error: misaligned address"),
        ("fail-missing-path", "path", "HFValidationError: Repo id must be"),
        ("fail-no-trust-remote-code", "trust", "AttributeError: 'dict' object has no attribute 'hidden_size'"),
        ("fail-oom-pytorch", "memory-kv", "RuntimeError: No enough gpu memory for kv cache."),
        ("fail-oom-weights-turbomind", "memory-weights", "CUDA error: out of memory"),
        ("fail-port-in-use", "port", "[Errno 98] error while attempting to bind"),
        ("fail-transformers-awq", "gptqmodel", "ImportError"),
        ("fail-transformers-at-sign", "path", "OSError: Repo id must be in the form"),
        ("fail-unknown-argument", "arguments", "unrecognized arguments: --no-such-flag"),
    ],
)
def test_why_real_servers_died(name: str, key: str, line: str) -> None:
    diagnosis = diagnose(log(name), 1)
    assert diagnosis.message.key == f"engines.died.{key}"
    assert any(line in shown for shown in diagnosis.lines)
    assert 1 <= len(diagnosis.lines) <= 3


def test_a_progress_bar_is_not_shown_with_the_error_behind_it() -> None:
    (line,) = diagnose(log("fail-oom-weights-turbomind"), -6).lines
    assert line.startswith("[TM][FATAL]")


@pytest.mark.parametrize(
    ("text", "key", "cause"),
    [
        ("ModuleNotFoundError: No module named 'flash_attn'", "module", "flash_attn"),
        (
            "ImportError: This modeling file requires the following packages that were not found in your environment: "
            "timm. Run `pip install timm`",
            "module",
            "timm",
        ),
        ("ImportError: libcudart.so.12: cannot open shared object file: No such file", "library", "libcudart.so.12"),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 12020).", "driver", ""),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "memory", ""),
        ("ValueError: Couldn't instantiate the backend tokenizer from one of: ", "tokenizer", ""),
        ("ERROR:    [Errno 13] error while attempting to bind on address ('127.0.0.1', 80): permission denied",
         "port-denied", ""),
        ("OSError: [Errno 28] No space left on device", "disk", ""),
        ("RuntimeError: No CUDA GPUs are available", "no-gpu", ""),
        ("The checkpoint you are trying to load has model type `nova` but Transformers does not recognize this "
         "architecture", "architecture", "nova"),
        ("safetensors_rust.SafetensorError: Error while deserializing header", "weights", ""),
        ("Traceback (most recent call last):\n  File x\nmy.own.StrangeError: so it is", "error",
         "my.own.StrangeError: so it is"),
        ("[TM][FATAL][1121.08:39:15.9][x.cc:1] Check failed: a == b", "error", "Check failed: a == b"),
    ],
)  # fmt: skip
def test_other_causes(text: str, key: str, cause: str) -> None:
    diagnosis = diagnose(f"INFO: first line\n{text}\nINFO: last line", 1)
    assert diagnosis.message.key == f"engines.died.{key}"
    assert diagnosis.message.params["cause"] == cause


@pytest.mark.parametrize(
    ("code", "key", "params"),
    [
        (-9, "killed", {"signal": "SIGKILL"}),
        (137, "killed", {"signal": "SIGKILL"}),
        (-11, "signal", {"signal": "SIGSEGV"}),
        (-15, "ended", {"signal": "SIGTERM"}),
        (143, "ended", {"signal": "SIGTERM"}),
        (-1, "ended", {"signal": "SIGHUP"}),
        (-2, "ended", {"signal": "SIGINT"}),
        (3, "exit", {"code": 3}),
        (0, "exit", {"code": 0}),
        (None, "unknown", {}),
    ],
)
def test_no_cause_in_the_log(code: int | None, key: str, params: dict[str, object]) -> None:
    diagnosis = diagnose("one\ntwo\nthree\nfour\n", code)
    assert diagnosis.message.key == f"engines.died.{key}"
    assert params.items() <= dict(diagnosis.message.params).items()
    assert diagnosis.lines == ("two", "three", "four")
    assert diagnose("", code).lines == ()


def test_colours_and_carriage_returns() -> None:
    assert clean("\x1b[93m\x1b[1mhttp\x1b[0m\r\n  \ra\rb\n") == ["http", "a", "b"]
