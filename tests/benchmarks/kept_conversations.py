"""What many conversations cost: ``python tests/benchmarks/kept_conversations.py [conversations] [words each]``.

A list of 5,000 is opened and searched, and one of 500 messages is opened, over HTTP as a page does it; the figures are
printed, medians of several runs. The machine should have nothing else to do.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from backend.chat.archive import Archive
from backend.chat.conversation import Answer, AnswerState, Conversation, Question, Sampling, to_json
from backend.classroom.people import People
from backend.store import Store
from tests.conftest import make_settings
from tests.support.console import Console
from tests.support.gradio_calls import Visitor

WORDS = ("the", "KV", "cache", "占用显存", "随对话增长", "quantization", "model", "server", "量化", "位宽")
RUNS = 9
WRITER = "f" * 32


def said(chance: random.Random, exchanges: int, words: int) -> Conversation:
    whole = Conversation()
    for number in range(exchanges):
        text = " ".join(chance.choices(WORDS, k=words))
        answer = Answer("s", "Server", "model", AnswerState.DONE, text)
        whole = whole.asked(Question(f"Question {number}: {text[:40]}"), (answer,), Sampling())
    return whole


def fill(state: Path, count: int, words: int) -> str:
    """The conversations, and the id of the long one."""
    store, chance = Store(state), random.Random(1)
    archive = Archive(store)
    People(store).note(WRITER, "operator")
    for number in range(count):
        archive.save(f"c{number}", WRITER, to_json(said(chance, 2, words // 2)))
    archive.save("long", WRITER, to_json(said(chance, 250, 120)))
    store.close()
    return "long"


def median_ms(action: Callable[[], object]) -> float:
    action()
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        action()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def main() -> None:
    count, words = ([int(value) for value in sys.argv[1:]] + [5_000, 200])[:2] if len(sys.argv) > 2 else (5_000, 200)
    state = Path(tempfile.mkdtemp()) / "state"
    make_settings(state)
    long = fill(state, count, words)
    console = Console(state).ready()
    try:
        with Visitor(console) as visitor:

            def listed(query: str) -> int:
                answer = visitor.client.get("/console/chat/list", params={"q": query}).raise_for_status()
                return int(answer.json()["total"])

            def opened() -> int:
                headers = {"console-conversation": long}
                return len(visitor.client.get("/console/chat/stream", headers=headers).raise_for_status().content)

            assert listed("") == count + 1
            size = (state / "console.sqlite3").stat().st_size / 2**20
            print(f"{count} conversations of {words} words, {size:.0f} MiB")
            poll = median_ms(lambda: visitor.client.get("/console/snapshot"))
            print(f"a poll, which knows the list's revision: {poll:.1f} ms")
            print(f"the list opens: {median_ms(lambda: listed('')):.1f} ms")
            for query in ("显存", "位宽 KV", "quantization", "nowhere to be found"):
                print(f"searched for {query!r} ({listed(query)} found): {median_ms(partial(listed, query)):.1f} ms")
            print(f"a conversation of 500 messages opens ({opened() / 1024:.0f} KiB): {median_ms(opened):.1f} ms")
    finally:
        console.close()


if __name__ == "__main__":
    main()
