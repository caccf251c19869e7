"""How far the weights of a quantized model are from the originals, layer by layer.

usage: weight_errors.py ORIGINAL QUANTIZED OUT.json [--smoothed]

For every decoder layer: sqrt(sum of (w - w')^2 / sum of w^2) over its quantized matrices, w' being the dequantized
weights. The smoothing (``--smoothed``: calibrated, not quantized without data) moves scales between layers first,
which changes no output but every weight; they are undone. With s the scales of a matrix's inputs and r of its outputs,
the result holds w s / r. After a norm, s is exactly old norm / new norm. Between two matrices (v_proj and o_proj,
up_proj and down_proj) it isn't kept; the s that fits best is taken for each column or row, which hides about one part
in 2n of the error for n weights in it.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

# The norm before a matrix, and the matrix whose outputs are this one's inputs, by the last part of their names
# (LMDeploy's NORM_FCS_MAP and FC_FCS_MAP).
NORMS = {
    "q_proj": "input_layernorm",
    "k_proj": "input_layernorm",
    "v_proj": "input_layernorm",
    "qkv_proj": "input_layernorm",
    "gate_proj": "post_attention_layernorm",
    "up_proj": "post_attention_layernorm",
    "gate_up_proj": "post_attention_layernorm",
    "wqkv": "attention_norm",
    "w1": "ffn_norm",
    "w3": "ffn_norm",
}
FEEDS = {"o_proj": ("v_proj", "qkv_proj"), "down_proj": ("up_proj", "gate_up_proj"), "w2": ("w3",)}
_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")
_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # AWQ packs eight columns into 32 bits in this order


class Checkpoint:
    """Tensors by name, read when asked for."""

    def __init__(self, folder: Path) -> None:
        from safetensors import safe_open

        opened: dict[Path, Any] = {f: safe_open(f, framework="pt") for f in sorted(folder.glob("*.safetensors"))}
        self._files = opened
        self._where = {name: file for file, tensors in opened.items() for name in tensors.keys()}  # noqa: SIM118
        self.names = frozenset(self._where)

    def tensor(self, name: str) -> Any:
        """The tensor in float32, integers as they are."""
        tensor = self._files[self._where[name]].get_tensor(name)
        return tensor.float() if tensor.is_floating_point() else tensor


def dequantize(qweight: Any, qzeros: Any, scales: Any) -> Any:
    """The weights (outputs × inputs, float32) of AWQ's gemm layout: 4-bit codes packed along the outputs."""
    codes, zeros = unpack(qweight), unpack(qzeros)
    group = codes.shape[0] // scales.shape[0]
    zeros = zeros.repeat_interleave(group, 0)
    return ((codes - zeros) * scales.repeat_interleave(group, 0)).t()


def unpack(packed: Any) -> Any:
    """int32 of rows × columns/8 to float32 of rows × columns."""
    import torch

    codes = torch.empty(*packed.shape, 8, dtype=torch.float32)
    for place, column in enumerate(_ORDER):
        codes[..., column] = ((packed >> (4 * place)) & 15).float()
    return codes.flatten(-2)


def relative_errors(original: Checkpoint, quantized: Checkpoint, smoothed: bool) -> "list[dict[str, Any]]":
    """One entry a decoder layer: ``layer``, ``error`` (relative, see above) and ``matrices`` (the same by name)."""
    layers: dict[int, dict[str, tuple[float, float]]] = {}
    packed = [name.rpartition(".")[0] for name in quantized.names if name.endswith((".qweight", ".scale"))]
    for done, name in enumerate(sorted(packed, key=_order), 1):
        number, within = _place(name)
        wanted = original.tensor(f"{name}.weight")
        got = _weights(name, quantized)
        if smoothed:
            got = _undo(name, wanted, got, original, quantized)
        difference = float(((got - wanted).double() ** 2).sum())
        layers.setdefault(number, {})[within] = (difference, float((wanted.double() ** 2).sum()))
        if done % 50 == 0:
            print(f"compared {done} of {len(packed)} matrices", flush=True)
    return [
        {
            "layer": number,
            "error": _ratio(sum(d for d, _ in parts.values()), sum(n for _, n in parts.values())),
            "matrices": {name: _ratio(*part) for name, part in sorted(parts.items())},
        }
        for number, parts in sorted(layers.items())
    ]


