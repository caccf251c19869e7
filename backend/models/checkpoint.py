"""A checkpoint on disk, read from config.json and the safetensors headers without torch.

The header of a safetensors file is 8 bytes (its length, little-endian) and that many bytes of JSON: name → dtype, shape
and the offsets of the data, which begins after the header (https://github.com/huggingface/safetensors, "Format").
"""

import json
import math
import os
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from backend.errors import InvalidInput, Message, Value

HEADER_LIMIT_BYTES = 100_000_000  # safetensors' own limit
JSON_LIMIT_BYTES = 64_000_000

# Architectures whose repositories carry their own code (auto_map) although transformers has a class for them.
NATIVE_WITH_AUTO_MAP = frozenset({
    "CohereForCausalLM", "DbrxForCausalLM", "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "FalconForCausalLM",
    "GPTBigCodeForCausalLM", "Glm4MoeForCausalLM", "GlmForCausalLM", "GraniteForCausalLM", "MixtralForCausalLM",
    "Olmo2ForCausalLM", "OlmoForCausalLM", "Phi3ForCausalLM", "PhiForCausalLM", "PhimoeForCausalLM",
    "Qwen2ForCausalLM", "StableLmForCausalLM", "Starcoder2ForCausalLM",
})  # fmt: skip
# Where a vision model's config.json keeps its text model.
TEXT_CONFIGS = ("text_config", "llm_config", "language_config")
CONTEXT_KEYS = ("max_position_embeddings", "seq_length", "n_positions", "max_sequence_length", "model_max_length")
DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
ELEMENT_BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "I16": 2, "U16": 2}
MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
# Beside a quantized layer's packed weights: how to unpack them. They are no parameters of the model.
UNPACKING = (
    ".qzeros", ".scales", ".g_idx", ".weight_scale", ".weight_scale_inv", ".weight_zero_point", ".weight_shape",
    ".weight_g_idx", ".input_scale", ".absmax", ".nested_absmax", ".quant_map", ".nested_quant_map",
    ".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4",
)  # fmt: skip


@dataclass(frozen=True)
class TensorInfo:
    """One tensor, as its header says. ``dtype`` is safetensors' name: BF16, F16, I32, …"""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True)
class ModelInfo:
    """What a model folder holds. ``problem`` is set for a broken folder, and what could be read stands beside it.

    ``path`` is the folder as it was found (symlinks kept), ``name`` the folder's or the hub repository's name.
    ``quantization`` is "" or the method's name in config.json ("awq", "gptq", "fp8" …), ``group_size`` 0 where it has
    none. ``size_bytes`` is all files of the folder. ``parameters`` counts packed weights as what they stand for; 0 =
    unknown (no safetensors). ``context_length`` in tokens. ``text`` is the text model's part of config.json (the whole
    of it for a text-only model). ``head_dim`` 0 = unknown. ``needs_remote_code``: the classes are the repository's own;
    ``own_tokenizer``: so is its tokenizer, and there is no tokenizer.json to use in its place.
    """

    path: Path
    name: str
    architecture: str
    text_architecture: str
    parameters: int
    dtype: str
    quantization: str
    group_size: int
    size_bytes: int
    context_length: int
    takes_images: bool
    needs_remote_code: bool
    head_dim: int
    config: Mapping[str, Any]
    text: Mapping[str, Any]
    problem: Message | None = None
    own_tokenizer: bool = False


def read_model(path: Path, name: str = "") -> ModelInfo:
    """What the folder holds; never raises: what is wrong with it stands in ``problem``."""
    config: dict[str, Any] = {}
    size_bytes = parameters = 0
    sizes: Counter[str] = Counter()
    problem: Message | None = None
    try:
        size_bytes = _folder_bytes(path)
        config = _read_config(path)
        parameters, sizes = _summarize(path, _quantization(config))
    except InvalidInput as error:
        problem = error.messages[0]
    text = text_config(config)
    architecture = _architecture(config)
    quantization = _quantization(config)
    return ModelInfo(
        path=path,
        name=name or path.name,
        architecture=architecture,
        text_architecture=_architecture(text) or architecture,
        parameters=parameters,
        dtype=_dtype(config, text, sizes),
        quantization=str(quantization.get("quant_method", "")),
        group_size=_group_size(quantization),
        size_bytes=size_bytes,
        context_length=next((n for key in CONTEXT_KEYS if (n := _whole(text.get(key)))), 0),
        takes_images=isinstance(config.get("vision_config"), dict) or "visual" in config,
        needs_remote_code=_needs_remote_code(config, architecture),
        head_dim=_head_dim(text),
        config=config,
        text=text,
        problem=problem,
        own_tokenizer=_needs_remote_code(config, architecture) and _own_tokenizer(path),
    )


