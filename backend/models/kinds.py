"""Folders that hold something else than a model LMDeploy can serve, recognised and named with what to do.

Judged by names and sizes alone (and a few small files): nothing here reads weights.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from backend.errors import Message, Value
from backend.models.listing import Listing, names_in
from backend.models.weights import foreign_file
from backend.outside_text import Unusable, clean, read_json

HUB_PREFIX = "models--"
WEIGHT_ENDS = (".safetensors", ".safetensors.index.json")
PARTIAL = re.compile(
    r".+\.(incomplete|part|partial|crdownload|aria2|download|downloading|!qb|tmp|____temp)", re.IGNORECASE
)
ARCHIVE = re.compile(r".+\.(zip|tar|tgz|tar\.(gz|bz2|xz|zst)|7z|rar)", re.IGNORECASE)
SPLIT = re.compile(r".+\.(safetensors|bin|tar|zip|gguf)\.(part-?\w+|\d{3}|(?!gz|xz)[a-z]{2})", re.IGNORECASE)
GGML = re.compile(r".+\.gguf|ggml-.+\.bin|.+\.ggml[\w.]*", re.IGNORECASE)
TOKENIZERS = frozenset({
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "merges.txt", "spiece.model",
    "vocab.txt", "tekken.json", "special_tokens_map.json",
})  # fmt: skip
VOCABULARIES = TOKENIZERS - {"tokenizer_config.json", "merges.txt", "special_tokens_map.json"}
SMALL_BYTES = 2_000_000  # a web page, or a pointer, in a file's place
# Formats of other programs, by the ends of their files.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "ONNX": (".onnx",),
    "OpenVINO": ("openvino_model.xml", "openvino_language_model.xml"),
    "TensorFlow": ("tf_model.h5", ".tflite", "saved_model.pb", "model.ckpt.index"),
    "Flax": ("flax_model.msgpack",),
    "Core ML": (".mlpackage", ".mlmodel"),
    "ExecuTorch": (".pte",),
    "TensorRT-LLM": (".engine", ".plan"),
    "RKNN": (".rknn", ".rkllm"),
    "MLC": ("mlc-chat-config.json", "ndarray-cache.json"),
    "CTranslate2": ("shared_vocabulary.json", "shared_vocabulary.txt"),
    "Rust": ("rust_model.ot",),
    "MNN": (".mnn",),
}
TRAINING = re.compile(r"(global_step\d+|optimizer(_?\d*)?\.(pt|bin|pth)|zero_to_fp32\.py|.+\.distcp|scheduler\.pt|"
                      r"checkpoint-\d+|trainer_state\.json|pytorch_model_fsdp.*|(iter|epoch|step)_\d+(\.pth)?|.+\.ckpt|"
                      r"latest_checkpointed_iteration\.txt)")  # fmt: skip
OLLAMA = re.compile(r"sha256[-:][0-9a-f]{8,}")
# Classes that aren't language models: what they put out isn't the next token.
NO_LANGUAGE_MODEL = re.compile(
    r".*(ForMaskedLM|ForSequenceClassification|ForTokenClassification|ForQuestionAnswering|ForImageClassification|"
    r"ForAudioClassification|ForCTC|ForObjectDetection|ForSemanticSegmentation|ForMultipleChoice|ForPreTraining|"
    r"ForNextSentencePrediction|ForDepthEstimation|ForTextEncoding|EncoderModel|VisionModel|TextModel)"
)
ENCODERS = frozenset({
    "BertModel", "RobertaModel", "XLMRobertaModel", "DistilBertModel", "MPNetModel", "DebertaModel", "DebertaV2Model",
    "ElectraModel", "AlbertModel", "NomicBertModel", "NewModel", "ModernBertModel", "CLIPModel", "ChineseCLIPModel",
    "SiglipModel", "Siglip2Model", "ViTModel", "Dinov2Model", "SamModel", "BeitModel", "DetrModel", "BartModel",
    "T5Model", "Wav2Vec2Model", "HubertModel", "WhisperModel", "WhisperForConditionalGeneration",
    "SpeechT5ForTextToSpeech", "VitsModel", "EncodecModel", "TimesFmModel", "ColPali", "JinaBertModel",
})  # fmt: skip


def is_model_folder(names: list[str]) -> bool:
    """A config.json or weights make a folder a model, complete or broken."""
    return "config.json" in names or any(
        name.endswith(WEIGHT_ENDS) and not name.startswith("adapter_") for name in names
    )


def is_whole(names: list[str]) -> bool:
    """Whether a model folder has a config.json and weights: where only one is, it may be a lost file among others."""
    return "config.json" in names and any(name.endswith((*WEIGHT_ENDS, ".bin")) for name in names)


def is_odd_folder(names: list[str]) -> bool:
    """Whether the names tell of something that people take for a model: it is listed, with what to do about it."""
    present = set(names)
    if present & {"adapter_config.json", "model_index.json", "params.json", "mlc-chat-config.json", "tokenizer.json",
               "tokenizer.model", "tokenizer_config.json", "latest_checkpointed_iteration.txt"}:  # fmt: skip
        return True
    return any(
        name.endswith((".onnx", *WEIGHT_ENDS, ".pth", ".distcp", ".mnn", ".ckpt"))
        or name.startswith(("pytorch_model", "tf_model", "flax_model", "openvino_model", "global_step"))
        or GGML.fullmatch(name)
        or PARTIAL.fullmatch(name)
        or ARCHIVE.fullmatch(name)
        or SPLIT.fullmatch(name)
        for name in names
        if not name.startswith(".")
    )


def without_weights(listing: Listing) -> Message | None:
    """What a folder without usable weights, or without config.json, is instead; None where nothing tells."""
    path = listing.path
    names = list(listing.entries)
    about: dict[str, Value] = {"path": str(path)}

    def first(pattern: re.Pattern[str]) -> str:
        return next((name for name in names if pattern.fullmatch(name)), "")

    if "adapter_config.json" in listing.entries:
        return Message("models.adapter", {**about, "base": adapter_base(path)})
    if listing.is_file("model_index.json"):
        return Message("models.diffusers", about)
    if gguf := [name for name in names if GGML.fullmatch(name)]:
        return Message("models.gguf", {**about, "file": gguf[0]})
    if dangling := [name for name in listing.of_kind("dangling") if _matters(name)]:
        return dangling_links(listing, dangling)
    if partial := first(PARTIAL) or _partial_below(path, names):
        return Message("models.half-download", {**about, "file": partial})
    if part := first(SPLIT):
        return Message("models.split-file", {**about, "file": part, "whole": part.rsplit(".", 1)[0]})
    if "params.json" in listing.entries and any(name.startswith(("consolidated", "tokenizer.model")) for name in names):
        return Message("models.original-format", about)
    for form, ends in FORMATS.items():
        file = next((name for name in names if name.endswith(ends)), "") or _format_below(path, names, ends)
        if file:
            return Message("models.other-format", {**about, "format": form, "file": file})
    if ("manifests" in names and "blobs" in names) or any(OLLAMA.fullmatch(name) for name in names):
        return Message("models.ollama", about)
    if ("triton_models" in names or "weights" in names) and not listing.is_file("config.json"):
        return Message("models.turbomind-workspace", about)
    if training := first(TRAINING):
        return Message("models.training-checkpoint", {**about, "file": training})
    if archive := first(ARCHIVE):
        return Message("models.archive", {**about, "file": archive})
    if inner := model_below(listing):
        return Message("models.nested", {**about, "inner": str(path / inner)})
    if "config.json" not in listing.entries and TOKENIZERS & set(names):
        return Message("models.tokenizer-only", about)
    return None


def file_alone(file: Path) -> Message | None:
    """What is to be said of one file that is given as the model; None where its folder may be one."""
    about: dict[str, Value] = {"path": clean(str(file.parent)), "file": clean(file.name)}
    if GGML.fullmatch(file.name):
        return Message("models.gguf", about, "model")
    return Message("models.archive", about, "model") if ARCHIVE.fullmatch(file.name) else None


def wrong_architecture(listing: Listing, architecture: str, known: frozenset[str]) -> Message | None:
    """A model that isn't a language model: an encoder, an embedding model; None for one that generates text.

    What LMDeploy itself lists (``known``) isn't judged by its class, only by what its author says it is for.
    """
    about: dict[str, Value] = {"path": str(listing.path), "architecture": architecture}
    if "modules.json" in listing.entries and (
        "config_sentence_transformers.json" in listing.entries or "1_Pooling" in listing.entries
    ):
        return Message("models.embedding", about)
    if architecture not in known and (architecture in ENCODERS or NO_LANGUAGE_MODEL.fullmatch(architecture)):
        return Message("models.not-generating", about)
    return None


def dangling_links(listing: Listing, names: list[str]) -> Message:
    """Links that lead to nothing; a hub's snapshot copied without its blobs is named as such."""
    target = ""
    for name in names:
        try:
            target = os.readlink(listing.path / name)
            break
        except OSError:
            continue
    params: dict[str, Value] = {
        "path": str(listing.path), "count": len(names), "files": ", ".join(names[:3]), "target": clean(target)
    }  # fmt: skip
    blobs = "blobs" in Path(target).parts
    return Message("models.snapshot-without-blobs" if blobs else "models.dangling-links", params)


