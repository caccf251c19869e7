"""Any tutorial's ``lmdeploy`` command, read into the form's values. Pure.

Takes what courses print: several lines joined by backslashes, ``CUDA_VISIBLE_DEVICES=…`` in front, the underscored
flags of LMDeploy 0.1 (``--server_name``), ``lmdeploy chat`` and ``lmdeploy serve gradio`` too. What no longer exists
is named.
"""

import re
import shlex
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass

from backend.errors import InvalidInput, Message

FIELD = "deploy-paste"
Flag = tuple[str, list[str]]  # its name as pasted, and the words that follow it

# A flag of `lmdeploy serve api_server` → the ServeConfig field whose control takes it.
_TO_FIELD: Mapping[str, str] = {
    "--backend": "engine",
    "--model-format": "model_format",
    "--quant-policy": "quant_policy",
    "--cache-max-entry-count": "cache_max_entry_count",
    "--tp": "tp",
    "--session-len": "session_len",
    "--dtype": "dtype",
    "--server-port": "port",
    "--model-name": "model_name",
}
_OWNED = frozenset({"--server-name", "--api-keys", "--allow-origins", "--ssl"})  # the console sets these itself
_GONE = frozenset({"--instance-num", "--restful-api"})  # LMDeploy 0.1
_SWITCHES = frozenset({"--ssl", "--trust-remote-code"})
_QUANT_POLICIES = {"none": "0", "int4": "4", "int8": "8", "fp8": "16", "fp8_e5m2": "17", "turbo_quant": "42"}
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_ENDS = frozenset({"&", "&&", "|", "||", ";", ">", ">>", "2>", "2>&1", "<"})


@dataclass(frozen=True)
class Pasted:
    """What the command sets, by ServeConfig field as the controls hold it, and what to tell the person."""

    values: Mapping[str, object]
    notes: tuple[Message, ...]


def parse_command(text: str, switches: Collection[str] = ()) -> Pasted:
    """Read one pasted command. InvalidInput where it isn't an ``lmdeploy`` command that serves a model.

    ``switches`` are the flags without a value ("--enable-prefix-caching"), as the installed LMDeploy's parser has them.
    """
    words, gpus = _words(text)
    model, flags, notes = _subcommand(words, text, _SWITCHES | set(switches))
    values: dict[str, object] = {"engine": "turbomind", "model": model}
    if gpus:
        values["gpus"] = gpus
    extra: list[str] = []
    for flag, arguments in flags:
        name = flag.replace("_", "-").lower()
        argument = arguments[0] if arguments else ""
        if name in _TO_FIELD:
            values[_TO_FIELD[name]] = _QUANT_POLICIES.get(argument, argument) if name == "--quant-policy" else argument
        elif name == "--trust-remote-code":
            values["trust_remote_code"] = True
        elif name in _OWNED:
            notes.append(Message("deploy.paste.owned", {"flag": flag}, field=FIELD, level="info"))
        elif name in _GONE:
            notes.append(Message("deploy.paste.gone", {"flag": flag}, field=FIELD, level="warning"))
        else:
            extra += [name, *arguments]
    if extra:
        values["extra"] = shlex.join(extra)
    return Pasted(values, tuple(notes))


def _words(text: str) -> tuple[list[str], list[str]]:
    """The command's words up to the first ``&``, ``|`` or redirection, and the GPUs that CUDA_VISIBLE_DEVICES names."""
    joined = re.sub(r"[\\＼]\s*\r?\n", " ", text.strip())
    joined = re.sub(r"^[$#>]\s+(?=\S*(?:lmdeploy|python|CUDA_))", "", joined)  # a copied prompt
    line = next((line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    try:
        words = shlex.split(line)
    except ValueError:
        raise InvalidInput(Message("deploy.error.quotes", {"value": line}, field=FIELD)) from None
    gpus: list[str] = []
    while words and (_ASSIGNMENT.match(words[0]) or words[0] in ("env", "export", "nohup", "sudo")):
        name, _, value = words.pop(0).partition("=")
        if name == "CUDA_VISIBLE_DEVICES":
            gpus = [gpu.strip() for gpu in value.split(",") if gpu.strip()]
    end = next((at for at, word in enumerate(words) if word in _ENDS or word.startswith("#")), len(words))
    return words[:end], gpus


def _subcommand(words: list[str], text: str, switches: Set[str]) -> tuple[str, list[Flag], list[Message]]:
    """The model, the flags with their words, and notes, of ``lmdeploy serve api_server`` and its older relatives."""
    if len(words) >= 3 and words[0].rsplit("/", 1)[-1].startswith("python") and words[1:3] == ["-m", "lmdeploy"]:
        words = words[2:]
    if not words or words[0].rsplit("/", 1)[-1] != "lmdeploy":
        raise InvalidInput(Message("deploy.error.paste", {"value": text.strip()[:200]}, field=FIELD))
    notes: list[Message] = []
    rest = words[1:]
    if rest[:2] == ["serve", "api_server"]:
        rest = rest[2:]
    elif rest[:2] == ["serve", "gradio"] or rest[:1] == ["chat"]:
        gone = " ".join(rest[: 2 if rest[0] == "serve" else 1])
        notes.append(Message("deploy.paste.served_instead", {"command": f"lmdeploy {gone}"}, field=FIELD, level="info"))
        rest = rest[2:] if rest[0] == "serve" else rest[1:]
        if rest[:1] in (["turbomind"], ["torch"]):  # LMDeploy 0.1: `lmdeploy chat turbomind ./workspace`
            rest = rest[1:]
    else:
        key = "deploy.error.paste_lite" if rest[:1] == ["lite"] else "deploy.error.paste"
        raise InvalidInput(Message(key, {"value": text.strip()[:200]}, field=FIELD))
    model, flags = _flags(rest, switches)
    if not model:
        raise InvalidInput(Message("deploy.error.paste_no_model", {"value": text.strip()[:200]}, field=FIELD))
    return model, flags, notes


def _flags(words: list[str], switches: Set[str]) -> tuple[str, list[Flag]]:
    """The one positional word (the model), and every flag with what follows it."""
    model = ""
    flags: list[Flag] = []
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            flags.append((name, [value] if equals else []))
        elif flags and _takes_another(flags[-1], switches):
            flags[-1][1].append(word)
        elif not model:
            model = word
    return model, flags


def _takes_another(flag: Flag, switches: Set[str]) -> bool:
    """Whether the next word still belongs to this flag. Flags that the form knows take one value; others any number."""
    name = flag[0].replace("_", "-").lower()
    if name in switches:
        return False
    return not (name in _TO_FIELD and flag[1])
