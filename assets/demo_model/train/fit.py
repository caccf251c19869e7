"""Train the demo model. One GPU, under 25 minutes; stops and goes on from its checkpoint.

python -m train.fit --out /tmp/train --minutes 15      # the first run measures the speed and plans the number of steps
python -m train.fit --out /tmp/train                   # goes on where it stopped
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

ROWS = {"one": 256, "two": 80, "short": 160, "long": 80}
WEIGHT = {"one": 1.0, "two": 0.7, "short": 1.0, "long": 1.0, "patches": 0.5}
PEAK, WARMUP, DECAY = 1.1e-3, 200, 0.05
MEASURED = 80  # the step at which the speed is known


class Steps(Dataset[dict[str, dict[str, np.ndarray]]]):
    """The batches of each step, made in worker processes; step and seed decide everything."""

    def __init__(self, tokenizer: Path, rows: dict[str, int], seed: int) -> None:
        self.tokenizer, self.rows, self.seed = tokenizer, rows, seed
        self.encoder: dialogue.Encoder | None = None

    def __len__(self) -> int:
        return 10**7

    def __getitem__(self, step: int) -> dict[str, dict[str, np.ndarray]]:
        self.encoder = self.encoder or dialogue.Encoder(self.tokenizer)
        # BPE dropout draws from the tokenizer's own generator, so training repeats closely, not bit by bit.
        return {
            kind: dialogue.batch(kind, rows, self.encoder, (self.seed * 10_000_019 + step) * 7 + i)
            for i, (kind, rows) in enumerate(self.rows.items())
        }


def rate(step: int, total: int, peak: float) -> float:
    """Learning rate: a linear warm-up to ``peak``, then a cosine to nearly zero."""
    warmup = min(WARMUP, total // 10)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup)))))


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
    network: Network,
    teacher: Teacher,
    batches: dict[str, dict[str, torch.Tensor]],
    image_id: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The weighted loss of one step and its parts (means over answer tokens)."""
    parts: dict[str, torch.Tensor] = {}
    device = next(network.parameters()).device
    kinds = [k for k in batches if "shapes" in batches[k]]
    with torch.autocast(device.type, enabled=False):
        drawn = [raster.render(batches[k]["shapes"], batches[k]["pictures"], generator) for k in kinds]
        pixels, content = (torch.cat(parts_) for parts_ in zip(*drawn, strict=True))
    features = network.vision_tower(pixels)
    tokens = network.image_tokens(features)
    if features.requires_grad:
        parts["patches"] = teacher(features[:, 1:], content)
    images = dict(zip(kinds, tokens.split([len(batches[k]["shapes"]) for k in kinds]), strict=True))
    for kind, batch in batches.items():
        ids, labels = batch["ids"].long(), batch["labels"].long()
        rounded = torch.rand((len(ids), 1, 1, 1), generator=generator, device=device) < 0.25
        hidden = network(ids, images.get(kind), image_id, rounded)
        chosen = labels[:, 1:] >= 0
        parts[kind] = F.cross_entropy(network.logits(hidden[:, :-1][chosen]).float(), labels[:, 1:][chosen])
    total = sum(WEIGHT[kind] * part for kind, part in parts.items())
    return total, parts  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    parser.add_argument("--tokenizer", type=Path, default=Path(__file__).parent.parent / "tokenizer.json")
    parser.add_argument(
        "--minutes", type=float, default=15, help="training time to plan for, when --steps is not given"
    )
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
    parser.add_argument("--save-every", type=float, default=60, help="seconds between checkpoints")
    a = parser.parse_args()

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the workers are the parallelism
    a.out.mkdir(parents=True, exist_ok=True)
    rows = batch_rows(a.rows)
    checkpoint = a.out / "checkpoint.pt"
    saved = torch.load(checkpoint, map_location="cpu", weights_only=False) if checkpoint.exists() else None
    step = saved["step"] if saved else 0
    planned = a.steps or (saved["planned"] if saved else 0)
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
    image_id = dialogue.Encoder(a.tokenizer).image_id
    if not a.no_compile:
        torch._dynamo.config.recompile_limit = 64
        for layer in [*network.text.layers, *network.vision_tower.encoder["layer"]]:
            layer.compile(dynamic=False)

    def save() -> None:
        state = {
            "step": step,
            "planned": planned,
            "seconds": spent + time.time() - began,
            "network": network.state_dict(),
            "teacher": teacher.state_dict(),
            "optimizer": optimizer.state_dict(),
            "muon": muon.buffers,
        }
        torch.save(state, checkpoint.with_suffix(".new"))
        checkpoint.with_suffix(".new").replace(checkpoint)

    began = last_save = time.time()
    log = (a.out / "log.jsonl").open("a", encoding="utf-8")
    first, means, timed = step, {}, time.time()
    while not planned or step < planned:
        if a.stop_after and step - first >= a.stop_after:
            break
        batches = {
            k: {n: torch.as_tensor(v).to(device, non_blocking=True) for n, v in b.items()}
            for k, b in next(stream).items()
        }
        pace = rate(step, planned or 10**6, a.peak)
        for group in optimizer.param_groups:
            group["lr"] = pace
        # From the middle on, a quarter of the steps see 4-bit weights, so that the W4A16 model answers as this one does.
        kept = rounded_weights(network) if planned and step > planned * 0.4 and step % 4 == 0 and not a.tiny else []
        with torch.autocast(device.type, torch.bfloat16):
            loss, parts = step_loss(network, teacher, batches, image_id, generator)
        loss.backward()
        for parameter, weight in kept:
            parameter.data = weight
        norm = torch.nn.utils.clip_grad_norm_([*network.parameters(), *teacher.parameters()], 1.0)
        optimizer.step()
        muon.step(pace)
        network.zero_grad(set_to_none=True)
        teacher.zero_grad(set_to_none=True)
        step += 1
        means = {
            k: means.get(k, 0.0) * 0.95 + v.detach() * 0.05 if k in means else v.detach() for k, v in parts.items()
        }
        if step == first + MEASURED - 40:
            if device.type == "cuda":
                torch.cuda.synchronize()
            timed = time.time()
        if step == first + MEASURED and not planned:
            if device.type == "cuda":
                torch.cuda.synchronize()
            speed = 40 / (time.time() - timed)
            planned = step + int(speed * (a.minutes * 60 - (time.time() - began)))
            print(f"{speed:.2f} steps/s: {planned} steps planned", flush=True)
        if step % 100 == 0 or step in (1, 10, 40) or step == planned:
            seconds = spent + time.time() - began
            line = {
                "step": step,
                "planned": planned,
                "seconds": round(seconds, 1),
                "lr": round(rate(step, planned or 10**6, a.peak), 6),
                "norm": round(float(norm), 3),
            } | {k: round(float(v), 4) for k, v in means.items()}
            print(json.dumps(line), file=log, flush=True)
            print(json.dumps(line), flush=True)
        if time.time() - last_save > a.save_every:
            save()
            last_save = time.time()
    save()
    print(
        f"{'done' if planned and step >= planned else 'stopped'} at step {step}, {spent + time.time() - began:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
