"""Which test files begin first: a long one that is left for the end is waited for by all other processes."""

import os
from pathlib import Path
from typing import Protocol

# Playwright keeps an event loop running in its process from the first browser test on: no other test may come behind.
PARTS = ("unit", "integration", "browser")
# Half a minute and more each, the longest first
LONG = (
    "integration/test_benchmark.py", "integration/test_downloads.py", "integration/test_quantize.py",
    "integration/test_proxy.py", "integration/test_gateway.py", "integration/test_campaign.py",
    "integration/test_chat.py", "integration/test_start_environment.py", "integration/test_cpu_engine.py",
    "browser/test_quantize.py", "browser/test_deploy.py", "browser/test_chat.py", "browser/test_answers.py",
    "browser/test_shell.py", "browser/test_kept.py", "browser/test_page_for_everyone.py", "browser/test_deploy_page.py",
    "browser/test_lessons.py", "browser/test_deploy_life.py", "browser/test_lab.py", "browser/test_first_minute.py",
    "browser/test_modules.py", "browser/test_chat_talk.py", "browser/test_chat_compare.py", "browser/test_paste.py",
    "browser/test_vram_replay.py", "browser/test_bad_line.py", "browser/test_chat_goes_on.py",
)  # fmt: skip
PROCESSES_A_CORE = 1.5


class HasPath(Protocol):
    """A test, as far as its order goes."""

    path: Path


def place(test: HasPath) -> tuple[int, int]:
    """What tests are sorted by: a file's tests stay together, and others keep their order."""
    part, name = test.path.parts[-2], "/".join(test.path.parts[-2:])
    return (
        PARTS.index(part) if part in PARTS else 0,
        LONG.index(name) if name in LONG else len(LONG),
    )


def processes() -> int:
    """How many share the tests: these wait half of their time, for a process, a page, a deadline."""
    return max(1, round(len(os.sched_getaffinity(0)) * PROCESSES_A_CORE))
