"""What a person copies to use a server without the page: curl, Python, ssh lines. Pure.

A key never stands in them: on the machine it is read from its file, elsewhere over ssh into a variable.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.chat.snippets import Target, authorization_option, python_code
from backend.servers.server import ServerView
from ui.ssh import SshLogin, forward_line, remote_line

HAVE_MESSAGES = ("turbomind", "pytorch")  # engines whose server has /v1/messages and /v1/responses (LMDeploy 0.18)
# Claude Code's own model, those that it and its agents ask for by a short name, and its agents'.
CLAUDE_MODELS = (
    "ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL", "CLAUDE_CODE_SUBAGENT_MODEL",
)  # fmt: skip
CODEX_KEY = "LMDEPLOY_KEY"  # the variable that Codex reads; its name is the one of the "key" line
MAX_TOKENS = 512  # of the answer; without a limit a model may go on to the end of its context


def code_lines(view: ServerView, key_file: Path | None, login: SshLogin | None) -> Mapping[str, str]:
    """The lines by name: curl, ask, python, claude and codex where the server has their endpoints, and for a server of
    this machine ssh, and key where it wants one."""
    target = Target(view.base_url, key_file)
    request = {
        "model": view.model_id,
        "messages": [{"role": "user", "content": "Hello!"}],
        "max_tokens": MAX_TOKENS,
    }
    lines = {
        "curl": _curl(target, "/models"),
        "ask": _curl_ask(target, request),
        "python": python_code(request, target).rstrip("\n"),
    }
    if view.config.engine in HAVE_MESSAGES:
        lines["claude"] = _claude(view, target)
        lines["codex"] = _codex(view, target)
    if view.port:
        lines["ssh"] = forward_line(login, view.port)
        if key_file is not None:
            command = f"cat {shlex.quote(str(key_file))}"
            lines["key"] = f'export LMDEPLOY_KEY="$({remote_line(login, command)})"'
    return lines


def _claude(view: ServerView, target: Target) -> str:
    """Claude Code with this server's model for everything that it asks."""
    variables = {"ANTHROPIC_BASE_URL": shlex.quote(view.address), "ANTHROPIC_AUTH_TOKEN": _key(target) or "none"}
    variables |= dict.fromkeys(CLAUDE_MODELS, shlex.quote(view.model_id))
    return " \\\n  ".join([*(f"{name}={value}" for name, value in variables.items()), "claude"])


def _codex(view: ServerView, target: Target) -> str:
    """Codex CLI with this server as a provider of its own, named on the line: no file of its is changed."""
    provider = {"name": "LMDeploy", "base_url": target.base_url, "wire_api": "responses"}
    if key := _key(target):
        provider["env_key"] = CODEX_KEY
    settings = {"model_provider": '"lmdeploy"', "model": _toml(view.model_id)}
    if view.context_length:
        settings["model_context_window"] = str(view.context_length)
    fields = ", ".join(f"{name} = {_toml(value)}" for name, value in provider.items())
    settings["model_providers.lmdeploy"] = f"{{ {fields} }}"
    options = [f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items()]
    return " \\\n  ".join([f"{CODEX_KEY}={key} codex" if key else "codex", *options])


def _toml(text: str) -> str:
    """A basic string of TOML: JSON's, whose escapes TOML shares, with all else as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(target: Target) -> str:
    """The key as a shell's word, read from its file; "" where the server wants none."""
    return f'"$(cat {shlex.quote(str(target.key_file))})"' if target.key_file is not None else ""


def _curl_ask(target: Target, request: Mapping[str, Any]) -> str:
    """The question with a streamed answer, in one line: the chat's own curl takes many."""
    body = json.dumps({**request, "stream": True}, ensure_ascii=False)
    return _curl(
        target, "/chat/completions", "-N", options=f"-H 'Content-Type: application/json' -d {shlex.quote(body)}"
    )


def _curl(target: Target, path: str, *words: str, options: str = "") -> str:
    """A line for the machine itself."""
    parts = ["curl", *words, authorization_option(target), options, shlex.quote(target.base_url + path)]
    return " ".join(part for part in parts if part)
