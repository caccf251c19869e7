"""The list "Before the start" against the truth: what it calls red fails, all else starts and answers.

On a GPU machine, in the project's root: ``python -m pytest -c tests/gpu/pytest.ini -s tests/gpu/test_preflight.py``;
some four minutes on a card of 80 GiB. Each row is started by the command that Deploy shows, errors or not, several rows
at once; those that need the card for themselves come last. What each did, and what the console says of its log, is
printed as Markdown, and written with the logs' ends as JSON to ``$OUT/preflight.json`` where OUT names a folder.
"""

import base64
import io
import json
import os
import shutil
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.console.environment import child_environment
from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.errors import ConsoleError
from backend.models.catalog import DEMO_MODEL
from backend.processes import ports
from backend.processes.command import CommandSpec
from backend.servers.log_reader import diagnose
from backend.servers.preflight import preflight
from backend.servers.surroundings import look
from backend.services import Services, build_services
from tests.conftest import make_settings
from tests.gpu.models import servable
from tests.support.model_servers import complete, model_server
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B
from tests.support.tiny_models import make_model

AT_ONCE = 7
READY_S = 150.0
ANSWER_S = 60.0
RATIO = 0.02
LOG_END = 6000
SMALL = (512, 2, 4, 2, 1024, 2048)
HEAD_64 = (512, 2, 8, 4, 1024, 2048)
HEAD_100 = (400, 2, 4, 2, 1024, 2048)
LARGE_70B = (8192, 80, 64, 8, 28672, 128256)
LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 3800000000\n"
BITSANDBYTES = {"quant_method": "bitsandbytes", "load_in_4bit": True}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": False}

Make = Callable[[Path], Path]


def edited(make: Make, **config: Any) -> Make:
    """That model with other values in its config.json."""

    def made(folder: Path) -> Path:
        file = make(folder) / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_bytes()), **config}), encoding="utf-8")
        return folder

    return made


def without(make: Make, *names: str) -> Make:
    """That model with these files gone."""

    def made(folder: Path) -> Path:
        make(folder)
        for name in names:
            (folder / name).unlink()
        return folder

    return made


def overwritten(make: Make, name: str, text: str) -> Make:
    """That model with another text in one of its files."""

    def made(folder: Path) -> Path:
        (make(folder) / name).write_text(text, encoding="utf-8")
        return folder

    return made


def vision(folder: Path) -> Path:
    return Path(shutil.copytree(DEMO_MODEL, folder))


def vision_without_template(folder: Path) -> Path:
    (vision(folder) / "chat_template.jinja").unlink(missing_ok=True)
    file = folder / "tokenizer_config.json"
    told = json.loads(file.read_bytes())
    told.pop("chat_template", None)
    file.write_text(json.dumps(told), encoding="utf-8")
    return folder


def internvl(folder: Path) -> Path:
    return make_model("internvl", folder)


plain: Make = partial(servable, shape=SMALL)
awq: Make = partial(servable, shape=SMALL, awq=True)
head_64: Make = partial(servable, shape=HEAD_64)
head_100: Make = partial(servable, shape=HEAD_100)


@dataclass(frozen=True)
class Row:
    """A model and settings. ``fails`` is the truth; ``subjects`` are those that must be red where it does.

    ``silent``: it answers, but not as it was asked to, and says nothing of that; it is red all the same.
    """

    name: str
    make: Make
    fails: bool
    subjects: frozenset[str] = frozenset()
    engine: str = "turbomind"
    alone: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    silent: bool = False


def good(name: str, make: Make, engine: str = "turbomind", **settings: Any) -> Row:
    return Row(name, make, False, frozenset(), engine, False, settings)


def bad(name: str, make: Make, subject: str, engine: str = "turbomind", alone: bool = False, **settings: Any) -> Row:
    return Row(name, make, True, frozenset({subject}), engine, alone, settings)


