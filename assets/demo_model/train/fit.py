"""Train the demo model. One GPU, under 25 minutes; stops and goes on from its checkpoint.

python -m train.fit --out /tmp/train --minutes 19     # the learning rate follows the time spent, so it ends in time
python -m train.fit --out /tmp/train --minutes 19     # the same again goes on where it stopped
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Dataset

from . import dialogue, raster
from .network import TINY, Network, Sizes
from .scenes import COLOURS, KINDS

ROWS = {"one": 288, "two": 96, "short": 128, "long": 80}
WEIGHT = {"one": 1.0, "two": 0.7, "short": 1.0, "long": 1.0, "patches": 0.5}
PEAK, WARMUP, DECAY = 1.1e-3, 200, 0.05
MUON = 2.5  # Muon's rate above AdamW's
Batches = dict[str, dict[str, torch.Tensor]]


class Steps(Dataset[dict[str, dict[str, np.ndarray]]]):
    """The batches of each step, made in worker processes; step and seed decide everything.

    By kind of conversation what ``dialogue.batch`` gives; the pictures of all kinds together are under "drawings".
    """

    def __init__(self, tokenizer: Path, rows: dict[str, int], seed: int) -> None:
        self.tokenizer, self.rows, self.seed = tokenizer, rows, seed
        self.encoder: dialogue.Encoder | None = None

    def __len__(self) -> int:
        return 10**7

    def __getitem__(self, step: int) -> dict[str, dict[str, np.ndarray]]:
        self.encoder = self.encoder or dialogue.Encoder(self.tokenizer)
        # BPE dropout draws from the tokenizer's own generator, so training repeats closely, not bit by bit.
        seed = (self.seed * 10_000_019 + step) * 7
        batches = {
            kind: dialogue.batch(kind, rows, self.encoder, seed + i) for i, (kind, rows) in enumerate(self.rows.items())
        }
        shapes, pictures = (
            np.concatenate([b.pop(name) for b in batches.values() if name in b]) for name in ("shapes", "pictures")
        )
        return batches | {"drawings": raster.drawings(shapes, pictures, random.Random(seed + 6))}


def rate(step: int, progress: float, peak: float) -> float:
    """Learning rate: a linear warm-up over WARMUP steps to ``peak``, then a cosine of ``progress`` (0 to 1) to nearly zero."""
    return peak * min(1.0, (step + 1) / WARMUP) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def batch_rows(text: str) -> dict[str, int]:
    """Conversations of each kind in a step: a share of the usual ("0.1"), or numbers ("one=12,short=64")."""
    if "=" not in text:
        return {kind: max(2, round(rows * float(text))) for kind, rows in ROWS.items()}
    return {kind: int(rows) for kind, rows in (part.split("=") for part in text.split(","))}


@torch.no_grad()
def rounded_weights(network: Network, group: int = 128) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
    """Round the text tower's weights to 4 bits in groups, as W4A16 does; returns what to put back before the optimizer's step."""
    kept = []
    for layer in network.text.layers:
        for name, parameter in layer.named_parameters():
            if name.endswith("proj.weight"):
                kept.append((parameter, parameter.data))
                parts = parameter.data.view(parameter.shape[0], -1, group)
                low, high = parts.amin(-1, keepdim=True), parts.amax(-1, keepdim=True)
                step = (high - low).clamp(min=1e-8) / 15
                parameter.data = (torch.round((parts - low) / step) * step + low).view_as(parameter)
    return kept


class Teacher(torch.nn.Module):
    """Says for every patch what the vision tower should see there; used in training only.

    Through the answers alone the tower learns far more slowly what a shape is.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = torch.nn.ModuleList(
            torch.nn.Linear(width, classes) for classes in (len(KINDS) + 1, len(COLOURS) + 1, 2)
        )

    def forward(self, features: torch.Tensor, content: torch.Tensor) -> torch.Tensor:
        """The loss of N x 256 patch features; patches with and without a shape count alike."""
        features = F.layer_norm(features, features.shape[-1:])
        total = features.new_zeros((), dtype=torch.float32)
        for head, wanted in zip(self.heads, content.unbind(1), strict=True):
            loss = F.cross_entropy(head(features).float().transpose(1, 2), wanted, reduction="none")
            filled = (wanted > 0).float()
            total = (
                total
                + (loss * filled).sum() / filled.sum().clamp(min=1)
                + (loss * (1 - filled)).sum() / (1 - filled).sum().clamp(min=1)
            )
        return total / 3


