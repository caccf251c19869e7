"""The text model of a transformers-native vision model, taken out to be quantized and put back afterwards.

usage: text_tower.py extract MODEL OUT
       text_tower.py merge MODEL QUANTIZED OUT

LMDeploy's auto_awq refuses InternVLForConditionalGeneration, but not the Qwen2, Qwen3 or Llama inside. ``extract``
writes that as a checkpoint of its own. ``merge`` writes MODEL again with the quantized text model, all in one dtype.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ARCHITECTURES = {"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM"}
# A tensor's name in the vision model and in the text model alone; the first prefix that fits counts. The second pair of
# names is how transformers itself writes the newer layout.
PREFIXES = (
    ("language_model.model.", "model."),
    ("language_model.lm_head.", "lm_head."),
    ("model.language_model.", "model."),
    ("lm_head.", "lm_head."),
)
# What isn't quantized, as transformers and LMDeploy's PyTorch engine want it named.
UNCONVERTED = ["vision_tower", "multi_modal_projector", "lm_head"]
_SHARD_BYTES = 4 << 30
_NOT_COPIED = (".safetensors", ".bin", ".index.json", ".pth")
_VISION_FILES = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")


def text_name(name: str) -> "str | None":
    """The tensor's name in the text model alone, or None for one of the vision part."""
    for whole, text in PREFIXES:
        if name.startswith(whole):
            return text + name[len(whole) :]
    return None


def whole_name(name: str, known: "set[str]") -> str:
    """The tensor's name in the vision model whose tensors are ``known``: the inverse of text_name."""
    newer = any(n.startswith("model.language_model.") for n in known)
    for whole, text in PREFIXES[2:] if newer else PREFIXES[:2]:
        if name.startswith(text):
            return whole + name[len(text) :]
    raise ValueError(f"unexpected tensor {name}")


def extract(model: Path, out: Path) -> None:
    """Write the text model of ``model`` as a checkpoint to ``out``."""
    config = _read(model / "config.json")
    text = dict(config["text_config"])
    names = {name for name, _ in _names(model)}
    text["architectures"] = [ARCHITECTURES[text["model_type"]]]
    # What is in the file counts: a head of its own means untied.
    text["tie_word_embeddings"] = not any((text_name(n) or "").startswith("lm_head.") for n in names)
    for key in ("dtype", "torch_dtype"):
        if key in config:
            text[key] = config[key]
    _copy_files(model, out, leave=("config.json", *_VISION_FILES))
    _write(out / "config.json", text)
    inside = ((text_name(name), file, name) for name, file in _names(model))
    _save(((inner, file, name) for inner, file, name in inside if inner is not None), out, dtype="")


def merge(model: Path, quantized: Path, out: Path) -> None:
    """Write ``model`` to ``out`` with its text model replaced by the one in ``quantized``."""
    config, text = _read(model / "config.json"), _read(quantized / "config.json")
    dtype = text.get("dtype") or text.get("torch_dtype") or "float16"
    quantization = dict(text["quantization_config"], modules_to_not_convert=UNCONVERTED)
    parts = [config, config["text_config"], *([config["vision_config"]] if "vision_config" in config else [])]
    for part in parts:
        part.update({key: dtype for key in ("dtype", "torch_dtype") if key in part})
    config["dtype"] = dtype
    config["quantization_config"] = config["text_config"]["quantization_config"] = quantization
    names = {name for name, _ in _names(model)}
    _copy_files(model, out, leave=("config.json",))
    _write(out / "config.json", config)

    def tensors() -> "Iterator[tuple[str, Path, str]]":
        for name, file in _names(model):
            if text_name(name) is None:
                yield name, file, name
        for name, file in _names(quantized):
            yield whole_name(name, names), file, name

    _save(tensors(), out, dtype)


def _names(folder: Path) -> "Iterator[tuple[str, Path]]":
    """Every tensor's name with its file, file by file."""
    from safetensors import safe_open

    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 (not a mapping)
                yield name, file


def _save(tensors: "Iterator[tuple[str, Path, str]]", out: Path, dtype: str) -> None:
    """Write ``(name, file, name in the file)`` in shards of some 4 GiB; ``dtype`` "" keeps what it is."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    pending: dict[str, Any] = {}
    shards: list[tuple[Path, list[str]]] = []
    size = total = 0

    def flush() -> None:
        nonlocal size
        shard = out / f"shard-{len(shards)}"
        save_file(pending, shard, metadata={"format": "pt"})
        shards.append((shard, list(pending)))
        pending.clear()
        size = 0
        print(f"wrote {len(shards)} files", flush=True)

    opened_file: Path | None = None
    opened: Any = None
    for name, file, source in tensors:
        if file != opened_file:
            opened_file, opened = file, safe_open(file, framework="pt")
        tensor = opened.get_tensor(source)
        if dtype and tensor.is_floating_point():
            tensor = tensor.to(getattr(torch, dtype))
        pending[name] = tensor.contiguous()
        size += tensor.nbytes
        total += tensor.nbytes
        if size >= _SHARD_BYTES:
            flush()
    if pending:
        flush()
    if len(shards) == 1:
        shards[0][0].rename(out / "model.safetensors")
        return
    where = {}
    for number, (shard, names) in enumerate(shards, 1):
        file_name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        shard.rename(out / file_name)
        where.update(dict.fromkeys(names, file_name))
    _write(out / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": where})


def _copy_files(model: Path, out: Path, leave: "tuple[str, ...]") -> None:
    """Everything but weights: tokenizer, chat template, processor, generation settings."""
    out.mkdir(parents=True)
    for file in model.iterdir():
        if file.is_file() and file.name not in leave and not file.name.endswith(_NOT_COPIED):
            shutil.copy(file, out / file.name)


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: "list[str]") -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, folders in (("extract", ("model", "out")), ("merge", ("model", "quantized", "out"))):
        command = commands.add_parser(name)
        for folder in folders:
            command.add_argument(folder, type=Path)
    given = parser.parse_args(arguments)
    if given.command == "extract":
        extract(given.model, given.out)
    else:
        merge(given.model, given.quantized, given.out)


if __name__ == "__main__":
    main(sys.argv[1:])
