"""The network in plain PyTorch, with the parameter names of an ``InternVLForConditionalGeneration`` checkpoint.

It computes what transformers' InternVL (vision tower, pixel shuffle, projector, Qwen2 text tower) computes, without the
library's overhead, so that whole layers can be compiled. tests/unit/assets/demo_model/test_network.py compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Sizes:
    """The shape of the model. ``hidden`` and ``intermediate`` are multiples of 128 (group size of AWQ), ``head_dim`` is 128 (KV int4)."""

    vocabulary: int = 4096
    hidden: int = 384
    layers: int = 6
    heads: int = 3
    kv_heads: int = 1
    head_dim: int = 128
    intermediate: int = 1024
    rope_theta: float = 10_000.0
    eps: float = 1e-6
    vision_hidden: int = 256
    vision_layers: int = 6
    vision_heads: int = 4
    vision_intermediate: int = 768
    image: int = 224
    patch: int = 14


TINY = Sizes(
    hidden=128,
    layers=2,
    heads=1,
    intermediate=128,
    vision_hidden=64,
    vision_layers=2,
    vision_heads=2,
    vision_intermediate=128,
)


class RMSNorm(nn.Module):
    """Root mean square norm, computed in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        return (self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps))).to(x.dtype)


def fake_int4(x: torch.Tensor) -> torch.Tensor:
    """``x`` rounded to 16 levels between its minimum and maximum along the last dimension, gradient passed through.

    So a KV cache in int4 (asymmetric, per head and token) looks to the attention.
    """
    wide = x.detach().float()
    low, high = wide.amin(-1, keepdim=True), wide.amax(-1, keepdim=True)
    step = (high - low).clamp(min=1e-6) / 15
    return x + (torch.round((wide - low) / step) * step + low - wide).to(x.dtype)