def stands_for_another(listing: Listing) -> Message | None:
    """Small files that aren't what their names say: Git LFS pointers, and web pages saved in a file's place."""
    for entry in listing.files():
        small = entry.size < 1024 and entry.name.endswith((".safetensors", ".bin", ".model", ".gguf", ".pt", ".json"))
        saved = entry.name == "config.json" or (
            entry.size < 2_000_000 and entry.name.endswith((".safetensors", ".bin"))
        )
        if (small or saved) and (found := foreign_file(listing.path / entry.name)):
            return found
    return None


def still_coming(listing: Listing) -> Message | None:
    """aria2 gives a file its whole length at once and keeps beside it what is missing, as long as something is."""
    names = listing.entries
    file = next((name for name in names if name.endswith(".aria2") and name.removesuffix(".aria2") in names), "")
    return Message("models.half-download", {"path": str(listing.path), "file": file}) if file else None


def tokenizer_elsewhere(listing: Listing) -> Message | None:
    """Weights are there, and the tokenizer's files are links to nothing, LFS pointers or web pages: every server ends
    with that, minutes later. A link that another file stands in for doesn't count."""
    dangling = [name for name in listing.of_kind("dangling") if name in TOKENIZERS]
    if dangling and ("tokenizer_config.json" in dangling or not any(map(listing.is_file, VOCABULARIES))):
        return dangling_links(listing, dangling)
    for name in sorted(TOKENIZERS | {"generation_config.json", "chat_template.jinja"}):
        small = listing.is_file(name) and listing.entries[name].size < SMALL_BYTES
        if small and (found := foreign_file(listing.path / name)):
            return found
    return None


