"""A chat request as Python and as curl that run as they stand. Pure.

A server's key is read from its file. Pictures come from the console, which keeps them: ``/v1/files/<id>/content``, as
OpenAI has it.
"""

import json
import pprint
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.chat.images import data_url
from backend.chat.pictures import MIME
from backend.chat.tools import MAX_ROUNDS, TOOLS

PICTURE_PREFIX = "picture-file:"  # stands for a picture in a request that is shown, not sent
MARK = "\ue000{}\ue001"  # no text has these characters of the private use area

# What the openai package takes by name; the rest of a request is a server's own, and goes into its ``extra_body``.
OPENAI_FIELDS = frozenset(
    {
        "model", "messages", "temperature", "top_p", "max_tokens", "tools", "seed", "stop", "frequency_penalty",
        "response_format", "logprobs", "top_logprobs",
    }
)  # fmt: skip

PICTURE_FUNCTION = '''
def picture(name, mime):
    """A picture of this conversation: the console keeps it."""
    data = client.files.content(name).read()
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"

'''

STREAMED = """stream = client.chat.completions.create(
{arguments}
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
"""

WHOLE = """response = client.chat.completions.create(
{arguments}
)
print(response.choices[0].message.content)
"""

TOOL_LOOP = """for _ in range({rounds}):
    response = client.chat.completions.create(
{arguments}
    )
    message = response.choices[0].message
    if not message.tool_calls:
        break
    calls = [call.model_dump() for call in message.tool_calls]
    messages.append({{"role": "assistant", "content": message.content or "", "tool_calls": calls}})
    for call in message.tool_calls:
        arguments = json.loads(call.function.arguments)
        result = functions[call.function.name](**arguments)
        print(call.function.name, arguments, "->", result)
        messages.append({{"role": "tool", "tool_call_id": call.id, "content": str(result)}})
print(message.content)
"""


@dataclass(frozen=True)
class Target:
    """Where a shown request goes. ``key_file`` is the file that the key is read from; without one ``key`` is the key
    itself ("" = the server takes none)."""

    base_url: str
    key_file: Path | None = None
    key: str = ""


def picture_reference(picture_id: str) -> str:
    """What stands in place of a picture's data URL in a request that is to be shown."""
    return f"{PICTURE_PREFIX}{picture_id}"


def authorization_option(target: Target) -> str:
    """curl's option for the key, which the shell reads from its file; "" where there is none."""
    if target.key_file is not None:
        return f'-H "Authorization: Bearer $(cat {shlex.quote(str(target.key_file))})"'
    return f"-H {shlex.quote(f'Authorization: Bearer {target.key}')}" if target.key else ""


def python_code(request: Mapping[str, Any], target: Target, *, stream: bool = True) -> str:
    """The request with the openai package: streamed, or the answer as a whole.

    With tools it is the whole loop: the model's calls are carried out and their results go back until it answers.
    """
    shown, pictures = _split(request)
    tools = [tool["function"]["name"] for tool in shown.get("tools", ())]
    modules = ["base64"] * bool(pictures) + ["json"] * bool(tools)
    imports = [f"import {module}" for module in modules] + ["from pathlib import Path"] * (target.key_file is not None)
    key = repr(target.key or "none")
    if target.key_file is not None:
        key = f"Path({str(target.key_file)!r}).read_text().strip()"
    lines = [*imports, *([""] if imports else []), "from openai import OpenAI", ""]
    lines += _functions(tools)
    lines.append(f"client = OpenAI(base_url={target.base_url!r}, api_key={key})")
    if pictures:
        lines += [*PICTURE_FUNCTION.split("\n")]
    lines.append(f"messages = {_python(shown['messages'], pictures)}")
    if tools:
        lines.append(f"tools = {_python(shown['tools'], pictures)}")
        lines.append(TOOL_LOOP.format(rounds=MAX_ROUNDS, arguments=_arguments(shown, pictures, 8)))
    else:
        lines.append((STREAMED if stream else WHOLE).format(arguments=_arguments(shown, pictures, 4)))
    return "\n".join(lines)