ROWS = (
    good("plain", plain),
    good("1.8B shape", partial(servable, shape=INTERNLM2_5_1_8B)),
    good("tied weights", partial(servable, shape=SMALL, tied=True)),
    good("kv int8", plain, quant_policy=8),
    good("kv int4", plain, quant_policy=4),
    good("head_dim 64", head_64),
    good("kv int8 head_dim 64", head_64, quant_policy=8),
    good("awq", awq, model_format="awq"),
    good("awq auto", awq),
    good("awq in bfloat16", awq, dtype="bfloat16"),
    good("gptq in config, plain weights", edited(plain, quantization_config=GPTQ)),
    good("vision", vision),
    good("another intermediate size", edited(plain, intermediate_size=2048)),  # yellow: it isn't known what it answers
    good("another number of KV heads", edited(plain, num_key_value_heads=4)),
    good("vision without template", vision_without_template),
    good("pytorch vision without template", vision_without_template, "pytorch"),
    good("vision float32", internvl),
    good("session over cache", plain, session_len=32768, cache_max_entry_count=0.005),
    good("parser qwen", plain, extra=("--tool-call-parser", "qwen")),
    good("prefix caching", plain, extra=("--enable-prefix-caching",)),
    good("tutorials' own pytorch line", plain, "pytorch", model_format="hf"),
    good("pytorch awq", awq, "pytorch", model_format="awq"),
    good("pytorch fp8 while loading", plain, "pytorch", model_format="fp8"),
    good("pytorch kv int8", plain, "pytorch", quant_policy=8),
    good("pytorch kv int4", plain, "pytorch", quant_policy=4),
    good("pytorch kv int4 head_dim 64", head_64, "pytorch", quant_policy=4),
    good("pytorch head_dim 100", head_100, "pytorch"),
    good("pytorch vision", vision, "pytorch"),
    good("pytorch kv fp8", plain, "pytorch", quant_policy=16),
    bad("head_dim 100", head_100, "engine"),
    bad("kv int4 head_dim 64", head_64, "memory", quant_policy=4),
    bad("kv fp8", plain, "memory", quant_policy=16),
    bad("ratio 5000", plain, "memory", cache_max_entry_count=5000.0),
    bad("ratio 0.00001", plain, "memory", cache_max_entry_count=0.00001),
    bad("gptq on awq", awq, "format", model_format="gptq"),
    bad("bitsandbytes", edited(plain, quantization_config=BITSANDBYTES), "engine"),
    bad("pytorch bitsandbytes", edited(plain, quantization_config=BITSANDBYTES), "engine", "pytorch"),
    bad("group size 64", edited(awq, quantization_config={
        "quant_method": "awq", "bits": 4, "group_size": 64, "version": "gemm", "zero_point": True}), "model"),
    bad("more layers than the file", edited(plain, num_hidden_layers=4), "model"),
    bad("another hidden size", edited(plain, hidden_size=1024), "model"),
    bad("unknown architecture", edited(plain, architectures=["NovaForCausalLM"], model_type="nova"), "model"),
    bad("weights are a pointer", overwritten(plain, "model.safetensors", LFS_POINTER), "model"),
    bad("no weights", without(plain, "model.safetensors"), "model"),
    bad("broken config.json", overwritten(plain, "config.json", '{"architectures": ['), "model"),
    bad("broken tokenizer.json", overwritten(plain, "tokenizer.json", '{"version": '), "model"),
    bad("no tokenizer", without(plain, "tokenizer.json", "tokenizer_config.json"), "model"),
    bad("vision named base", vision, "flags", model_name="base"),
    bad("unknown chat template", plain, "flags", extra=("--chat-template", "nosuch")),
    bad("unknown tool parser", plain, "flags", extra=("--tool-call-parser", "nosuch")),
    bad("unknown reasoning parser", plain, "flags", extra=("--reasoning-parser", "nosuch")),
    bad("unknown speculative algorithm", plain, "flags", "pytorch", extra=("--speculative-algorithm", "nosuch")),
    bad("unknown flag", plain, "flags", extra=("--no-such-flag",)),
    bad("adapter that isn't there", plain, "flags", "pytorch", extra=("--adapters", "/nowhere/adapter")),
    bad("two GPUs of one", plain, "gpus", tp=2),
    # turbo_quant is the PyTorch engine's; a port is cut to 16 bits (4464 here).
    Row("kv 42", plain, False, frozenset({"memory"}), settings={"quant_policy": 42}, silent=True),
    Row("port above 65535", plain, False, frozenset({"address"}), settings={"port": 70_000}, silent=True),
    bad("70B in 16 bits", partial(servable, shape=LARGE_70B), "memory", alone=True, cache_max_entry_count=0.8),
    bad("session of 100 million", plain, "memory", alone=True, session_len=100_000_000),
)  # fmt: skip


