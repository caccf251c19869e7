"""The console's /v1 with LMDeploy on a real GPU: the tutorials' scripts, the page's code, other clients.

On a GPU machine, in the project's root: ``python -m pytest -c tests/gpu/pytest.ini -s tests/gpu/test_code.py``. It
takes about two minutes.
"""

import base64
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from backend.chat.snippets import Target, python_code
from backend.chat.tools import TOOLS, schemas
from backend.engines.base import ServeConfig
from backend.models.catalog import DEMO_MODEL
from tests.support.console import Console
from tests.support.gradio_calls import Visitor

READY_S = 180.0
DATA = Path(__file__).parents[1] / "data" / "tutorials"
ENGINES = ("turbomind", "pytorch")


class Room:
    """A console with the demo model on both engines."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.operator = Visitor(console)
        self.servers = {engine: self.start(engine) for engine in ENGINES}

    def start(self, engine: str) -> dict[str, Any]:
        extra = ("--tool-call-parser", "qwen")
        config = ServeConfig(engine, str(DEMO_MODEL), cache_max_entry_count=0.1, model_name=engine, extra=extra)
        return self.operator.ready(self.operator.start(config), READY_S)

    @property
    def address(self) -> str:
        return f"{self.console.base_url}/v1"

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.address, api_key=self.console.token, max_retries=0, timeout=120)

    def key(self, engine: str) -> str:
        return (self.console.state_dir / "keys" / f"{self.servers[engine]['id']}.key").read_text().strip()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    console = Console(tmp_path_factory.mktemp("code") / "state")
    try:
        yield Room(console.ready())
    finally:
        console.close()


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_servers_are_listed_the_newest_first(room: Room) -> None:
    with room.client() as client:
        assert [model.id for model in client.models.list().data] == [*reversed(ENGINES)]


@pytest.mark.parametrize("name", ["story", "function_calling"])
def test_the_tutorials_scripts(room: Room, name: str) -> None:
    text = (DATA / f"{name}.txt").read_text(encoding="utf-8")
    text = text.replace("http://0.0.0.0:23333/v1", room.address).replace("YOUR_API_KEY", room.console.token)
    output = run(text)
    print(output[-400:])
    assert "fox" in output if name == "story" else int(output.splitlines()[-1])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_pages_function_calling_ends_in_sixteen(room: Room, engine: str) -> None:
    request = {
        "model": engine, "messages": [{"role": "user", "content": "Compute (3+5)*2"}], "temperature": 0.0,
        "tools": schemas(tuple(TOOLS)),
    }  # fmt: skip
    output = run(python_code(request, Target(room.address, key=room.console.token)))
    assert "16" in output.splitlines()[-1], output


@pytest.mark.parametrize("engine", ENGINES)
def test_streams_pictures_and_completions(room: Room, engine: str) -> None:
    image = Image.new("RGB", (600, 400), "white")
    image.paste("red", (100, 100, 300, 300))
    file = io.BytesIO()
    image.save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    with room.client() as client:
        stream = client.chat.completions.create(
            model=engine,
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": url}},
                        {"type": "text", "text": "What do you see?"},
                    ],
                }
            ],
            temperature=0.0,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert "red" in text
        assert {chunk.model for chunk in chunks} == {engine}
        assert any(chunk.usage for chunk in chunks)
        plain = client.completions.create(model=engine, prompt="A fox", max_tokens=8)
        assert plain.choices[0].text
        assert plain.model == engine


def test_encode_embeddings_and_wrong_paths(room: Room) -> None:
    headers = {"authorization": f"Bearer {room.console.token}"}
    with httpx.Client(base_url=room.console.base_url, headers=headers, trust_env=False, timeout=60) as client:
        for engine in ENGINES:
            answer = client.post("/v1/encode", json={"model": engine, "input": "a fox"})
            assert answer.status_code == 200, answer.text
            assert answer.json()["length"] > 0
        answer = client.post("/v1/embeddings", json={"model": "turbomind", "input": "a fox"})
        assert answer.status_code >= 400  # LMDeploy has the path, and says that it can't
        print(answer.status_code, answer.text)
        assert answer.json()["error"]["message"]
        for path in ("messages", "responses", "terminate"):
            assert client.post(f"/v1/{path}", json={"model": "turbomind"}).status_code == 404


@pytest.mark.parametrize("engine", ENGINES)
def test_what_claude_code_asks_of_the_server_itself(room: Room, engine: str) -> None:
    """Its variables are an address without /v1 and a bearer token (ui/tabs/deploy/code_lines.py). The fields are those
    of Claude Code 2.1, less its tools, which need --tool-call-parser."""
    server = room.servers[engine]
    cached = {"cache_control": {"type": "ephemeral"}}
    body = {
        "model": server["model_id"], "max_tokens": 32000, "stream": True,
        "system": [{"type": "text", "text": "Be brief.", **cached}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Say hello.", **cached}]},
            {"role": "system", "content": "Answer in one word."},
        ],
        "metadata": {"user_id": "x"}, "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    }  # fmt: skip
    headers = {"authorization": f"Bearer {room.key(engine)}", "anthropic-version": "2023-06-01"}
    url = f"{server['address']}/v1/messages?beta=true"
    answer = httpx.post(url, json=body, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    assert '"text_delta"' in answer.text
    assert "event: message_stop" in answer.text


@pytest.mark.parametrize("engine", ENGINES)
def test_what_codex_asks_of_the_server_itself(room: Room, engine: str) -> None:
    """The fields of Codex CLI 0.171, less its functions."""
    server = room.servers[engine]

    def said(role: str, text: str) -> dict[str, Any]:
        return {"type": "message", "id": "msg_1", "role": role, "content": [{"type": "input_text", "text": text}]}

    body = {
        "model": server["model_id"], "stream": True, "store": False, "tools": [{"type": "web_search"}],
        "input": [said("developer", "Be brief."), said("user", "Say hello.")], "tool_choice": "auto",
        "parallel_tool_calls": True, "reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "x", "client_metadata": {"x": "y"},
    }  # fmt: skip
    headers = {"authorization": f"Bearer {room.key(engine)}"}
    answer = httpx.post(f"{server['address']}/v1/responses", json=body, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    assert "response.output_text.delta" in answer.text
    assert "response.completed" in answer.text


def test_what_the_gateway_costs(room: Room) -> None:
    """Medians of five, one stream: directly and through the console, in turns."""
    server = room.servers["turbomind"]
    figures: dict[str, list[tuple[float, float]]] = {"direct": [], "console": []}
    targets = {
        "direct": (f"{server['address']}/v1", room.key("turbomind"), server["model_id"]),
        "console": (room.address, room.console.token, "turbomind"),
    }
    for _ in range(6):
        for name, (address, key, model) in targets.items():
            with openai.OpenAI(base_url=address, api_key=key, max_retries=0) as client:
                client.models.list()  # connected
                began = time.perf_counter()
                stream = client.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": "Tell me a story."}], max_tokens=256,
                    temperature=0.0, stream=True, extra_body={"ignore_eos": True},
                )  # fmt: skip
                first, count = 0.0, 0
                for chunk in stream:
                    if chunk.choices and chunk.choices[0].delta.content:
                        first = first or time.perf_counter() - began
                        count += 1
                figures[name].append((first, (count - 1) / (time.perf_counter() - began - first)))
    medians = {
        name: {
            "ttft_ms": round(statistics.median(first for first, _ in found[1:]) * 1000, 2),
            "events_per_s": round(statistics.median(rate for _, rate in found[1:]), 1),
        }
        for name, found in figures.items()
    }
    print(medians)
    if out := os.environ.get("OUT"):
        Path(out, "code.json").write_text(json.dumps(medians, indent=1), encoding="utf-8")
