"""Consoles that start quickly: ``python console_nursery.py``, then one JSON line a console on standard input.

What app.py imports takes seconds; here it is imported once, and each console is a fork of this process that runs
``app.main``. A line holds arguments, environment, output (a file), umask and open_files; the pid is the answer. What a
console ends with is written beside its output, by a process that does nothing but wait for it. Ends with its input.
"""

import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def main() -> None:
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    from backend.console.environment import OWN

    os.environ.update(OWN)  # Gradio reads it while it is imported
    import app
    from ui.gradio_compat.imports import import_gradio

    import_gradio()
    import ui.application  # noqa: F401

    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(reading)
            _wait_for(order, writing, app.main)
        os.close(writing)
        with os.fdopen(reading) as said:
            print(said.read(), flush=True)


def _wait_for(order: Mapping[str, Any], pid_to: int, run: Any) -> None:
    """In a process of its own: starts the console, says its pid, and writes down what it ended with."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    pid = os.fork()
    if pid == 0:
        os.close(pid_to)
        _be_console(order, run)
    os.write(pid_to, str(pid).encode())
    os.close(pid_to)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    Path(f"{order['output']}.part").write_text(str(code))
    Path(f"{order['output']}.part").rename(f"{order['output']}.code")
    os._exit(0)


def _be_console(order: Mapping[str, Any], run: Any) -> None:
    """The console, as app.py is."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(order["environment"])
    if order["umask"] >= 0:
        os.umask(order["umask"])
    if order["open_files"] is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (order["open_files"], order["open_files"]))
    code = 1
    try:
        code = run(order["arguments"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