def model_below(listing: Listing) -> str:
    """The name of the only kind of folder in it that is a model: people often give the folder above."""
    folders = [name for name in listing.of_kind("folder") if not name.startswith(".")][:50]
    return next((name for name in folders if is_model_folder(names_in(listing.path / name))), "")


def adapter_base(path: Path) -> str:
    """The model that LoRA weights belong to, as their own config says."""
    try:
        value = read_json(path / "adapter_config.json").value
    except Unusable:
        return "?"
    base = value.get("base_model_name_or_path") if isinstance(value, Mapping) else None
    return clean(base) if isinstance(base, str) and base else "?"


def _matters(name: str) -> bool:
    return name == "config.json" or name in TOKENIZERS or name.endswith((*WEIGHT_ENDS, ".bin", ".gguf"))


def _partial_below(path: Path, names: list[str]) -> str:
    """`hf download --local-dir` keeps what is on its way in .cache/huggingface/download, a hub's cache in blobs,
    ModelScope in ._____temp."""
    for folder in (".cache/huggingface/download", "blobs", "._____temp", "temp"):
        if folder.split("/", 1)[0] in names:
            inside = names_in(path / folder)
            if folder == "._____temp" and inside:
                return f"{folder}/{inside[0]}"
            if found := next((name for name in inside if PARTIAL.fullmatch(name)), ""):
                return f"{folder}/{found}"
    return ""


def _format_below(path: Path, names: list[str], ends: tuple[str, ...]) -> str:
    """ONNX models often stand in a folder of that name."""
    if "onnx" not in names or ".onnx" not in ends:
        return ""
    return next((f"onnx/{name}" for name in names_in(path / "onnx") if name.endswith(ends)), "")
