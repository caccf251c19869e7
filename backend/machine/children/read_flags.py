"""Prints, as one line of JSON, what the command lines of this environment's LMDeploy and transformers take, and what
its LMDeploy says of models: architectures, which of them see pictures, which quantizations.

LMDeploy builds its whole parser before it reads its arguments; here the reading is replaced, and the parser walked
instead. What a flag's own function takes (``--quant-policy``) is found by trying small numbers.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import inspect
import json
import os
import re
import sys
import types
from typing import Any, NoReturn

BUILT_IN: dict[Any, str] = {None: "text", str: "text", int: "int", float: "float", json.loads: "json"}
TRIED = range(65)
TRIED_GROUPS = (16, 32, 64, 128, 256)
QUANTIZATIONS = (
    "awq", "gptq", "fp8", "smooth_quant", "compressed-tensors", "mxfp4", "bitsandbytes", "modelopt", "hqq", "aqlm",
    "auto-round", "fbgemm_fp8", "quanto", "torchao", "eetq",
)  # fmt: skip


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
    current: argparse.ArgumentParser | None = parser
    for name in names:
        groups = [
            action for action in (current._actions if current else ()) if isinstance(action, argparse._SubParsersAction)
        ]
        current = groups[0].choices.get(name) if groups else None
    return current


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


def vision() -> dict[str, list[str]]:
    """The architectures that LMDeploy gives pictures to, each with the keys that config.json must hold as well.

    Its own function is asked, with a config for each name that it, its engines or its vision models know.
    """
    try:
        check = importlib.import_module("lmdeploy.archs").check_vl_llm
        takes_backend = "backend" in inspect.signature(check).parameters
    except Exception:
        return {}
    turbomind, pytorch = architectures()
    names = {*turbomind, *pytorch, *constants(check.__code__.co_consts)}
    accepted: dict[str, list[str]] = {}
    for name in sorted(names):
        for more in ((), ("vision_config",), ("language_config",)):
            config: dict[str, Any] = {"architectures": [name], **{key: {"architectures": [""]} for key in more}}
            with contextlib.suppress(Exception):
                if check(backend="pytorch", config=config) if takes_backend else check(config):
                    accepted[name] = list(more)
                    break
    return accepted


def constants(values: Any) -> set[str]:
    """The names of classes among a function's constants, tuples of them included."""
    names: set[str] = set()
    for value in values:
        if isinstance(value, (tuple, frozenset, set)):
            names |= constants(value)
        elif isinstance(value, str) and re.fullmatch(r"[A-Z]\w+", value):
            names.add(value)
    return names


def pytorch_quantizations() -> tuple[list[str], dict[str, list[int]]]:
    """The quantizations that the PyTorch engine takes, and their group sizes where it doesn't take all of TRIED_GROUPS:
    its own config is given each that the world has."""
    taken: list[str] = []
    sizes: dict[str, list[int]] = {}
    with contextlib.suppress(Exception):
        config_of = importlib.import_module("lmdeploy.pytorch.config").QuantizationConfig.from_config
        for method in QUANTIZATIONS:
            good = []
            for size in TRIED_GROUPS:
                with contextlib.suppress(Exception):
                    config_of(types.SimpleNamespace(quantization_config=quantization(method, size)))
                    good.append(size)
            if good:
                taken.append(method)
            if 0 < len(good) < len(TRIED_GROUPS):
                sizes[method] = good
    return taken, sizes


def quantization(method: str, group_size: int) -> dict[str, Any]:
    """A config of that method as its tools write it: 4 bits, in groups."""
    value: dict[str, Any] = {"quant_method": method, "bits": 4, "group_size": group_size}
    if method == "compressed-tensors":
        weights = {
            "num_bits": 4, "type": "int", "group_size": group_size, "strategy": "group", "symmetric": True,
            "dynamic": False,
        }  # fmt: skip
        group = {"format": "pack-quantized", "targets": ["Linear"], "weights": weights}
        value |= {"format": "pack-quantized", "quantization_status": "compressed", "config_groups": {"group_0": group}}
    return value


def turbomind_quantizations() -> tuple[list[str], dict[str, list[int]]]:
    """What TurboMind's converter compares a model's quant_method with, and its table of group sizes.

    Read from its source: to import it takes a GPU's libraries, and its answer a GPU.
    """
    tree = source_of("turbomind", "converter.py") or source_of("turbomind", "deploy", "converter.py")
    methods: list[str] = []
    sizes: dict[str, list[int]] = {}
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == "quant_method":
            names = [part.value for part in node.comparators if isinstance(part, ast.Constant)]
            methods += [name for name in names if isinstance(name, str) and name not in methods]
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "_SUPPORTED_GROUP_SIZES" for target in node.targets
        ):
            with contextlib.suppress(AttributeError, ValueError, IndexError):
                pairs = zip(node.value.keys, node.value.values, strict=True)  # type: ignore[attr-defined]
                sizes = {ast.literal_eval(key): sorted(ast.literal_eval(value.args[0])) for key, value in pairs}
    return methods, sizes


def lite_architectures() -> list[str]:
    """The architectures that LMDeploy's own quantization has a table entry for, read from its source."""
    tree = source_of("lite", "apis", "calibrate.py")
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "LAYER_TYPE_MAP" for target in node.targets
        ):
            with contextlib.suppress(ValueError, AttributeError):
                return sorted(map(str, ast.literal_eval(node.value)))
    return []


def source_of(*parts: str) -> ast.Module | None:
    """A module of LMDeploy as a syntax tree; None where this version has no such file."""
    with contextlib.suppress(Exception):
        folder = os.path.dirname(importlib.import_module("lmdeploy").__file__ or "")
        with open(os.path.join(folder, *parts), encoding="utf-8") as stream:
            return ast.parse(stream.read())
    return None


def chat_templates() -> list[str]:
    """The names of LMDeploy's built-in chat templates; its help doesn't list them."""
    with contextlib.suppress(Exception):
        return sorted(importlib.import_module("lmdeploy.model").MODELS.module_dict)
    return []


def read(program: str) -> dict[str, Any]:
    """Everything about "lmdeploy" or "transformers"."""
    if program == "transformers":
        return {"transformers_serve": typer_flags()}
    parser = lmdeploy_parser()
    serve = argparse_flags(subparser(parser, "serve", "api_server"))
    for flag in serve:
        if "--chat-template" in flag["names"]:
            flag["suggestions"] = chat_templates()
    turbomind, pytorch = architectures()
    turbomind_methods, turbomind_sizes = turbomind_quantizations()
    pytorch_methods, pytorch_sizes = pytorch_quantizations()
    return {
        "serve": serve,
        "proxy": argparse_flags(subparser(parser, "serve", "proxy")),
        "awq": argparse_flags(subparser(parser, "lite", "auto_awq")),
        "turbomind_architectures": turbomind,
        "pytorch_architectures": pytorch,
        "vision": vision(),
        "turbomind_quantizations": turbomind_methods,
        "turbomind_group_sizes": turbomind_sizes,
        "pytorch_quantizations": pytorch_methods,
        "pytorch_group_sizes": pytorch_sizes,
        "lite_architectures": lite_architectures(),
    }


if __name__ == "__main__":
    del sys.path[0]
    # Libraries write to stdout while they are imported; the answer goes to the real one alone.
    answer = os.dup(1)
    os.dup2(2, 1)
    line = json.dumps(read(sys.argv[1]))
    os.write(answer, line.encode())