def _weights(name: str, quantized: Checkpoint) -> Any:
    """A matrix as the engine sees it: AWQ's packed codes, or SmoothQuant's 8 bits (int8, fp8) with a scale a row."""
    if f"{name}.qweight" in quantized.names:
        return dequantize(*(quantized.tensor(f"{name}.{part}") for part in ("qweight", "qzeros", "scales")))
    return quantized.tensor(f"{name}.weight").float() * quantized.tensor(f"{name}.scale")


def _undo(name: str, wanted: Any, got: Any, original: Checkpoint, quantized: Checkpoint) -> Any:
    """The dequantized weights as they would be without the smoothing."""
    parent, _, last = name.rpartition(".")
    layer = name[: _match(name).end()]
    norm = f"{layer}{NORMS.get(last, '-')}.weight"
    if norm in original.names and norm in quantized.names:
        old, new = original.tensor(norm), quantized.tensor(norm)
        got = got / (old / new).where((old != 0) & (new != 0), old.new_ones(()))
    elif (feeder := _feeder(parent, last, original)) and _is_smoothed(original.tensor(f"{feeder}.weight"), wanted):
        got = got * _fit(got, wanted, along=0)
    consumers = [consumer for consumer, feeders in FEEDS.items() if last in feeders]
    for consumer in consumers:
        fed = f"{parent}.{consumer}.weight"
        if fed in original.names and _is_smoothed(wanted, original.tensor(fed)):
            got = got * _fit(got, wanted, along=1)
    return got


def _feeder(parent: str, last: str, original: Checkpoint) -> str:
    names = (f"{parent}.{feeder}" for feeder in FEEDS.get(last, ()))
    return next((name for name in names if f"{name}.weight" in original.names), "")


def _is_smoothed(feeder: Any, consumer: Any) -> bool:
    """auto_awq leaves the pair alone where grouped-query attention repeats the feeder's outputs."""
    outputs, inputs = feeder.shape[0], consumer.shape[1]
    return not (outputs < inputs and inputs % outputs == 0)


def _fit(got: Any, wanted: Any, along: int) -> Any:
    """The factor for each column (along 0) or row (along 1) that brings ``got`` nearest to ``wanted``."""
    own = (got * got).sum(along, keepdim=True)
    factor = (got * wanted).sum(along, keepdim=True) / own.clamp(min=1e-30)
    return factor.where(own > 0, own.new_ones(()))


def _ratio(difference: float, norm: float) -> float:
    return (difference / norm) ** 0.5 if norm else 0.0


def _match(name: str) -> "re.Match[str]":
    match = _LAYER.search(name)
    if match is None:
        raise ValueError(f"{name} belongs to no decoder layer")
    return match


def _place(name: str) -> "tuple[int, str]":
    match = _match(name)
    return int(match[1]), name[match.end() :]


def _order(name: str) -> "tuple[int, str]":
    return _place(name)


def main(arguments: "list[str]") -> None:
    import torch

    parser = argparse.ArgumentParser()
    for name in ("original", "quantized", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--smoothed", action="store_true")
    given = parser.parse_args(arguments)
    with torch.inference_mode():
        errors = relative_errors(Checkpoint(given.original), Checkpoint(given.quantized), given.smoothed)
    draft = given.out.with_suffix(".part")
    draft.write_text(json.dumps(errors), encoding="utf-8")
    os.replace(draft, given.out)


if __name__ == "__main__":
    main(sys.argv[1:])
