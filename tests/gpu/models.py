"""Checkpoints for a GPU machine: shapes of real models, weights of zeros, a tokenizer that works."""

import shutil
from pathlib import Path

from tests.support.sparse_checkpoints import llama
from tests.support.tiny_models import make_model

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


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