def read_tensors(path: Path) -> tuple[TensorInfo, ...]:
    """Every tensor of the folder's safetensors files, from their headers.

    A folder with only ``*.bin`` weights gives (). Raises InvalidInput for missing weights, a missing or truncated
    shard, a header that isn't one, and a file that can't be read.
    """
    tensors: list[TensorInfo] = []
    for file in _weight_files(path):
        try:
            for name, entry in _read_header(file).items():
                begin, end = entry["data_offsets"]
                shape = tuple(int(length) for length in entry["shape"])
                tensors.append(TensorInfo(name, str(entry["dtype"]), shape, int(end) - int(begin)))
        except MALFORMED as error:
            raise _bad_header(file, error) from error
    return tuple(tensors)


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The text model's part of a vision model's config.json; a text model's config is returned whole."""
    return next((config[key] for key in TEXT_CONFIGS if isinstance(config.get(key), dict)), config)


def count_parameters(tensors: Iterable[TensorInfo], quantization: Mapping[str, Any]) -> int:
    """How many weights the tensors stand for: packed ones as many as they unpack to, scales and zero points none.

    AWQ, GPTQ and compressed-tensors pack 32 ÷ bits weights into an int32, bitsandbytes two into a byte.
    """
    bits = _bits(quantization)
    total = 0
    for tensor in tensors:
        if tensor.name.endswith(UNPACKING) and quantization:
            continue
        count = math.prod(tensor.shape)
        if tensor.name.endswith((".qweight", ".weight_packed")) and tensor.dtype == "I32":
            count = count * 32 // bits
        elif tensor.dtype == "U8" and bits == 4:
            count *= 2
        total += count
    return total


def _folder_bytes(path: Path) -> int:
    """The bytes of the folder's own files, symlinks followed. Raises InvalidInput where the folder can't be listed."""
    try:
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.is_file())
    except OSError as error:
        raise _unreadable(path, error) from error


def _read_config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    if not file.exists():
        raise InvalidInput(Message("models.no-config", {"path": str(path)}))
    config = _read_json(file)
    if not _architecture(config):
        raise InvalidInput(Message("models.no-architecture", {"file": str(file)}))
    return config


def _read_json(file: Path) -> dict[str, Any]:
    try:
        with _open(file) as stream:
            value = json.loads(stream.read(JSON_LIMIT_BYTES))
    except OSError as error:
        raise _unreadable(file, error) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(Message("models.bad-json", {"file": str(file), "cause": str(error)})) from error
    if not isinstance(value, dict):
        raise InvalidInput(Message("models.bad-json", {"file": str(file), "cause": type(value).__name__}))
    return value


