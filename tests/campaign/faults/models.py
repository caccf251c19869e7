"""What lies in the model folders."""

import json
import os
import random
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.campaign.faults.page import quick_page
from tests.campaign.ground import (
    Ground,
    check,
    plain,
)
from tests.support.tiny_models import QWEN2, fake_model

HUGE = 10**300
ALWAYS = ("name-no-utf8", "surrogate", "huge-number")  # each of them has emptied the form once


def hostile_models(ground: Ground, rng: random.Random) -> str:
    """Model folders of every odd kind: the form opens at once, and the healthy one is offered."""
    kinds = [*ALWAYS, *rng.choices(list(ODD), k=6)]
    made = [odd_model(rng, ground.models, kind, number) for number, kind in enumerate(kinds)]
    ground.open()
    began = time.monotonic()
    data = ground.call("deploy_load", [])["output"]["data"]
    took = time.monotonic() - began
    check(took < 20, f"the form opens after {took:.0f} s with {made}")
    offered = json.dumps(data[0], ensure_ascii=False)
    check("healthy" in offered, f"the form doesn't offer the healthy model beside {made}: {offered[:300]}")
    quick_page(ground, "there are odd models")
    for entry in sorted(ground.models.iterdir(), key=os.fsencode)[:12]:
        text = os.fsencode(entry).decode("utf-8", "replace")
        said = ground.call("deploy_describe", ["transformers", text])["output"]["data"][0]
        check(isinstance(said, str) and plain(said), f"nothing is said of {text!r}")
    server_id = ground.start(ground.model("ok"))
    ground.until(ground.server, server_id, "running")
    ground.ended_all()
    return ", ".join(made)


def odd_model(rng: random.Random, models: Path, kind: str, number: int) -> str:
    """One odd folder; the name of its kind."""
    folder = models / f"odd{number}"
    with suppress(OSError):
        ODD[kind](folder, rng)
    return kind


def _config(**changes: Any) -> Callable[[Path, random.Random], Any]:
    return lambda folder, rng: fake_model(folder, QWEN2 | changes)


def _raw(name: str, content: Callable[[random.Random], bytes]) -> Callable[[Path, random.Random], Any]:
    return lambda folder, rng: (fake_model(folder) / name).write_bytes(content(rng))


def _instead(name: str, make: Callable[[Path], Any]) -> Callable[[Path, random.Random], Any]:
    def made(folder: Path, rng: random.Random) -> None:
        (fake_model(folder) / name).unlink()
        make(folder / name)

    return made


def _header(rng: random.Random) -> bytes:
    shape = rng.choice([[HUGE], [-1, 5], [2**63, 2**63], ["x"], [[]], [0.5], [None]])
    text = json.dumps({"a.weight": {"dtype": rng.choice(["F16", "??", 5]), "shape": shape, "data_offsets": [0, 8]}})
    return struct.pack("<Q", rng.choice([len(text), 2**63, 0, len(text) * 2])) + text.encode()


def _many_files(folder: Path) -> None:
    for number in range(3000):
        (folder / f"f{number}").touch()


INDEXES = (
    b"[]", b"{", b'{"weight_map": {"a": "../../../etc/passwd"}}', b'{"weight_map": {"a": "/dev/zero"}}',
)  # fmt: skip


ODD: Mapping[str, Callable[[Path, random.Random], Any]] = {
    "name-no-utf8": lambda folder, rng: fake_model(Path(os.fsdecode(os.fsencode(folder) + b"\xff\xfe"))),
    "name-control": lambda folder, rng: fake_model(Path(f"{folder}\n\x1b[31m<b>\u202e")),
    "surrogate": _raw("config.json", lambda rng: b'{"architectures": ["\\ud800"], "model_type": "\\udfff"}'),
    "huge-number": _config(num_hidden_layers=HUGE, hidden_size=HUGE, vocab_size=-HUGE, max_position_embeddings=HUGE),
    "infinite": _raw("config.json", lambda rng: b'{"architectures": ["Qwen2ForCausalLM"], "hidden_size": 1e999}'),
    "nan": _raw("config.json", lambda rng: b'{"architectures": ["Qwen2ForCausalLM"], "hidden_size": NaN}'),
    "wrong-types": _config(architectures={"a": 1}, model_type=[], quantization_config="awq", hidden_size="x"),
    "list": _raw("config.json", lambda rng: b"[1, 2]"),
    "deep": _raw("config.json", lambda rng: b'{"a":' * 100_000),
    "large": _raw("config.json", lambda rng: b'{"a": "' + b"x" * (60 << 20) + b'"}'),
    "utf16": _raw("config.json", lambda rng: json.dumps(QWEN2).encode("utf-16")),
    "garbage": _raw("config.json", lambda rng: rng.randbytes(5000)),
    "empty": _raw("config.json", lambda rng: b""),
    "header": _raw("model.safetensors", _header),
    "header-garbage": _raw("model.safetensors", lambda rng: rng.randbytes(5000)),
    "header-cut": _raw("model.safetensors", lambda rng: b"\x99" * rng.randint(0, 9)),
    "index": _raw("model.safetensors.index.json", lambda rng: rng.choice(INDEXES)),
    "fifo": _instead("config.json", os.mkfifo),
    "fifo-weights": _instead("model.safetensors", os.mkfifo),
    "folder": _instead("config.json", os.mkdir),
    "loop": _instead("config.json", lambda path: path.symlink_to(path)),
    "nowhere": _instead("model.safetensors", lambda path: path.symlink_to("/nowhere")),
    "device": _instead("config.json", lambda path: path.symlink_to("/dev/zero")),
    "endless": _instead("model.safetensors", lambda path: path.symlink_to("/dev/zero")),
    "unreadable": lambda folder, rng: (fake_model(folder) / "config.json").chmod(0),
    "closed": lambda folder, rng: fake_model(folder).chmod(0),
    "itself": lambda folder, rng: folder.symlink_to(folder),
    "up": lambda folder, rng: folder.symlink_to(".."),
    "many-files": lambda folder, rng: _many_files(fake_model(folder)),
}  # fmt: skip
