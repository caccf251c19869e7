"""LMDeploy's own commands, of every version from 0.1 to 0.18. Pure."""

import re
import shlex
from collections.abc import Mapping

from backend.engines.external import clean_address
from backend.errors import Message
from backend.paste.block import PLACEHOLDER, Block
from backend.paste.flags import Outcome, read_flags
from backend.paste.lmdeploy import lite_rules, serve_rules
from backend.paste.programs import (
    plain_name,
)
from backend.paste.words import Token
from backend.quantization import QUANT_METHODS

_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_HOST_PORT = re.compile(r"(?:https?://)?(?:\[[0-9A-Fa-f:]+\]|[\w.\-]+):\d{2,5}(?:/\S*)?", re.IGNORECASE)
_SERVES = {"api_server": "api_server", "apiserver": "api_server", "openai": "api_server", "server": "api_server"}
_CLIENTS = frozenset({"api_client", "apiclient", "triton_client", "client"})
_LITES = {
    "auto_awq": "awq", "autoawq": "awq", "awq": "awq", "smooth_quant": "smooth_quant", "smoothquant": "smooth_quant",
    "auto_gptq": "gptq", "gptq": "gptq", "calibrate": "calibrate", "kv_qparams": "kv_qparams",
}  # fmt: skip  # fmt: skip
_CHATS = frozenset({"turbomind", "torch", "pytorch", "tm", "pt"})


def lmdeploy(block: Block, head: list[Token], rest: list[Token]) -> None:
    first = plain_name(rest[0].text)
    second = plain_name(rest[1].text) if len(rest) > 1 else ""
    if first == "serve" and second in _SERVES:
        _serve(block, [*head, *rest[:2]], rest[2:])
    elif first == "serve" and second == "gradio":
        _gradio(block, [*head, *rest[:2]], rest[2:])
    elif first == "serve" and second in _CLIENTS:
        _client(block, [*head, *rest[:2]], rest[2:])
    elif first == "serve" and second == "proxy":
        block.advice([*head, *rest], "paste.proxy", "deploy")
    elif first == "serve":  # the word api_server was forgotten
        _serve(block, [*head, *rest[:1]], rest[1:], "paste.served_bare")
    elif first == "chat":
        count = 2 if second in _CHATS else 1
        values = {"engine": "pytorch"} if second in ("torch", "pytorch", "pt") else {}
        _serve(block, [*head, *rest[:count]], rest[count:], "paste.served_chat", values)
    elif first == "lite":
        _lite(block, [*head, *rest[:2]], _LITES.get(second, ""), rest[2:])
    elif first == "convert":
        _convert(block, [*head, *rest[:1]], rest[1:])
    elif first == "list":
        block.advice([*head, *rest], "paste.list", "deploy")
    else:
        block.advice([*head, *rest], "paste.about", "deploy")


def lmdeploy_module(block: Block, head: list[Token], module: str, rest: list[Token]) -> None:
    """``python -m lmdeploy…``: the command line of its time."""
    parts = module.split(".")
    if parts[-1] in ("lmdeploy", "cli", "__main__", "entrypoint"):
        if rest:
            lmdeploy(block, head, rest)
        else:
            block.advice(head, "paste.about", "deploy")
    elif parts[-1] in ("auto_awq", "calibrate", "kv_qparams", "smooth_quant", "gptq"):
        _lite(block, head, _LITES[parts[-1]], rest)
    elif parts[-1] == "deploy" or parts[-1] == "convert":
        _convert(block, head, rest)
    elif "gradio" in parts:
        _gradio(block, head, rest)
    elif parts[-1] in _CLIENTS:
        _client(block, head, rest)
    elif parts[-1] in ("api_server", "chat", "server"):
        engine = {"engine": "pytorch"} if "pytorch" in parts or "torch" in parts else {}
        _serve(block, head, rest, "paste.served_chat" if parts[-1] == "chat" else "", engine)
    else:
        block.advice([*head, *rest], "paste.about", "deploy")


def _serve(
    block: Block, head: list[Token], rest: list[Token], key: str = "", engine: Mapping[str, object] | None = None
) -> None:
    begin = len(block.accounts)
    block.tell(head[0].start, head[-1].end, "translated" if key else "taken", key or "paste.command")
    out = read_flags(block.text, rest, serve_rules())
    values: dict[str, object] = {"engine": "turbomind", **(engine or {}), **block.around("deploy")}
    finish_serve(block, values, out, begin, head[0].start)


