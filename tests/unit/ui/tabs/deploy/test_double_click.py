import threading

import pytest

from ui.tabs.deploy.double_click import WINDOW_S, Once


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_double_click_starts_once() -> None:
    started: list[str] = []

    def start() -> str:
        started.append("x")
        return f"server-{len(started)}"

    once = Once(Clock())
    assert [once.run("same", start), once.run("same", start), once.run("other", start)] == [
        "server-1", "server-1", "server-2",
    ]  # fmt: skip


def test_a_later_click_starts_another() -> None:
    clock = Clock()
    once = Once(clock)
    assert once.run("same", lambda: "a") == "a"
    clock.now += WINDOW_S
    assert once.run("same", lambda: "b") == "b"


def test_an_error_is_not_remembered() -> None:
    once = Once(Clock())
    with pytest.raises(ZeroDivisionError):
        once.run("same", lambda: str(1 // 0))
    assert once.run("same", lambda: "a") == "a"


def test_clicks_at_the_same_time_wait_for_each_other() -> None:
    once = Once(Clock())
    inside, go_on = threading.Event(), threading.Event()
    results: list[str] = []

    def slow() -> str:
        inside.set()
        assert go_on.wait(30)
        return "first"

    threads = [threading.Thread(target=lambda: results.append(once.run("same", slow)))]
    threads[0].start()
    assert inside.wait(30)
    threads.append(threading.Thread(target=lambda: results.append(once.run("same", lambda: "second"))))
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert results == ["first", "first"]