def _open(file: Path) -> BinaryIO:
    """The file, opened for reading bytes. A pipe or device in a model folder would block or never end."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("not a regular file")
    return os.fdopen(descriptor, "rb")


def _weight_files(path: Path) -> tuple[Path, ...]:
    index = path / "model.safetensors.index.json"
    if index.exists():
        files = _read_json(index).get("weight_map")
        names = sorted({str(name) for name in files.values()}) if isinstance(files, dict) else []
        # An index names files beside it; anything else is not followed.
        missing = [name for name in names if os.path.basename(name) != name or not (path / name).exists()]
        if missing or not names:
            params: dict[str, Value] = {"path": str(path), "count": len(missing), "total": len(names)}
            raise InvalidInput(Message("models.missing-shards", {**params, "files": ", ".join(missing[:3])}))
        return tuple(path / name for name in names)
    try:
        files_here = sorted(p for p in path.iterdir() if p.suffix in {".safetensors", ".bin"} and p.is_file())
    except OSError as error:
        raise _unreadable(path, error) from error
    safetensors = tuple(p for p in files_here if p.suffix == ".safetensors")
    if not safetensors and not any(p.name.startswith("pytorch_model") for p in files_here):
        raise InvalidInput(Message("models.no-weights", {"path": str(path)}))
    return safetensors


def _read_header(file: Path) -> dict[str, dict[str, Any]]:
    """The tensors' entries of a file's header (dtype, shape, data_offsets); the file is as long as they say."""
    try:
        with _open(file) as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 + length:
                raise _truncated(file, size, 8 + length if length <= HEADER_LIMIT_BYTES else 8)
            if not 2 <= length <= HEADER_LIMIT_BYTES:
                raise InvalidInput(Message("models.bad-header", {"file": str(file), "cause": f"{length} B"}))
            header: dict[str, dict[str, Any]] = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        expected = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
        if size < expected:
            raise _truncated(file, size, expected)
    except OSError as error:
        raise _unreadable(file, error) from error
    except MALFORMED as error:
        raise _bad_header(file, error) from error
    return header


def _summarize(path: Path, quantization: Mapping[str, Any]) -> tuple[int, Counter[str]]:
    """Parameters, and bytes by dtype. Without packed weights the bytes tell the parameters, which is much faster than
    to look at every tensor: a catalogue of 50 models has tens of thousands."""
    sizes: Counter[str] = Counter()
    if quantization:
        tensors = read_tensors(path)
        for tensor in tensors:
            sizes[tensor.dtype] += tensor.size_bytes
        return count_parameters(tensors, quantization), sizes
    for file in _weight_files(path):
        try:
            for entry in _read_header(file).values():
                begin, end = entry["data_offsets"]
                sizes[entry["dtype"]] += end - begin
        except MALFORMED as error:
            raise _bad_header(file, error) from error
    return sum(size // ELEMENT_BYTES.get(dtype, 1) for dtype, size in sizes.items()), sizes


def _truncated(file: Path, size: int, expected: int) -> InvalidInput:
    return InvalidInput(Message("models.truncated", {"file": str(file), "size": size, "expected": expected}))


def _bad_header(file: Path, error: Exception) -> InvalidInput:
    cause = f"{type(error).__name__}: {error}"
    return InvalidInput(Message("models.bad-header", {"file": str(file), "cause": cause}))


def _unreadable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(Message("models.unreadable", {"path": str(path), "cause": error.strerror or str(error)}))


def _architecture(config: Mapping[str, Any]) -> str:
    """The class the config names, as LMDeploy finds it: ``architectures``, or the causal model of ``auto_map``."""
    names = config.get("architectures")
    if isinstance(names, list) and names and isinstance(names[0], str):
        return names[0]
    auto_map = config.get("auto_map")
    own = auto_map.get("AutoModelForCausalLM") if isinstance(auto_map, dict) else None
    if isinstance(own, str):
        return own.rsplit(".", 1)[-1]
    return ""


def _needs_remote_code(config: Mapping[str, Any], architecture: str) -> bool:
    auto_map = config.get("auto_map")
    own_classes = isinstance(auto_map, dict) and any(str(key).startswith("AutoModel") for key in auto_map)
    return (own_classes and architecture not in NATIVE_WITH_AUTO_MAP) or architecture == "InternVLChatModel"


def _own_tokenizer(path: Path) -> bool:
    if (path / "tokenizer.json").exists():
        return False
    try:
        auto_map = _read_json(path / "tokenizer_config.json").get("auto_map")
    except InvalidInput:
        return False
    return isinstance(auto_map, dict) and "AutoTokenizer" in auto_map


def _quantization(config: Mapping[str, Any]) -> Mapping[str, Any]:
    for part in (config, text_config(config)):
        for key in ("quantization_config", "compression_config"):
            if isinstance(value := part.get(key), dict) and value.get("quant_method"):
                return value
    return {}


def _bits(quantization: Mapping[str, Any]) -> int:
    """Bits of a packed weight; 4 where the config doesn't say (bitsandbytes says ``load_in_4bit``)."""
    if quantization.get("load_in_8bit"):
        return 8
    weights = _first_group(quantization).get("weights")
    named = weights.get("num_bits") if isinstance(weights, dict) else None
    return _whole(quantization.get("bits")) or _whole(quantization.get("w_bit")) or _whole(named) or 4


def _group_size(quantization: Mapping[str, Any]) -> int:
    weights = _first_group(quantization).get("weights")
    named = weights.get("group_size") if isinstance(weights, dict) else None
    return _whole(quantization.get("group_size")) or _whole(quantization.get("q_group_size")) or _whole(named)


def _first_group(quantization: Mapping[str, Any]) -> Mapping[str, Any]:
    """compressed-tensors' first group of layers, {} for the other methods."""
    groups = quantization.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, dict) else None
    return first if isinstance(first, dict) else {}


def _dtype(config: Mapping[str, Any], text: Mapping[str, Any], sizes: Mapping[str, int]) -> str:
    """The dtype LMDeploy's "auto" goes by: the text model's, then the whole one's; else what most bytes are in."""
    for part in (text, config):
        for key in ("dtype", "torch_dtype"):
            if isinstance(value := part.get(key), str) and value:
                return value.removeprefix("torch.")
    return DTYPES.get(max(sizes, key=lambda dtype: sizes[dtype] if dtype in DTYPES else -1, default=""), "")


def _head_dim(text: Mapping[str, Any]) -> int:
    heads = _whole(text.get("num_attention_heads"))
    return _whole(text.get("head_dim")) or (_whole(text.get("hidden_size")) // heads if heads else 0)


def _whole(value: object) -> int:
    """A positive whole number, or 0 for anything else that a config.json may hold there."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