def curl_code(request: Mapping[str, Any], target: Target, *, stream: bool = True) -> str:
    """The request for a POSIX shell. The body is a here-document, so that pictures can be read into it."""
    shown, pictures = _split(request)
    body = json.dumps({**shown, "stream": True} if stream else shown, ensure_ascii=False, indent=2)
    authorization = authorization_option(target)
    header = f"  {authorization} \\\n" if authorization else ""
    end = "JSON"
    while end in body.split("\n"):
        end += "_"
    if pictures:
        for special in "\\$`":  # the shell looks into this here-document
            body = body.replace(special, f"\\{special}")
        for number, name in enumerate(pictures):
            address = shlex.quote(f"{target.base_url}/files/{name}/content")
            loaded = f"curl -s {authorization} {address} | base64 | tr -d '\\n'"
            body = body.replace(MARK.format(number), f"{data_url(b'', _mime(name))}$({loaded})")
    return (
        f"curl {'-N ' if stream else ''}{shlex.quote(target.base_url + '/chat/completions')} \\\n{header}"
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d @- <<{end if pictures else repr(end)}\n{body}\n{end}\n"
    )


def client_settings(model: str, target: Target) -> Mapping[str, str]:
    """How well-known programs are told to ask there: by the program's name, lines for a shell or for Python."""
    address, key = target.base_url, target.key
    return {
        "openai": f"export OPENAI_BASE_URL={shlex.quote(address)}\nexport OPENAI_API_KEY={shlex.quote(key)}\n",
        "langchain": (
            "from langchain_openai import ChatOpenAI\n\n"
            f"model = ChatOpenAI(base_url={address!r}, api_key={key!r}, model={model!r})\n"
            'print(model.invoke("Hello!").content)\n'
        ),
        "open-webui": (
            f"OPENAI_API_BASE_URL={shlex.quote(address)} OPENAI_API_KEY={shlex.quote(key)} \\\n"
            "  ENABLE_OLLAMA_API=false open-webui serve\n"
        ),
    }


def _functions(tools: Sequence[str]) -> list[str]:
    """The tools as Python functions, and their table."""
    lines = []
    for name in tools:
        if name in TOOLS:
            lines += ["", f"def {name}(a, b):", f"    return {TOOLS[name].expression}", ""]
        else:  # whatever it shall do: you are the function
            lines += ["", f"def {name}(**arguments):", f'    return input(f"{name}({{arguments}}) = ")', ""]
    if tools:
        lines += ["", f"functions = {{{', '.join(f'{name!r}: {name}' for name in tools)}}}"]
    return lines


def _arguments(shown: Mapping[str, Any], pictures: Sequence[str], indent: int) -> str:
    named = {"messages": "messages", "tools": "tools"}
    own = {name: value for name, value in shown.items() if name in OPENAI_FIELDS}
    if more := {name: value for name, value in shown.items() if name not in OPENAI_FIELDS}:
        own["extra_body"] = more
    values = {name: named.get(name) or _python(value, pictures, indent) for name, value in own.items()}
    return "\n".join(f"{' ' * indent}{name}={value}," for name, value in values.items())


def _split(request: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The request with a mark in each picture's place, and the pictures' ids."""
    pictures: list[str] = []

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        if isinstance(value, str) and value.startswith(PICTURE_PREFIX):
            pictures.append(value.removeprefix(PICTURE_PREFIX))
            return MARK.format(len(pictures) - 1)
        return value

    return {key: walk(value) for key, value in request.items()}, pictures


def _python(value: Any, pictures: Sequence[str], indent: int = 0) -> str:
    text = pprint.pformat(value, width=100, sort_dicts=False).replace("\n", "\n" + " " * indent)
    for number, name in enumerate(pictures):
        text = text.replace(repr(MARK.format(number)), f"picture({name!r}, {_mime(name)!r})")
    return text


def _mime(picture_id: str) -> str:
    return MIME[Path(picture_id).suffix]