@dataclass
class Outcome:
    """What was said before the start, and what happened. ``ended``: answers, loading, request or hangs."""

    row: str
    states: dict[str, str]
    keys: dict[str, list[str]]
    ended: str
    cause: str = ""
    log: str = ""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The console's parts, as app.py builds them."""
    folder = tmp_path_factory.mktemp("console")
    made = build_services(make_settings(folder / "state", models=(folder / "models",)))
    try:
        made.finder.machine(60.0)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def outcomes(services: Services, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Every row, said and tried."""
    folder = tmp_path_factory.mktemp("models")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [pool.submit(tried, services, row, folder) for row in ROWS if not row.alone]
        found = [future.result() for future in waiting]
    found += [tried(services, row, folder) for row in ROWS if row.alone]
    print("\n" + table(found))
    if out := os.environ.get("OUT"):
        text = json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False)
        Path(out, "preflight.json").write_text(text, encoding="utf-8")
    return {one.row: one for one in found}


def tried(services: Services, row: Row, folder: Path) -> Outcome:
    """What is said of the row, then its start."""
    model = row.make(folder / row.name.replace(" ", "-").replace("'", "") / "model")
    config = ServeConfig(row.engine, str(model), **{"cache_max_entry_count": RATIO, "model_name": "m", **row.settings})
    preview = services.servers.preview(config)
    try:
        plan = services.planner.plan(config).plan
    except ConsoleError:
        plan = None
    around = look(
        config, preview.model, plan, services.sampler.latest(), folder, child_environment(), {}, preview.environment
    )
    rows = preflight(config, preview.model, preview.messages, around)
    states: dict[str, str] = {one.subject: one.state for one in rows}
    keys = {one.subject: [m.key for m in one.messages if m.level != "info"] for one in rows if one.messages}
    port = config.port or ports.free_port()
    log = folder / f"{port}.log"
    environment = preview.environment or services.finder.machine().environments[0]
    spec = ENGINES[row.engine].command(config, preview.model, environment, port, folder / "key")
    assert isinstance(spec, CommandSpec)
    ended, code = start(spec, port, log, takes_images=bool(preview.model and preview.model.takes_images))
    text = log.read_text(encoding="utf-8", errors="replace")
    cause = "" if ended in {"answers", "hangs"} else diagnose(text, code).reason.key
    return Outcome(row.name, states, keys, ended, cause, text[-LOG_END:] if ended != "answers" else "")


def start(spec: CommandSpec, port: int, log: Path, takes_images: bool) -> tuple[str, int | None]:
    """How it ended, and its exit code where it did."""
    words = [str(word) for word in spec.argv]
    at = words.index("--api-keys")
    del words[at : at + 2]  # a key from a file is the console's own way
    environment = {**os.environ, **{name: value for name, value in spec.env if value is not None}}
    process = None
    try:
        with model_server(words, port, log, READY_S, environment) as process:
            content: Any = [{"type": "text", "text": "Hello"}]
            if takes_images:
                content.append({"type": "image_url", "image_url": {"url": picture()}})
            body = {"model": "m", "messages": [{"role": "user", "content": content}], "max_tokens": 8}
            try:
                answer = complete(f"http://127.0.0.1:{port}/v1", body, ANSWER_S)
            except (OSError, urllib.error.HTTPError):
                return "request", process.poll()
            return ("answers" if answer["choices"] else "request"), None
    except AssertionError as error:
        if "ended with" not in str(error):
            return "hangs", None
        return "loading", int(str(error).split("ended with ", 1)[1].split(":", 1)[0])


def picture() -> str:
    """A small picture as a data: URL."""
    stream = io.BytesIO()
    Image.new("RGB", (112, 112), "red").save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def table(found: list[Outcome]) -> str:
    """The outcomes in Markdown."""
    lines = ["| settings | before the start | what happened | cause named |", "|---|---|---|---|"]
    for one in found:
        said = "; ".join(f"{one.states[name]} {', '.join(keys)}" for name, keys in one.keys.items() if keys) or "green"
        lines.append(f"| {one.row} | {said} | {one.ended} | {one.cause} |")
    return "\n".join(lines)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_list_tells_the_truth(row: Row, outcomes: dict[str, Outcome]) -> None:
    one = outcomes[row.name]
    red = {subject for subject, state in one.states.items() if state == "red"}
    assert (one.ended != "answers") == row.fails, one
    assert bool(red) == (row.fails or row.silent), one.keys
    assert row.subjects <= red, one.keys