def _turn(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    """Causal self-attention with grouped key-value heads."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = sizes.heads, sizes.kv_heads, sizes.head_dim
        self.q_proj = nn.Linear(sizes.hidden, sizes.heads * sizes.head_dim)
        self.k_proj = nn.Linear(sizes.hidden, sizes.kv_heads * sizes.head_dim)
        self.v_proj = nn.Linear(sizes.hidden, sizes.kv_heads * sizes.head_dim)
        self.o_proj = nn.Linear(sizes.heads * sizes.head_dim, sizes.hidden, bias=False)

    def forward(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, rounded: torch.Tensor | None
    ) -> torch.Tensor:
        n, length, _ = x.shape
        q = self.q_proj(x).view(n, length, self.heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(n, length, self.kv_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(n, length, self.kv_heads, self.head_dim).transpose(1, 2)
        q, k = _turn(q, cos, sin), _turn(k, cos, sin)
        if rounded is not None:  # rows that see an int4 cache
            k, v = torch.where(rounded, fake_int4(k), k), torch.where(rounded, fake_int4(v), v)
        k, v = (
            t.expand(n, self.heads, length, self.head_dim)
            if self.kv_heads == 1
            else t.repeat_interleave(self.heads // self.kv_heads, 1)
            for t in (k, v)
        )
        out = F.scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), is_causal=True)
        return self.o_proj(out.transpose(1, 2).reshape(n, length, -1))


class GatedMlp(nn.Module):
    """SwiGLU."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(sizes.hidden, sizes.intermediate, bias=False)
        self.up_proj = nn.Linear(sizes.hidden, sizes.intermediate, bias=False)
        self.down_proj = nn.Linear(sizes.intermediate, sizes.hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class TextLayer(nn.Module):
    """A decoder layer of Qwen2."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.self_attn = Attention(sizes)
        self.mlp = GatedMlp(sizes)
        self.input_layernorm = RMSNorm(sizes.hidden, sizes.eps)
        self.post_attention_layernorm = RMSNorm(sizes.hidden, sizes.eps)

    def forward(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, rounded: torch.Tensor | None
    ) -> torch.Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, rounded)
        return x + self.mlp(self.post_attention_layernorm(x))


class TextTower(nn.Module):
    """Qwen2 without its head, which is tied to ``embed_tokens``."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(sizes.vocabulary, sizes.hidden)
        self.layers = nn.ModuleList(TextLayer(sizes) for _ in range(sizes.layers))
        self.norm = RMSNorm(sizes.hidden, sizes.eps)
        frequency = sizes.rope_theta ** (-torch.arange(0, sizes.head_dim, 2) / sizes.head_dim)
        self.register_buffer("frequency", frequency, persistent=False)

    def forward(self, x: torch.Tensor, rounded: torch.Tensor | None = None) -> torch.Tensor:
        angle = torch.outer(torch.arange(x.shape[1], device=x.device, dtype=torch.float32), self.frequency).repeat(1, 2)
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin, rounded)
        return self.norm(x)


class VisionAttention(nn.Module):
    """Full self-attention of the vision tower."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads = sizes.vision_heads
        self.q_proj, self.k_proj, self.v_proj = (
            nn.Linear(sizes.vision_hidden, sizes.vision_hidden, bias=False) for _ in range(3)
        )
        self.projection_layer = nn.Linear(sizes.vision_hidden, sizes.vision_hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, length, width = x.shape
        q, k, v = (
            p(x).view(n, length, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.projection_layer(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, width))


class VisionMlp(nn.Module):
    """Two layers with GELU."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.fc1 = nn.Linear(sizes.vision_hidden, sizes.vision_intermediate)
        self.fc2 = nn.Linear(sizes.vision_intermediate, sizes.vision_hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class VisionLayer(nn.Module):
    """A layer of InternViT with its learnt scales."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.attention = VisionAttention(sizes)
        self.mlp = VisionMlp(sizes)
        self.layernorm_before = nn.LayerNorm(sizes.vision_hidden, eps=1e-6)
        self.layernorm_after = nn.LayerNorm(sizes.vision_hidden, eps=1e-6)
        self.lambda_1 = nn.Parameter(torch.full((sizes.vision_hidden,), 0.3))
        self.lambda_2 = nn.Parameter(torch.full((sizes.vision_hidden,), 0.3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.lambda_1 * self.attention(self.layernorm_before(x))
        return x + self.lambda_2 * self.mlp(self.layernorm_after(x))


class PatchEmbeddings(nn.Module):
    """Patches of 14 x 14 pixels as vectors."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, sizes.vision_hidden, sizes.patch, sizes.patch)


class VisionEmbeddings(nn.Module):
    """Patch vectors, a class token and learnt positions."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        patches = (sizes.image // sizes.patch) ** 2
        self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.vision_hidden))
        self.position_embeddings = nn.Parameter(torch.randn(1, patches + 1, sizes.vision_hidden) * 0.02)
        self.patch_embeddings = PatchEmbeddings(sizes)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.patch_embeddings.projection(pixels).flatten(2).transpose(1, 2)
        return torch.cat((self.cls_token.expand(len(x), -1, -1).to(x.dtype), x), 1) + self.position_embeddings.to(
            x.dtype
        )


class Projector(nn.Module):
    """From four neighbouring patches to one image token of the text tower."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(4 * sizes.vision_hidden)
        self.linear_1 = nn.Linear(4 * sizes.vision_hidden, sizes.hidden)
        self.linear_2 = nn.Linear(sizes.hidden, sizes.hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear_2(F.gelu(self.linear_1(self.layer_norm(x))))


class Vision(nn.Module):
    """The vision tower: N x 3 x 224 x 224 pixel values to N x 257 x width."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embeddings = VisionEmbeddings(sizes)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(VisionLayer(sizes) for _ in range(sizes.vision_layers))})

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.embeddings(pixels)
        for layer in self.encoder["layer"]:  # type: ignore[union-attr]
            x = layer(x)
        return x


def pixel_shuffle(x: torch.Tensor) -> torch.Tensor:
    """N x 16 x 16 x C to N x 64 x 4C, in InternVL's order."""
    n, width, height, channels = x.shape
    x = x.view(n, width, height // 2, channels * 2).permute(0, 2, 1, 3).contiguous()
    x = x.view(n, height // 2, width // 2, channels * 4).permute(0, 2, 1, 3).contiguous()
    return x.view(n, -1, channels * 4)


class Network(nn.Module):
    """Pictures and text to the text tower's last hidden state."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.vision_tower = Vision(sizes)
        self.multi_modal_projector = Projector(sizes)
        self.language_model = nn.ModuleDict({"model": TextTower(sizes)})
        for name, parameter in self.named_parameters():
            if name.endswith("weight") and parameter.dim() >= 2:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        for tower, depth in (
            (self.text.layers, sizes.layers),
            (self.vision_tower.encoder["layer"], sizes.vision_layers),
        ):
            for name, parameter in tower.named_parameters():  # type: ignore[union-attr]
                if name.endswith(("o_proj.weight", "down_proj.weight", "projection_layer.weight", "fc2.weight")):
                    nn.init.normal_(parameter, std=0.02 / (2 * depth) ** 0.5)

    @property
    def text(self) -> TextTower:
        return self.language_model["model"]  # type: ignore[return-value]

    def image_tokens(self, features: torch.Tensor) -> torch.Tensor:
        """N x 64 x hidden from the vision tower's N x 257 x width."""
        side = self.sizes.image // self.sizes.patch
        return self.multi_modal_projector(pixel_shuffle(features[:, 1:].reshape(len(features), side, side, -1)))

    def forward(
        self,
        ids: torch.Tensor,
        images: torch.Tensor | None = None,
        places: torch.Tensor | None = None,
        rounded: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Hidden states of N x L ids.

        ``images`` are the image tokens of all pictures in order (``image_tokens``), ``places`` where each goes in the
        flattened ids.
        """
        x = self.text.embed_tokens(ids)
        if images is not None:
            flat = x.flatten(0, 1).index_copy(0, places, images.flatten(0, 1).to(x.dtype))
            x = flat.view(x.shape)
        return self.text(x, rounded)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Scores of the next token; the head is the embedding."""
        return F.linear(hidden, self.text.embed_tokens.weight)
