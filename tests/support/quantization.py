"""Models, environments and settings for the tests of quantization."""

from pathlib import Path
from typing import Any

from backend.machine.machine import Environment, Gpu, Machine
from backend.models.checkpoint import ModelInfo, TensorInfo, read_model, read_tensors
from backend.quantization.base import QuantConfig
from tests.support.tiny_models import fake_model

GIB = 1 << 30
CONSOLE = Environment("console", "console", Path("/opt/console/bin/python"), "console", "0.18.0", "5.23.0", "2.12.1")
INTERNLM2 = Environment("old", "internlm2", Path("/opt/old/bin/python"), "internlm2", "0.18.0", "4.57.6", "2.12.1")
GPU = Gpu("0", "GPU-0", "NVIDIA A100", 24 * GIB, 20 * GIB)
LAPTOP = Machine((), "", "", (CONSOLE, INTERNLM2))


def llama(hidden: int = 2048, inner: int = 8192, layers: int = 24, kv: int = 1024, vocabulary: int = 92544) -> Any:
    """Tensors of a Llama-like model, by default of InternLM2.5-1.8B's sizes."""
    tensors: dict[str, tuple[str, list[int]]] = {
        "model.embed_tokens.weight": ("BF16", [vocabulary, hidden]),
        "model.norm.weight": ("BF16", [hidden]),
        "lm_head.weight": ("BF16", [vocabulary, hidden]),
    }
    for layer in range(layers):
        at = f"model.layers.{layer}."
        for name, rows, columns in (
            ("self_attn.q_proj", hidden, hidden), ("self_attn.k_proj", kv, hidden), ("self_attn.v_proj", kv, hidden),
            ("self_attn.o_proj", hidden, hidden), ("mlp.gate_proj", inner, hidden), ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ):  # fmt: skip
            tensors[f"{at}{name}.weight"] = ("BF16", [rows, columns])
        tensors[f"{at}input_layernorm.weight"] = ("BF16", [hidden])
        tensors[f"{at}post_attention_layernorm.weight"] = ("BF16", [hidden])
    return tensors


def model_at(folder: Path, **config: Any) -> tuple[ModelInfo, tuple[TensorInfo, ...]]:
    """A hollow model of 1.9 B parameters, with a tokenizer."""
    values = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048, "num_attention_heads": 16,
        "num_hidden_layers": 24, "max_position_embeddings": 32768, "torch_dtype": "bfloat16",
    }  # fmt: skip
    fake_model(folder, values | config, llama())
    (folder / "tokenizer.json").write_text("{}")
    return read_model(folder), read_tensors(folder)


def config_for(folder: Path, **changes: Any) -> QuantConfig:
    """Settings that quantize that model beside itself, on the CPU."""
    return QuantConfig(**({"model": str(folder), "output": str(folder.parent / "out")} | changes))


def native_internvl(inner: str = "qwen2") -> dict[str, Any]:
    """The config of a transformers-native InternVL with that text model."""
    text = {"model_type": inner, "hidden_size": 2048, "num_attention_heads": 16}
    return {"architectures": ["InternVLForConditionalGeneration"], "vision_config": {}, "text_config": text}
