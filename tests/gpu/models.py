"""Checkpoints for a GPU machine: shapes of real models, weights of zeros, a tokenizer that works."""

import json
import shutil
import struct
from pathlib import Path

from tests.support.sparse_checkpoints import llama
from tests.support.tiny_models import make_model

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
WORD = 5  # "&" in that tokenizer
LIKELIER = 2.0  # the logit of WORD; all others are 0, so the perplexity stays the vocabulary's size
BITS = {"BF16": lambda value: struct.pack("<f", value)[2:], "F16": lambda value: struct.pack("<e", value)}


def servable(
    folder: Path, shape: tuple[int, int, int, int, int, int], awq: bool = False, tied: bool = False, head_dim: int = 0
) -> Path:
    """A Llama-shaped model that a server loads; what it takes of a GPU depends on its shapes alone."""
    small = make_model("qwen2", folder.parent / "tokenizer")
    llama(folder, shape, awq=awq, tied=tied, head_dim=head_dim)
    for name in TOKENIZER:
        if (small / name).exists():
            shutil.copy(small / name, folder)
    return folder


def speaking(folder: Path) -> Path:
    """That model, made to answer WORD for ever: of zeros alone any token is as likely, and most have no text.

    Embeddings and the last norm are ones, so every hidden state is; WORD's row of the head is LIKELIER / hidden size.
    """
    with (folder / "model.safetensors").open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        for name, rows in (("model.embed_tokens.weight", None), ("model.norm.weight", None), ("lm_head.weight", WORD)):
            about = header[name]
            begin = 8 + length + about["data_offsets"][0]
            if rows is None:
                file.seek(begin)
                one = BITS[about["dtype"]](1.0)
                left = about["data_offsets"][1] - about["data_offsets"][0]
                while left:
                    part = min(left, 64 << 20)
                    file.write(one * (part // len(one)))
                    left -= part
            else:
                hidden = about["shape"][1]
                value = BITS[about["dtype"]](LIKELIER / hidden)
                file.seek(begin + rows * hidden * len(value))
                file.write(value * hidden)
    return folder
