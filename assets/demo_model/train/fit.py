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
from torch.utils.data import DataLoader, Dataset

from . import dialogue, raster
from .network import TINY, Network, Sizes

ROWS = {"one": 256, "two": 64, "short": 192, "long": 96}
WEIGHT = {"one": 1.0, "two": 0.7, "short": 1.0, "long": 1.0}
PEAK, WARMUP, DECAY = 1.2e-3, 250, 0.05
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
        return {kind: dialogue.batch(kind, rows, self.encoder, (self.seed * 10_000_019 + step) * 7 + i) for i, (kind, rows) in enumerate(self.rows.items())}


def rate(step: int, total: int) -> float:
    """Learning rate: a linear warm-up, then a cosine to nearly zero."""
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    return PEAK * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - WARMUP) / max(1, total - WARMUP)))))


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


def optimizer_for(network: Network, fused: bool) -> torch.optim.AdamW:
    """AdamW; no decay on norms, biases, scales and embeddings."""
    decayed = [p for n, p in network.named_parameters() if p.dim() >= 2 and "embed" not in n]
    others = [p for n, p in network.named_parameters() if not (p.dim() >= 2 and "embed" not in n)]
    return torch.optim.AdamW([{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}], lr=PEAK, betas=(0.9, 0.98), eps=1e-8, fused=fused)


def step_loss(network: Network, batches: dict[str, dict[str, torch.Tensor]], image_id: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The weighted loss of one step and its parts (means over answer tokens)."""
    parts: dict[str, torch.Tensor] = {}
    device = next(network.parameters()).device
    kinds = [k for k in batches if "shapes" in batches[k]]
    with torch.autocast(device.type, enabled=False):
        pixels = torch.cat([raster.render(batches[k]["shapes"], batches[k]["pictures"], generator) for k in kinds])
    tokens = network.image_tokens(pixels)
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
    parser.add_argument("--minutes", type=float, default=15, help="training time to plan for, when --steps is not given")
    parser.add_argument("--steps", type=int, help="train exactly this many steps")
    parser.add_argument("--stop-after", type=int, help="stop (with a checkpoint) after this many steps of this run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 3))
    parser.add_argument("--tiny", action="store_true", help="a toy size, to try the code")
    parser.add_argument("--rows", type=float, default=1.0, help="batch size as a share of the usual one")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--save-every", type=float, default=60, help="seconds between checkpoints")
    a = parser.parse_args()

    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the workers are the parallelism
    a.out.mkdir(parents=True, exist_ok=True)
    rows = {k: max(2, round(v * a.rows)) for k, v in ROWS.items()}
    checkpoint = a.out / "checkpoint.pt"
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True) if checkpoint.exists() else None
    step = saved["step"] if saved else 0
    planned = a.steps or (saved["planned"] if saved else 0)
    spent = saved["seconds"] if saved else 0.0
    loader = DataLoader(Steps(a.tokenizer, rows, a.seed), batch_size=None, sampler=range(step, 10**7), num_workers=a.workers, prefetch_factor=4, pin_memory=torch.cuda.is_available())
    stream = iter(loader)  # the workers start before CUDA does

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(a.seed + step)
    random.seed(a.seed + step)
    torch.set_float32_matmul_precision("high")
    network = Network(TINY if a.tiny else Sizes()).to(device)
    optimizer = optimizer_for(network, device.type == "cuda")
    if saved:
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
    generator = torch.Generator(device).manual_seed(a.seed * 1000 + step)
    image_id = dialogue.Encoder(a.tokenizer).image_id
    if not a.no_compile:
        torch._dynamo.config.recompile_limit = 64
        for layer in [*network.text.layers, *network.vision_tower.encoder["layer"]]:
            layer.compile(dynamic=False)

    def save() -> None:
        state = {"step": step, "planned": planned, "seconds": spent + time.time() - began, "network": network.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(state, checkpoint.with_suffix(".new"))
        checkpoint.with_suffix(".new").replace(checkpoint)

    began = last_save = time.time()
    log = (a.out / "log.jsonl").open("a", encoding="utf-8")
    first, means, timed = step, {}, time.time()
    while not planned or step < planned:
        if a.stop_after and step - first >= a.stop_after:
            break
        batches = {k: {n: torch.as_tensor(v).to(device, non_blocking=True) for n, v in b.items()} for k, b in next(stream).items()}
        for group in optimizer.param_groups:
            group["lr"] = rate(step, planned or 10**6)
        # From the middle on, a quarter of the steps see 4-bit weights, so that the W4A16 model answers as this one does.
        kept = rounded_weights(network) if planned and step > planned * 0.4 and step % 4 == 0 and not a.tiny else []
        with torch.autocast(device.type, torch.bfloat16):
            loss, parts = step_loss(network, batches, image_id, generator)
        loss.backward()
        for parameter, weight in kept:
            parameter.data = weight
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        means = {k: means.get(k, 0.0) * 0.95 + v.detach() * 0.05 if k in means else v.detach() for k, v in parts.items()}
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
            line = {"step": step, "planned": planned, "seconds": round(seconds, 1), "lr": round(rate(step, planned or 10**6), 6), "norm": round(float(norm), 3)} | {k: round(float(v), 4) for k, v in means.items()}
            print(json.dumps(line), file=log, flush=True)
            print(json.dumps(line), flush=True)
        if time.time() - last_save > a.save_every:
            save()
            last_save = time.time()
    save()
    print(f"{'done' if planned and step >= planned else 'stopped'} at step {step}, {spent + time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
