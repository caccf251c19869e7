"""The shipped folder: its sizes and what the engines want of it."""

import json
from pathlib import Path

FOLDER = Path(__file__).parents[4] / "assets" / "demo_model"


def test_files_are_small() -> None:
    files = [f for f in FOLDER.iterdir() if f.is_file()]
    assert max(f.stat().st_size for f in files) <= 15_000_000
    assert sum(f.stat().st_size for f in files) <= 36_000_000


def test_shape_suits_kv_int4_and_group_size_128() -> None:
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    text = config["text_config"]
    assert config["architectures"] == ["InternVLForConditionalGeneration"]
    assert text["architectures"] == ["Qwen2ForCausalLM"]
    assert text["head_dim"] == 128
    assert text["hidden_size"] % 128 == text["intermediate_size"] % 128 == 0
    assert config["tie_word_embeddings"] is text["tie_word_embeddings"] is True
    assert config["dtype"] == "bfloat16"


def test_one_tile_for_every_picture() -> None:
    processor = json.loads((FOLDER / "preprocessor_config.json").read_text(encoding="utf-8"))
    assert processor["max_patches"] == 1
