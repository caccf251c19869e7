"""The request of the chat as Python and as curl: real address and model, keys and pictures read from their files.
Pure.
"""

import json
import pprint
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.chat.images import data_url
from backend.chat.pictures import MIME

PICTURE_PREFIX = "picture-file:"  # stands for a picture in a request that is shown, not sent
MARK = "\ue000{}\ue001"  # no text has these characters of the private use area


@dataclass(frozen=True)
class Target:
    """Where a shown request goes. ``key_file`` None: the server takes no key, or this visitor may not see where it
    lies;
    ``key_name`` then says what to put there ("" = nothing)."""

    base_url: str
    key_file: Path | None = None
    key_name: str = ""


def picture_reference(path: Path) -> str:
    """What stands in place of a picture's data URL in a request that is to be shown."""
    return f"{PICTURE_PREFIX}{path}"


def python_code(request: Mapping[str, Any], target: Target) -> str:
    """The request with the openai package, streamed."""
    shown, pictures = _split(request)
    imports = ["import base64"] if pictures else []
    if pictures or target.key_file:
        imports.append("from pathlib import Path")
    lines = [*imports, *([""] if imports else []), "from openai import OpenAI", ""]
    if pictures:
        lines += [
            "",
            "def picture(path, mime):",
            '    return f"data:{mime};base64,{base64.b64encode(Path(path).read_bytes()).decode()}"',
            "",
            "",
        ]
    key = repr(target.key_name or "none")
    if target.key_file is not None:
        key = f"Path({str(target.key_file)!r}).read_text().strip()"
    lines += [
        f"client = OpenAI(base_url={target.base_url!r}, api_key={key})",
        f"messages = {_python(shown['messages'], pictures)}",
        "stream = client.chat.completions.create(",
    ]
    for name, value in shown.items():
        text = "messages" if name == "messages" else _python(value, pictures, indent=4)
        lines.append(f"    {name}={text},")
    lines += [
        "    stream=True,",
        ")",
        "for chunk in stream:",
        "    if chunk.choices:",
        '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
        "print()",
    ]
    return "\n".join(lines) + "\n"


def curl_code(request: Mapping[str, Any], target: Target) -> str:
    """The request for a POSIX shell, streamed. The body is a here-document, so that pictures can be read into it."""
    shown, pictures = _split(request)
    body = json.dumps({**shown, "stream": True}, ensure_ascii=False, indent=2)
    header = ""
    if target.key_file is not None:
        header = f'  -H "Authorization: Bearer $(cat {shlex.quote(str(target.key_file))})" \\\n'
    elif target.key_name:
        header = f"  -H {shlex.quote(f'Authorization: Bearer {target.key_name}')} \\\n"
    end = "JSON"
    while end in body.split("\n"):
        end += "_"
    if pictures:
        for special in "\\$`":  # the shell looks into this here-document
            body = body.replace(special, f"\\{special}")
        for number, path in enumerate(pictures):
            prefix = data_url(b"", MIME[path.suffix])
            body = body.replace(MARK.format(number), f"{prefix}$(base64 < {shlex.quote(str(path))} | tr -d '\\n')")
    return (
        f"curl -N {shlex.quote(target.base_url + '/chat/completions')} \\\n{header}"
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d @- <<{end if pictures else repr(end)}\n{body}\n{end}\n"
    )


def _split(request: Mapping[str, Any]) -> tuple[dict[str, Any], list[Path]]:
    """The request with a mark in each picture's place, and the pictures' files."""
    pictures: list[Path] = []

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        if isinstance(value, str) and value.startswith(PICTURE_PREFIX):
            pictures.append(Path(value.removeprefix(PICTURE_PREFIX)))
            return MARK.format(len(pictures) - 1)
        return value

    return {key: walk(value) for key, value in request.items()}, pictures


def _python(value: Any, pictures: list[Path], indent: int = 0) -> str:
    text = pprint.pformat(value, width=100, sort_dicts=False).replace("\n", "\n" + " " * indent)
    for number, path in enumerate(pictures):
        text = text.replace(repr(MARK.format(number)), f"picture({str(path)!r}, {MIME[path.suffix]!r})")
    return text
