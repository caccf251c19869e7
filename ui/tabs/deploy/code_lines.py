"""What a person copies to use a server without the page: curl, Python, ssh lines. Pure.

A key never stands in them: on the machine it is read from its file, elsewhere over ssh into a variable.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from backend.servers.view import ServerView
from ui.ssh import SshLogin, forward_line, remote_line

MAX_TOKENS = 512  # of the answer; without a limit a model may go on to the end of its context


def code_lines(view: ServerView, key_file: Path | None, login: SshLogin | None) -> Mapping[str, str]:
    """The lines by name: curl, ask, python, and for a server of this machine ssh, and key where it wants one."""
    lines = {
        "curl": curl_models(view, key_file),
        "ask": curl_ask(view, key_file),
        "python": python_snippet(view, key_file),
    }
    if view.port:
        lines["ssh"] = forward_line(login, view.port)
        if key_file is not None:
            command = f"cat {shlex.quote(str(key_file))}"
            lines["key"] = f'export LMDEPLOY_KEY="$({remote_line(login, command)})"'
    return lines


def curl_models(view: ServerView, key_file: Path | None) -> str:
    """The model list, as a shell line for the machine itself."""
    return f"curl {_authorization(key_file)}{shlex.quote(view.base_url + '/models')}"


def curl_ask(view: ServerView, key_file: Path | None) -> str:
    """One question with a streamed answer, as a shell line for the machine itself."""
    messages = [{"role": "user", "content": "Hello!"}]
    request = {"model": view.model_id, "messages": messages, "max_tokens": MAX_TOKENS, "stream": True}
    body = json.dumps(request, ensure_ascii=False)
    return (
        f"curl -N {_authorization(key_file)}-H 'Content-Type: application/json' "
        f"-d {shlex.quote(body)} {shlex.quote(view.base_url + '/chat/completions')}"
    )


def python_snippet(view: ServerView, key_file: Path | None) -> str:
    """The same with the openai package."""
    lines = ["from openai import OpenAI"]
    key = json.dumps("none")
    if key_file is not None:
        lines.insert(0, "from pathlib import Path\n")
        key = f"Path({str(key_file)!r}).read_text().strip()"
    lines += [
        "",
        f"client = OpenAI(base_url={view.base_url!r}, api_key={key})",
        "stream = client.chat.completions.create(",
        f"    model={view.model_id!r},",
        '    messages=[{"role": "user", "content": "Hello!"}],',
        f"    max_tokens={MAX_TOKENS},",
        "    stream=True,",
        ")",
        "for chunk in stream:",
        "    if chunk.choices:",
        '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
        "print()",
    ]
    return "\n".join(lines)


def _authorization(key_file: Path | None) -> str:
    return f'-H "Authorization: Bearer $(cat {shlex.quote(str(key_file))})" ' if key_file is not None else ""
