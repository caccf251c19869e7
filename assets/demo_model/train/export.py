"""Write the trained model as a transformers checkpoint: bfloat16 safetensors in small files, config, tokenizer, chat template.

python -m train.export --checkpoint /tmp/train/checkpoint.pt --out ..
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from . import dialogue
from .network import TINY, Sizes

LIMIT = 14_500_000  # bytes a weights file may have
HERE = Path(__file__).parent

RESPONSE = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "tool_calls": {
            "open_pattern": r"\s*<tool_call>",
            "close": "</tool_call>",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close_pattern": r"\s*(?:<\|im_end\|>|<\|endoftext\|>)", "content": "text"},
    },
}


def config(sizes: Sizes, tokens: dict[str, int]) -> dict[str, object]:
    """config.json of an InternVLForConditionalGeneration."""
    end, pad = tokens[dialogue.END], tokens[dialogue.PAD]
    return {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": "internvl",
        "dtype": "bfloat16",
        "image_token_id": tokens[dialogue.IMAGE],
        "image_seq_length": dialogue.IMAGE_TOKENS,
        "downsample_ratio": 0.5,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": pad,
        "text_config": {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "dtype": "bfloat16",
            "vocab_size": sizes.vocabulary,
            "hidden_size": sizes.hidden,
            "intermediate_size": sizes.intermediate,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "num_key_value_heads": sizes.kv_heads,
            "head_dim": sizes.head_dim,
            "hidden_act": "silu",
            "max_position_embeddings": 4096,
            "rms_norm_eps": sizes.eps,
            "rope_theta": sizes.rope_theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": sizes.rope_theta},
            "attention_dropout": 0.0,
            "use_cache": True,
            "use_sliding_window": False,
            "initializer_range": 0.02,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": end,
            "pad_token_id": pad,
        },
        "vision_config": {
            "architectures": ["InternVLVisionModel"],
            "model_type": "internvl_vision",
            "dtype": "bfloat16",
            "hidden_size": sizes.vision_hidden,
            "intermediate_size": sizes.vision_intermediate,
            "num_hidden_layers": sizes.vision_layers,
            "num_attention_heads": sizes.vision_heads,
            "attention_bias": False,
            "hidden_act": "gelu",
            "image_size": [sizes.image, sizes.image],
            "patch_size": [sizes.patch, sizes.patch],
            "num_channels": 3,
            "layer_norm_eps": 1e-6,
            "layer_scale_init_value": 0.1,
            "norm_type": "layer_norm",
            "use_absolute_position_embeddings": True,
            "use_mask_token": False,
            "use_mean_pooling": True,
            "use_qk_norm": False,
            "attention_dropout": 0.0,
            "hidden_dropout_prob": 0.0,
            "projection_dropout": 0.0,
            "initializer_range": 0.02,
        },
    }


def write_json(path: Path, value: object) -> None:
    """``value`` as readable JSON."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_weights(state: dict[str, torch.Tensor], out: Path) -> None:
    """bfloat16 safetensors, each file under LIMIT bytes, with an index."""
    shards: list[dict[str, torch.Tensor]] = [{}]
    used = 0
    for name, tensor in state.items():
        tensor = tensor.to(torch.bfloat16).contiguous()
        if used + tensor.nbytes > LIMIT:
            shards.append({})
            used = 0
        shards[-1][name] = tensor
        used += tensor.nbytes
    for old in out.glob("model*.safetensors*"):
        old.unlink()
    names = (
        ["model.safetensors"]
        if len(shards) == 1
        else [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    )
    for name, shard in zip(names, shards, strict=True):
        save_file(shard, out / name, metadata={"format": "pt"})
    if len(shards) > 1:
        total = sum(t.nbytes for shard in shards for t in shard.values())
        write_json(
            out / "model.safetensors.index.json",
            {
                "metadata": {"total_size": total},
                "weight_map": {n: name for name, shard in zip(names, shards, strict=True) for n in shard},
            },
        )


def mean_with(state: dict[str, torch.Tensor], folder: Path) -> dict[str, torch.Tensor]:
    """Halfway between these weights and the checkpoint in ``folder`` that their training began with.

    What a short further training teaches mostly stays; what it harms elsewhere mostly doesn't (Wortsman et al. 2022,
    arXiv:2109.01903).
    """
    before = {k: v for file in folder.glob("*.safetensors") for k, v in load_file(file).items()}
    return {name: (tensor + before[name].float()) / 2 for name, tensor in state.items()}


def write_rest(sizes: Sizes, tokenizer: Path, out: Path) -> None:
    """Everything but the weights."""
    if tokenizer.resolve() != (out / "tokenizer.json").resolve():
        shutil.copy(tokenizer, out / "tokenizer.json")
    tokens = {t: i for i, t in enumerate(dialogue.SPECIAL)}
    write_json(out / "config.json", config(sizes, tokens))
    write_json(
        out / "generation_config.json",
        {
            "bos_token_id": None,
            "eos_token_id": tokens[dialogue.END],
            "pad_token_id": tokens[dialogue.PAD],
            "do_sample": True,
            "temperature": 0.7,
            "top_p": 0.8,
            "max_new_tokens": 1024,
        },
    )
    template = (HERE / "chat_template.jinja").read_text(encoding="utf-8")
    (out / "chat_template.jinja").write_text(template, encoding="utf-8")
    write_json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2Tokenizer",
            "model_max_length": 4096,
            "bos_token": None,
            "eos_token": dialogue.END,
            "pad_token": dialogue.PAD,
            "unk_token": None,
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "errors": "replace",
            "padding_side": "left",
            "extra_special_tokens": {
                "start_image_token": dialogue.IMAGE_START,
                "end_image_token": dialogue.IMAGE_END,
                "context_image_token": dialogue.IMAGE,
                "video_token": "<video>",
            },
            "start_image_token": dialogue.IMAGE_START,
            "end_image_token": dialogue.IMAGE_END,
            "context_image_token": dialogue.IMAGE,
            "video_token": "<video>",
            "processor_class": "InternVLProcessor",
            "response_template": RESPONSE,
        },
    )
    # One tile of 224 x 224 for every picture: never several, whatever a server's defaults are.
    picture = {
        "crop_to_patches": False,
        "min_patches": 1,
        "max_patches": 1,
        "do_convert_rgb": True,
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"height": sizes.image, "width": sizes.image},
    }
    write_json(
        out / "preprocessor_config.json",
        {"image_processor_type": "GotOcr2ImageProcessorFast", "processor_class": "InternVLProcessor"} | picture,
    )
    write_json(
        out / "processor_config.json",
        {"processor_class": "InternVLProcessor", "image_seq_length": dialogue.IMAGE_TOKENS},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, default=HERE.parent / "tokenizer.json")
    parser.add_argument("--out", type=Path, default=HERE.parent)
    parser.add_argument("--mean-with", type=Path, help="write the mean with the checkpoint in this folder")
    parser.add_argument("--tiny", action="store_true")
    a = parser.parse_args()
    sizes = TINY if a.tiny else Sizes()
    saved = torch.load(a.checkpoint, map_location="cpu", weights_only=False)
    a.out.mkdir(parents=True, exist_ok=True)
    network = mean_with(saved["network"], a.mean_with) if a.mean_with else saved["network"]
    write_weights(network, a.out)
    write_rest(sizes, a.tokenizer, a.out)
    print(
        f"step {saved['step']}: {sum(t.numel() for t in saved['network'].values()) / 1e6:.2f} M parameters, {sum(f.stat().st_size for f in a.out.iterdir() if f.is_file()) / 1e6:.1f} MB in {a.out}; {asdict(sizes)}"
    )


if __name__ == "__main__":
    main()
