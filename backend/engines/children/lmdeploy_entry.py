"""Runs LMDeploy's command line with secrets that no process list shows: ``lmdeploy_entry.py serve api_server … @FILE``.

``@FILE`` after ``--api-keys`` is replaced by the file's content before LMDeploy reads its arguments. Processes that
LMDeploy spawns get the arguments through a pipe, never on their command line.

A server's garbage collector leaves out what was there before its first request. It looks through everything now and
then: 340 ms with PyTorch and a model on an H100's host, in which no stream goes on; 20 ms without them.
"""

from __future__ import annotations

import gc
import importlib
import sys
from typing import Any


def read_secrets(arguments: list[str]) -> list[str]:
    """The arguments with the ``@FILE`` after each ``--api-keys`` replaced by what the file holds."""
    read: list[str] = []
    for position, argument in enumerate(arguments):
        secret = argument
        if position and arguments[position - 1] == "--api-keys" and argument.startswith("@"):
            with open(argument[1:], encoding="utf-8") as stream:
                secret = stream.read().strip()
            if not secret:
                raise SystemExit("the file with the API key is empty")
        read.append(secret)
    return read


def spare_what_stays() -> None:
    """From the moment on when LMDeploy, its model loaded, calls ``uvicorn.run``."""
    try:
        uvicorn: Any = importlib.import_module("uvicorn")
    except ImportError:  # LMDeploy will say so
        return
    run = uvicorn.run

    def after_loading(*arguments: Any, **options: Any) -> Any:
        gc.collect()
        gc.freeze()
        return run(*arguments, **options)

    uvicorn.run = after_loading


if __name__ == "__main__":
    del sys.path[0]
    arguments = sys.argv[1:]
    if arguments[:2] == ["-m", "lmdeploy"]:
        arguments = arguments[2:]
    sys.argv = ["lmdeploy", *read_secrets(arguments)]
    if "api_server" in arguments:
        spare_what_stays()
    importlib.import_module("lmdeploy.cli").run()