def finish_serve(block: Block, values: dict[str, object], out: Outcome, begin: int, start: int) -> None:
    block.accounts += out.accounts
    positionals = list(out.positionals)
    if "model" not in out.values and positionals:
        block.model(values, positionals.pop(0))
    # LMDeploy 0.0: `api_server ./workspace 0.0.0.0 23333`
    if positionals and re.fullmatch(r"(?:\d{1,3}\.){3}\d{1,3}|localhost", positionals[0].text):
        word = positionals.pop(0)
        block.tell(word.start, word.end, "left", "paste.owned")
        if positionals and re.fullmatch(r"\d{2,5}", positionals[0].text):
            word = positionals.pop(0)
            values["port"] = word.text
            block.tell(word.start, word.end, "taken", "paste.taken", {"value": word.text}, "port")
    block.extra_words(positionals)
    values.update(out.values)
    port = str(values.get("port", ""))
    if port in block.ports:
        values["port"] = block.ports[port]
    if "model" in out.values:
        values["model"] = block.place(str(values["model"]))
        model = str(values["model"])
        gguf = model.lower().endswith(".gguf")
        if gguf or PLACEHOLDER.search(model):
            key = "paste.gguf" if gguf else "paste.placeholder"
            block.notes.append(Message(key, {"value": model[:120]}, "model", "warning"))
            del values["model"]
    if out.extra:
        values["extra"] = shlex.join(out.extra)
    if values.get("engine") == "pytorch" and values.get("model_format") == "hf":
        values["model_format"] = "auto"
        block.notes.append(Message("paste.hf_on_pytorch", level="info"))
    if not values.get("model"):
        values.pop("model", None)
        block.notes.append(Message("paste.no_model", level="warning"))
    block.add("serve", "deploy", values, begin, start)


def _gradio(block: Block, head: list[Token], rest: list[Token]) -> None:
    out = read_flags(block.text, rest, serve_rules())
    first = out.positionals[0] if out.positionals else None
    if first is not None and (_URL.match(first.text) or _HOST_PORT.fullmatch(first.text)):
        _client(block, head, rest)
    else:
        _serve(block, head, rest, "paste.served_gradio")


def _client(block: Block, head: list[Token], rest: list[Token]) -> None:
    """A page or a terminal for a server that runs: chat with it here."""
    begin = len(block.accounts)
    block.tell(head[0].start, head[-1].end, "translated", "paste.client")
    address = next((word for word in rest if _URL.match(word.text) or _HOST_PORT.fullmatch(word.text)), None)
    if address is None:
        address = next((word for word in rest if not word.text.startswith("-")), None)
    for word in rest:
        if word is not address:
            block.tell(word.start, word.end, "left", "paste.client_flag")
    values: dict[str, object] = {}
    if address is not None:
        block.tell(address.start, address.end, "taken", "paste.taken", {"value": address.text[:120]}, "address")
        values = {"address": clean_address(address.text[:400])}
    block.add("address", "chat", values, begin, head[0].start)


def _lite(block: Block, head: list[Token], method: str, rest: list[Token]) -> None:
    if method == "kv_qparams":
        block.advice([*head, *rest], "paste.kv_qparams", "deploy")
        return
    if method != "calibrate" and method not in QUANT_METHODS:
        block.advice([*head, *rest], "paste.gptq" if method == "gptq" else "paste.lite_unknown", "quantize")
        return
    begin = len(block.accounts)
    key = "paste.calibrate" if method == "calibrate" else "paste.command"
    block.tell(head[0].start, head[-1].end, "translated" if method == "calibrate" else "taken", key)
    out = read_flags(block.text, rest, lite_rules())
    block.accounts += out.accounts
    values: dict[str, object] = {**block.calibrated, **block.around("quantize")}
    if out.positionals:
        block.model(values, out.positionals[0])
    block.extra_words(out.positionals[1:])
    values.update(out.values)
    if str(values.get("samples", "")) == "0":
        values["dataset"], values["samples"] = "none", "128"
        block.notes.append(Message("paste.no_samples", level="info"))
    if method == "calibrate":
        values.pop("output", None)
        block.calibrated = values
    if method != "calibrate":
        values["method"] = method
        earlier = [found for found in block.found if found.kind == "calibrate"]
        block.found = [found for found in block.found if found.kind != "calibrate"]
        begin = min([begin, *(block.accounts.index(e.accounts[0]) for e in earlier if e.accounts)])
    if not values.get("model"):
        block.notes.append(Message("paste.no_model", level="warning"))
    output = str(values.get("output", ""))
    if output and values.get("model"):
        block.folders.pop(output.rstrip("/").removeprefix("./"), None)
    block.add("calibrate" if method == "calibrate" else "lite", "quantize", values, begin, head[0].start)


def _convert(block: Block, head: list[Token], rest: list[Token]) -> None:
    begin = len(block.accounts)
    block.tell(head[0].start, head[-1].end, "translated", "paste.convert")
    target = "workspace"
    words = []
    waiting = iter(rest)
    for word in waiting:
        name, equals, value = word.text.replace("_", "-").partition("=")
        if name.startswith("-"):
            given = None if equals else next(waiting, None)
            value = value if equals else (given.text if given else "")
            target = value if name == "--dst-path" and value else target
            block.tell(word.start, given.end if given else word.end, "left", "paste.convert_flag")
        else:
            words.append(word)
    values: dict[str, object] = {"engine": "turbomind", **block.around("deploy")}
    model = words[1] if len(words) > 1 else words[0] if words and "/" in words[0].text else None
    for word in words:
        if word is model:
            block.model(values, word)
            block.folders[target.rstrip("/").removeprefix("./")] = str(values["model"])
        else:
            block.tell(word.start, word.end, "left", "paste.convert_flag")
    block.add("convert", "deploy", values if "model" in values else {}, begin, head[0].start)
