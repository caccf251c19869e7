"""An independent computation of what weight_errors.py gives, with LMDeploy's own formula for the smoothing.

usage: awq_errors.py ORIGINAL QUANTIZED inputs_stats.pth   (a Llama-like model without search-scale)

Where weight_errors.py fits the scales between two matrices, this computes them from the statistics that auto_awq kept,
as lmdeploy/lite/quantization/awq.py does; it unpacks the codes one by one. Prints a JSON list, one error a layer.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

GROUP = 128
PLACES = [0, 4, 1, 5, 2, 6, 3, 7]  # column -> which nibble holds it


def load(folder: str) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for file in Path(folder).glob("*.safetensors"):
        tensors.update(load_file(file))
    return tensors


def codes(packed: torch.Tensor) -> torch.Tensor:
    columns = [(packed[:, at // 8] >> (4 * PLACES[at % 8])) & 15 for at in range(packed.shape[1] * 8)]
    return torch.stack(columns, 1).float()


def smoothing(weights: list[torch.Tensor], activations: torch.Tensor) -> torch.Tensor:
    """The scales of columns: smooth_ln_fcs and smooth_fc_fcs with alpha 0.5."""
    together = torch.cat(weights).half()
    size = together.abs().view(-1, GROUP)
    share = (size / size.amax(1, keepdim=True)).view(together.shape).mean(0)
    scales = (activations.half().pow(0.5) / share.pow(0.5)).clamp(min=1e-4)
    return (scales.float() / (scales.max().float() * scales.min().float()).sqrt()).half().float()


def main(original_folder: str, quantized_folder: str, statistics: str) -> None:
    original, quantized = load(original_folder), load(quantized_folder)
    absmax = torch.load(statistics, weights_only=True)["absmax"]
    layers = 1 + max(int(name.split(".")[2]) for name in original if name.startswith("model.layers."))
    found = []
    for layer in range(layers):
        at = f"model.layers.{layer}."
        w = {name: original[f"{at}{name}.weight"].float() for name in (
            "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
            "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
        )}  # fmt: skip
        columns = {name: torch.ones(weight.shape[1]) for name, weight in w.items()}
        rows = {name: torch.ones(weight.shape[0]) for name, weight in w.items()}
        for names in (("self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj"), ("mlp.gate_proj", "mlp.up_proj")):
            scales = smoothing([w[name] for name in names], absmax[at + names[0]])
            columns.update(dict.fromkeys(names, scales))
        for feeder, fed in (("self_attn.v_proj", "self_attn.o_proj"), ("mlp.up_proj", "mlp.down_proj")):
            outputs, inputs = w[feeder].shape[0], w[fed].shape[1]
            if not (outputs < inputs and inputs % outputs == 0):  # grouped-query attention is left alone
                columns[fed] = smoothing([w[fed]], absmax[at + fed])
                rows[feeder] = columns[fed]
        wrong = size = 0.0
        for name, weight in w.items():
            scales = quantized[f"{at}{name}.scales"].float().repeat_interleave(GROUP, 0)
            zeros = codes(quantized[f"{at}{name}.qzeros"]).repeat_interleave(GROUP, 0)
            packed = ((codes(quantized[f"{at}{name}.qweight"]) - zeros) * scales).t()
            back = packed / columns[name][None, :] * rows[name][:, None]
            wrong += float(((back - weight) ** 2).sum())
            size += float((weight**2).sum())
        found.append((wrong / size) ** 0.5)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