class Muon:
    """Muon: momentum whose matrices are made orthogonal (Newton-Schulz), scaled to the size of an AdamW step."""

    def __init__(self, parameters: list[torch.nn.Parameter], momentum: float = 0.95, decay: float = 0.05) -> None:
        self.shapes: dict[torch.Size, list[torch.nn.Parameter]] = {}
        for parameter in parameters:
            self.shapes.setdefault(parameter.shape, []).append(parameter)
        self.momentum, self.decay = momentum, decay
        self.buffers = {
            shape: torch.zeros(len(group), *shape, device=group[0].device) for shape, group in self.shapes.items()
        }

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One step; matrices of one shape go together."""
        for shape, group in self.shapes.items():
            gradient = torch.stack([p.grad for p in group])  # type: ignore[misc]
            buffer = self.buffers[shape].mul_(self.momentum).add_(gradient)
            x = (gradient + self.momentum * buffer).bfloat16()
            tall = shape[0] > shape[1]
            x = x.mT if tall else x
            x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
            for _ in range(5):
                square = x @ x.mT
                x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
            x = (x.mT if tall else x).float() * 0.2 * max(shape) ** 0.5
            for parameter, update in zip(group, x.unbind(), strict=True):
                parameter.mul_(1 - lr * self.decay).add_(update, alpha=-lr)


def optimizers_for(network: Network, teacher: Teacher, fused: bool) -> tuple[Muon, torch.optim.AdamW]:
    """Muon for the matrices inside the layers, AdamW for everything else (no decay on norms, biases, scales, embeddings)."""
    trained = {n: p for n, p in network.named_parameters() if p.requires_grad}
    inside = {n: p for n, p in trained.items() if p.dim() == 2 and (".layers." in n or ".layer." in n)}
    others = [(n, p) for n, p in trained.items() if n not in inside]
    decayed = [p for n, p in others if p.dim() >= 2 and "embed" not in n]
    free = [p for n, p in others if not (p.dim() >= 2 and "embed" not in n)] + list(teacher.parameters())
    adam = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": DECAY}, {"params": free, "weight_decay": 0.0}],
        lr=PEAK,
        betas=(0.9, 0.98),
        eps=1e-8,
        fused=fused,
    )
    return Muon(list(inside.values())), adam


def step_loss(
    network: Network, teacher: Teacher, batches: Batches, paint: raster.Paint, generator: torch.Generator
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The weighted loss of one step and its parts (means over answer tokens, and over patches)."""
    parts: dict[str, torch.Tensor] = {}
    batches = dict(batches)
    drawings = batches.pop("drawings")
    device = next(network.parameters()).device
    with torch.autocast(device.type, enabled=False):
        pixels, content = raster.render(drawings, generator, paint)
    features = network.vision_tower(pixels)
    tokens = network.image_tokens(features)
    if features.requires_grad:
        parts["patches"] = teacher(features[:, 1:], content)
    for kind, batch in batches.items():
        ids, answers, places = batch["ids"].long(), batch["answers"], batch.get("places")
        rounded = torch.rand((len(ids), 1, 1, 1), generator=generator, device=device) < 0.25
        images = None
        if places is not None:
            images, tokens = tokens.split([(n := len(places) // tokens.shape[1]), len(tokens) - n])
        hidden = network(ids, images, places, rounded).flatten(0, 1)
        parts[kind] = F.cross_entropy(network.logits(hidden[answers - 1]).float(), ids.flatten()[answers])
    total = sum(WEIGHT[kind] * part for kind, part in parts.items())
    return total, parts  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    parser.add_argument("--tokenizer", type=Path, default=Path(__file__).parent.parent / "tokenizer.json")
    parser.add_argument("--minutes", type=float, default=19, help="training time, when --steps is not given")
    parser.add_argument(
        "--start-from", type=Path, help="a folder of safetensors to begin with instead of random weights"
    )
    parser.add_argument("--steps", type=int, help="train exactly this many steps")
    parser.add_argument("--stop-after", type=int, help="stop (with a checkpoint) after this many steps of this run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 3))
    parser.add_argument("--tiny", action="store_true", help="a toy size, to try the code")
    parser.add_argument(
        "--rows", default="1", help="batch size: a share of the usual one, or one=N,two=N,short=N,long=N"
    )
    parser.add_argument("--peak", type=float, default=PEAK, help="the highest learning rate")
    parser.add_argument("--text-only", action="store_true", help="leave the vision tower as it is")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--save-every", type=float, default=120, help="seconds between checkpoints")
    a = parser.parse_args()

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the workers are the parallelism
    a.out.mkdir(parents=True, exist_ok=True)
    rows = batch_rows(a.rows)
    checkpoint = a.out / "checkpoint.pt"
    saved = torch.load(checkpoint, map_location="cpu", weights_only=False) if checkpoint.exists() else None
    step = saved["step"] if saved else 0
    spent = saved["seconds"] if saved else 0.0
    loader = DataLoader(
        Steps(a.tokenizer, rows, a.seed),
        batch_size=None,
        sampler=range(step, 10**7),
        num_workers=a.workers,
        prefetch_factor=4,
        pin_memory=torch.cuda.is_available(),
    )
    stream = iter(loader)  # the workers start before CUDA does

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(a.seed + step)
    random.seed(a.seed + step)
    torch.set_float32_matmul_precision("high")
    network = Network(TINY if a.tiny else Sizes()).to(device)
    network.vision_tower.requires_grad_(not a.text_only)
    teacher = Teacher(network.sizes.vision_hidden).to(device)
    muon, optimizer = optimizers_for(network, teacher, device.type == "cuda")
    if saved:
        network.load_state_dict(saved["network"])
        teacher.load_state_dict(saved["teacher"])
        optimizer.load_state_dict(saved["optimizer"])
        muon.buffers = {shape: buffer.to(device) for shape, buffer in saved["muon"].items()}
    elif a.start_from:
        network.load_state_dict(
            {k: v.float() for file in sorted(a.start_from.glob("*.safetensors")) for k, v in load_file(file).items()}
        )
    generator = torch.Generator(device).manual_seed(a.seed * 1000 + step)
    paint: raster.Paint = raster.paint
    if not a.no_compile:
        paint = torch.compile(raster.paint, dynamic=False)
        torch._dynamo.config.recompile_limit = 64
        for layer in [*network.text.layers, *network.vision_tower.encoder["layer"]]:
            layer.compile(dynamic=False)

    def save() -> None:
        state = {
            "step": step,
            "seconds": spent + time.time() - began,
            "network": network.state_dict(),
            "teacher": teacher.state_dict(),
            "optimizer": optimizer.state_dict(),
            "muon": muon.buffers,
        }
        torch.save(state, checkpoint.with_suffix(".new"))
        checkpoint.with_suffix(".new").replace(checkpoint)

    def done() -> float:
        """The share of the training that is behind."""
        return step / a.steps if a.steps else (spent + time.time() - began) / (60 * a.minutes)

    began = last_save = time.time()
    log = (a.out / "log.jsonl").open("a", encoding="utf-8")
    first, means = step, {}
    while (progress := done()) < 1 and not (a.stop_after and step - first >= a.stop_after):
        batches = {  # the low resolutions are read here, not on the GPU
            k: {n: v if n == "low" else v.to(device, non_blocking=True) for n, v in b.items()}
            for k, b in next(stream).items()
        }
        pace = rate(step, progress, a.peak)
        for group in optimizer.param_groups:
            group["lr"] = pace
        # From the middle on, a quarter of the steps see 4-bit weights, so that the W4A16 model answers as this one does.
        kept = rounded_weights(network) if progress > 0.4 and step % 4 == 0 and not a.tiny else []
        with torch.autocast(device.type, torch.bfloat16):
            loss, parts = step_loss(network, teacher, batches, paint, generator)
        loss.backward()
        for parameter, weight in kept:
            parameter.data = weight
        norm = torch.nn.utils.clip_grad_norm_([*network.parameters(), *teacher.parameters()], 1.0)
        optimizer.step()
        muon.step(MUON * pace)
        network.zero_grad(set_to_none=True)
        teacher.zero_grad(set_to_none=True)
        step += 1
        means = {
            k: means.get(k, 0.0) * 0.95 + v.detach() * 0.05 if k in means else v.detach() for k, v in parts.items()
        }
        if step % 100 == 0 or step in (1, 10, 40):
            line = {
                "step": step,
                "progress": round(progress, 4),
                "seconds": round(spent + time.time() - began, 1),
                "lr": round(pace, 6),
                "norm": round(float(norm), 3),
            } | {k: round(float(v), 4) for k, v in means.items()}
            print(json.dumps(line), file=log, flush=True)
            print(json.dumps(line), flush=True)
        if time.time() - last_save > a.save_every:
            save()
            last_save = time.time()
    save()
    print(f"{'done' if progress >= 1 else 'stopped'} at step {step}, {spent + time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
