"""A model that 8 bits a row break: the error of its layers names the layer (the real comparison, no GPU)."""

import json
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

CHILD = Path(__file__).parents[2] / "backend" / "quantization" / "children" / "weight_errors.py"
BROKEN, LAYERS, ROWS, COLUMNS = 2, 4, 96, 256


def test_a_layer_that_the_method_breaks_stands_out(tmp_path: Path) -> None:
    """One weight of each row is thirty times as large: the row's scale follows it, and the others lose their digits."""
    generator = torch.Generator().manual_seed(7)
    before: dict[str, torch.Tensor] = {}
    after: dict[str, torch.Tensor] = {}
    for layer in range(LAYERS):
        for name in ("self_attn.q_proj", "mlp.gate_proj"):
            key = f"model.layers.{layer}.{name}"
            weight = torch.randn(ROWS, COLUMNS, generator=generator) * 0.02
            if layer == BROKEN:
                at = torch.randint(0, COLUMNS, (ROWS,), generator=generator)
                weight[torch.arange(ROWS), at] *= 30
            scale = weight.abs().amax(1, keepdim=True) / 127
            before[f"{key}.weight"] = weight
            after |= {f"{key}.weight": (weight / scale).round().to(torch.int8), f"{key}.scale": scale}
    for folder, tensors in (("before", before), ("after", after)):
        (tmp_path / folder).mkdir()
        save_file(tensors, tmp_path / folder / "model.safetensors", metadata={"format": "pt"})
    out = tmp_path / "errors.json"
    command = [sys.executable, str(CHILD), str(tmp_path / "before"), str(tmp_path / "after"), str(out)]
    subprocess.run(command, check=True, timeout=120)
    errors = {one["layer"]: one["error"] for one in json.loads(out.read_bytes())}
    sound = [error for layer, error in errors.items() if layer != BROKEN]
    assert len(errors) == LAYERS
    assert all(0.003 < error < 0.02 for error in sound)  # about 1%, as the page calls usual
    assert errors[BROKEN] > 3 * max(sound)
