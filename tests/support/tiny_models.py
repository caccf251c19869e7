"""Tiny checkpoints for the tests: real ones made by transformers in a child process, and hollow ones without torch.

Every size that is quantized is a multiple of 128, so that `lmdeploy lite auto_awq` with its group size of 128 takes
them. The weights are random: the answers are gibberish, but tokens, pictures, streams and files are real.
"""

import hashlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

DEADLINE_S = 300.0
BYTES = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4, "U32": 4, "U8": 1, "I8": 1, "F8_E4M3": 1}

Tensors = Mapping[str, tuple[str, Sequence[int]]]


def make_model(kind: str, folder: Path) -> Path:
    """A real checkpoint with tokenizer and chat template: ``kind`` "qwen2" (text) or "internvl" (text and pictures).

    It is made by this file in a child process, since torch doesn't belong into the tests' own; a finished folder is
    left as it is.
    """
    if (folder / "config.json").exists():
        return folder
    from tests.support.shelf import made_once  # not at the top: as a script this file knows no package

    depends = hashlib.sha256(Path(__file__).read_bytes() + version("transformers").encode()).hexdigest()[:12]

    def make(half: Path) -> None:
        child = subprocess.run(
            [sys.executable, __file__, kind, str(half)],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        if child.returncode != 0:
            raise RuntimeError(f"no {kind} model:\n{child.stderr}")

    return made_once(f"{kind}-{depends}", make, folder)


def fake_model(
    folder: Path,
    config: Mapping[str, Any] | None = None,
    tensors: Tensors | None = None,
    shards: int = 1,
) -> Path:
    """A folder that reads like a checkpoint: config.json, and safetensors files whose data are holes in the file.

    By default a Qwen2 of one layer. ``tensors`` maps names to (dtype, shape). Several ``shards`` have an index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(QWEN2 if config is None else config), encoding="utf-8")
    tensors = QWEN2_TENSORS if tensors is None else tensors
    if shards == 1:
        write_safetensors(folder / "model.safetensors", tensors)
        return folder
    names = list(tensors)
    files = {name: f"model-{1 + i % shards:05}-of-{shards:05}.safetensors" for i, name in enumerate(names)}
    for file in sorted(set(files.values())):
        write_safetensors(folder / file, {name: tensors[name] for name in names if files[name] == file})
    index = {"metadata": {}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def write_safetensors(file: Path, tensors: Tensors) -> None:
    """A safetensors file of zeros: the header, and a hole as long as the data, which takes no disk."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        size = BYTES[dtype]
        for length in shape:
            size *= length
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + end)


QWEN2: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 1024,
    "max_position_embeddings": 4096,
    "torch_dtype": "bfloat16",
}
QWEN2_TENSORS: dict[str, tuple[str, Sequence[int]]] = {
    "model.embed_tokens.weight": ("BF16", (1024, 256)),
    "model.layers.0.self_attn.q_proj.weight": ("BF16", (256, 256)),
    "model.layers.0.self_attn.k_proj.weight": ("BF16", (128, 256)),
    "model.layers.0.self_attn.v_proj.weight": ("BF16", (128, 256)),
    "model.layers.0.self_attn.o_proj.weight": ("BF16", (256, 256)),
    "model.layers.0.mlp.gate_proj.weight": ("BF16", (512, 256)),
    "model.layers.0.mlp.up_proj.weight": ("BF16", (512, 256)),
    "model.layers.0.mlp.down_proj.weight": ("BF16", (256, 512)),
    "lm_head.weight": ("BF16", (1024, 256)),
}

TEXT: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 4096,
}
CHAT_TEMPLATE = (
    "{%- for message in messages -%}<|im_start|>{{ message['role'] }}\n"
    "{%- if message['content'] is string -%}{{ message['content'] }}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}<IMG_CONTEXT>\n{%- else -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}<|im_end|>\n{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)
SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>",
)  # fmt: skip
CORPUS = (
    "A fox found a watermelon at the edge of the field and rolled it home to share with everyone.",
    "狐狸在田边发现了一个西瓜，把它滚回家与大家分享。",
    "The quick brown fox jumps over the lazy dog. 0123456789 (3 + 5) * 2 = 16.",
)


def _tokenizer(folder: Path) -> Any:
    """A byte-level BPE tokenizer trained on a few lines, in Qwen2's layout."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen2TokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=1000, initial_alphabet=alphabet))
    folder.mkdir(parents=True, exist_ok=True)
    model = json.loads(raw.to_str())["model"]
    tokenizer = Qwen2TokenizerFast(
        vocab=model["vocab"],
        merges=[tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in model["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS),
        model_max_length=TEXT["max_position_embeddings"],
        extra_special_tokens={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


def _ids(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "torch_dtype": "float32",
    }


def _make_qwen2(folder: Path) -> None:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    tokenizer = _tokenizer(folder)
    Qwen2ForCausalLM(Qwen2Config(**TEXT, **_ids(tokenizer), tie_word_embeddings=False)).save_pretrained(folder)


def _make_internvl(folder: Path) -> None:
    import torch
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    torch.manual_seed(0)
    tokenizer = _tokenizer(folder)
    side, patch = 56, 14
    vision = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": [side, side],
        "patch_size": [patch, patch],
    }
    config = InternVLConfig(
        vision_config=vision,
        text_config={"model_type": "qwen2", **TEXT, **_ids(tokenizer), "tie_word_embeddings": False,
                     "architectures": ["Qwen2ForCausalLM"]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=(side // patch) ** 2 // 4,
        tie_word_embeddings=False,
    )  # fmt: skip
    InternVLForConditionalGeneration(config).save_pretrained(folder)
    size = {"height": side, "width": side}
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=size, min_patches=1, max_patches=1, crop_to_patches=True),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=size),
        image_seq_length=(side // patch) ** 2 // 4,
        chat_template=CHAT_TEMPLATE,
    )
    processor.save_pretrained(folder)


if __name__ == "__main__":
    {"qwen2": _make_qwen2, "internvl": _make_internvl}[sys.argv[1]](Path(sys.argv[2]))
