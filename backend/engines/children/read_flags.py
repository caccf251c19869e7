"""Prints, as one line of JSON, what the command lines of this environment's LMDeploy and transformers take.

LMDeploy builds its whole parser before it reads its arguments; here the reading is replaced, and the parser walked
instead. What a flag's own function takes (``--quant-policy``) is found by trying small numbers.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import json
import os
import re
import sys
from typing import Any, NoReturn

BUILT_IN: dict[Any, str] = {None: "text", str: "text", int: "int", float: "float", json.loads: "json"}
TRIED = range(65)


class Captured(Exception):
    """Carries the parser out of LMDeploy's command line."""


def lmdeploy_parser() -> argparse.ArgumentParser:
    """LMDeploy's top parser, taken at the moment when it would read the arguments."""

    def capture(self: argparse.ArgumentParser, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise Captured(self)

    original = argparse.ArgumentParser.parse_args
    argparse.ArgumentParser.parse_args = capture  # type: ignore[method-assign]
    sys.argv = ["lmdeploy"]
    try:
        importlib.import_module("lmdeploy.cli").run()
    except Captured as captured:
        parser: argparse.ArgumentParser = captured.args[0]
        return parser
    finally:
        argparse.ArgumentParser.parse_args = original  # type: ignore[method-assign]
    raise SystemExit("LMDeploy's command line read no arguments")


def subparser(parser: argparse.ArgumentParser, *names: str) -> argparse.ArgumentParser | None:
    """The parser of a subcommand, None where there is none."""
    found: argparse.ArgumentParser | None = parser
    for name in names:
        groups = [
            action for action in (found._actions if found else ()) if isinstance(action, argparse._SubParsersAction)
        ]
        found = groups[0].choices.get(name) if groups else None
    return found


def describe(action: argparse.Action) -> dict[str, Any]:
    """One flag of an argparse parser."""
    kind = BUILT_IN.get(action.type, "other")
    choices = [str(choice) for choice in action.choices] if action.choices else []
    if action.nargs == 0:
        kind = "switch"
    elif kind == "other" and not choices:
        choices = accepted_numbers(action.type)
    help_text = " ".join((action.help or "").split())
    return {
        "names": list(action.option_strings),
        "kind": kind,
        "nargs": "" if action.nargs in (None, 0) else str(action.nargs),
        "choices": choices,
        "suggestions": [] if choices else named_in(help_text),
        "default": "" if action.default in (None, argparse.SUPPRESS) else str(action.default),
        "help": help_text.replace("%%", "%"),
    }


def accepted_numbers(convert: Any) -> list[str]:
    """The small numbers that a flag's own function takes; none where it takes all or none of them."""
    taken = []
    for number in TRIED:
        with contextlib.suppress(Exception):
            convert(str(number))
            taken.append(str(number))
    return taken if len(taken) < len(TRIED) else []


def named_in(help_text: str) -> list[str]:
    """The names that a help text lists as ``dict_keys([...])``, as LMDeploy's parsers do."""
    match = re.search(r"dict_keys\((\[[^\]]*\])\)", help_text)
    with contextlib.suppress(ValueError, SyntaxError):
        return [str(name) for name in ast.literal_eval(match.group(1))] if match else []
    return []


def argparse_flags(parser: argparse.ArgumentParser | None) -> list[dict[str, Any]]:
    """The optional arguments of a parser, each once."""
    return [describe(action) for action in parser._actions if action.option_strings] if parser is not None else []


def typer_flags() -> list[dict[str, Any]]:
    """The options of ``transformers serve``; none where this transformers has no such command."""
    try:
        app = importlib.import_module("transformers.cli.transformers").app
    except ImportError:
        return []
    group = app if hasattr(app, "commands") else importlib.import_module("typer.main").get_command(app)
    command = group.commands.get("serve")
    flags: list[dict[str, Any]] = []
    for option in command.params if command is not None else ():
        if option.param_type_name != "option" or option.hidden:
            continue
        names = [*option.opts, *option.secondary_opts]
        kind = {"integer": "int", "float": "float"}.get(option.type.name, "text")
        if getattr(option, "is_flag", False):
            kind = "switch"
        default = option.default
        flags.append(
            {
                "names": names,
                "kind": kind,
                "nargs": "",
                "choices": [str(choice) for choice in getattr(option.type, "choices", ())] if kind == "text" else [],
                "suggestions": [],
                "default": "" if default is None else str(getattr(default, "value", default)),
                "help": " ".join((option.help or "").split()),
            }
        )
    return flags


def architectures() -> tuple[list[str], list[str]]:
    """The model classes that each of LMDeploy's engines knows; [] where this version doesn't list them so."""
    turbomind: list[str] = []
    pytorch: list[str] = []
    with contextlib.suppress(Exception):
        turbomind = sorted(importlib.import_module("lmdeploy.turbomind.supported_models").SUPPORTED_ARCHS)
    with contextlib.suppress(Exception):
        pytorch = sorted(importlib.import_module("lmdeploy.pytorch.models.module_map").MODULE_MAP)
    if any("." in name for name in pytorch):  # before 0.6 it maps modules of transformers, not architectures
        pytorch = []
        with contextlib.suppress(Exception):
            supported = importlib.import_module("lmdeploy.pytorch.supported_models")._SUPPORTED_ARCHS
            pytorch = sorted(name for name, taken in supported.items() if taken)
    return turbomind, pytorch


def read(program: str) -> dict[str, Any]:
    """Everything about "lmdeploy" or "transformers"."""
    if program == "transformers":
        return {"transformers_serve": typer_flags()}
    parser = lmdeploy_parser()
    turbomind, pytorch = architectures()
    return {
        "serve": argparse_flags(subparser(parser, "serve", "api_server")),
        "awq": argparse_flags(subparser(parser, "lite", "auto_awq")),
        "turbomind_architectures": turbomind,
        "pytorch_architectures": pytorch,
    }


if __name__ == "__main__":
    del sys.path[0]
    # Libraries write to stdout while they are imported; the answer goes to the real one alone.
    answer = os.dup(1)
    os.dup2(2, 1)
    line = json.dumps(read(sys.argv[1]))
    os.write(answer, line.encode())
