"""Stands in for `lmdeploy lite auto_awq` where a test needs it to misbehave on request. The standard library only.

The model folder's file ``behave`` says how: "ok" writes a small result; "wait" writes half of one and goes on when the
model folder has a file ``go``; "stubborn" ignores SIGTERM and waits; "memory" runs out of GPU memory; "disk" writes to
a full device; "dataset" can't reach the hub; "vanish" is killed from outside; "flood" writes 200 MB in one line between
the counts and waits as "wait" does.
"""

import json
import os
import signal
import struct
import sys
import threading
from pathlib import Path

LAYERS = 2


def main(arguments: list[str]) -> None:
    assert arguments[:2] == ["lite", "auto_awq"], arguments
    model, work_dir = Path(arguments[2]), Path(arguments[arguments.index("--work-dir") + 1])
    behave = (model / "behave").read_text().strip()
    work_dir.mkdir(parents=True, exist_ok=True)
    if behave == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for layer in range(LAYERS):
        print(f"Move model.layers.{layer} to CPU.", flush=True)
    if behave == "dataset":
        sys.exit("ConnectionError: Couldn't reach 'wikitext' on the Hub (LocalEntryNotFoundError)")
    print("Loading calibrate dataset ...", flush=True)
    for layer in range(LAYERS):
        print(f"model.layers.{layer}, samples: 4, max gpu memory: {layer + 1}.50 GB", flush=True)
    if behave == "memory":
        sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")
    if behave == "disk":
        (work_dir / "model.safetensors").symlink_to("/dev/full")
        with (work_dir / "model.safetensors").open("wb", buffering=0) as file:
            file.write(b"0" * 4096)
    if behave == "flood":
        for _ in range(70):
            sys.stdout.write("模" * (1 << 20))
        print("model.layers.9, samples: 4, max gpu memory: 3.25 GB", flush=True)
    if behave in ("wait", "stubborn", "flood"):
        (work_dir / "model.safetensors").write_bytes(b"half")
        print("half written", flush=True)
        while not (model / "go").exists():
            threading.Event().wait(0.02)
    if behave == "vanish":
        os.kill(os.getpid(), signal.SIGKILL)
    for layer in range(LAYERS):
        print(f"model.layers.{layer} smooth weight done. max gpu memory: 3.50 GB", flush=True)
    for layer in range(LAYERS):
        print(f"model.layers.{layer}.mlp.down_proj weight packed.", flush=True)
    config = json.loads((model / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "awq", "bits": 4, "group_size": 128}
    (work_dir / "config.json").write_text(json.dumps(config))
    header = json.dumps({"lm_head.weight": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}}).encode()
    (work_dir / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 8)
    (work_dir / "inputs_stats.pth").write_bytes(b"statistics")


if __name__ == "__main__":
    main(sys.argv[1:])
