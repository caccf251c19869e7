"""Runs LMDeploy's command line with secrets that no process list shows: ``lmdeploy_entry.py serve api_server … @FILE``.

``@FILE`` after ``--api-keys`` is replaced by the file's content before LMDeploy reads its arguments. Processes that
LMDeploy spawns get the arguments through a pipe, never on their command line.
"""

from __future__ import annotations

import importlib
import sys


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


if __name__ == "__main__":
    del sys.path[0]
    arguments = sys.argv[1:]
    if arguments[:2] == ["-m", "lmdeploy"]:
        arguments = arguments[2:]
    sys.argv = ["lmdeploy", *read_secrets(arguments)]

    importlib.import_module("lmdeploy.cli").run()
