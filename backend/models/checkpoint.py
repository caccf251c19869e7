"""A checkpoint on disk: what it is and whether it is whole, from config.json and the weights' headers, without torch.

The parts: listing.py looks into the folder, weights.py picks and reads the headers, spellings.py and quantized.py know
what authors call things, kinds.py what is no checkpoint at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.errors import InvalidInput, Message
from backend.machine.flags import Capabilities, snapshot
from backend.models import kinds, spellings
from backend.models.listing import Listing, list_folder
from backend.models.quantized import FILES, Quantization, all_plain, count_parameters, read_quantization
from backend.models.spellings import architecture, text_config
from backend.models.weights import (
    ELEMENT_BYTES,
    INDEX,
    Headers,
    TensorInfo,
    WeightFiles,
    find_weights,
    foreign_file,
    read_headers,
    unreadable,
    unusable,
)
from backend.outside_text import (
    LINES,
    UTF8,
    Unusable,
    clean,
    encodable,
    encodings_of_lines,
    mark_of,
    read_bytes,
    read_json,
)

__all__ = ["ModelInfo", "TensorInfo", "broken_model", "count_parameters", "read_model", "read_tensors", "text_config"]

# Architectures whose repositories carry their own code (auto_map) although transformers has a class for them.
NATIVE_WITH_AUTO_MAP = frozenset({
    "CohereForCausalLM", "DbrxForCausalLM", "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "FalconForCausalLM",
    "GPTBigCodeForCausalLM", "Glm4MoeForCausalLM", "GlmForCausalLM", "GraniteForCausalLM", "MixtralForCausalLM",
    "Olmo2ForCausalLM", "OlmoForCausalLM", "Phi3ForCausalLM", "PhiForCausalLM", "PhimoeForCausalLM",
    "Qwen2ForCausalLM", "StableLmForCausalLM", "Starcoder2ForCausalLM",
})  # fmt: skip
DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
SMALL_FILE_BYTES = 2_000_000
# Read by LMDeploy and transformers as UTF-8 without a mark; anything else ends the server as it starts.
PLAIN_TEXTS = ("generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "preprocessor_config.json",
               "tokenizer.json", INDEX)  # fmt: skip


@dataclass(frozen=True)
class ModelInfo:
    """What a model folder holds. ``problem`` is set for a broken folder, and what could be read stands beside it.

    ``path`` is the folder as it was found (symlinks kept), ``name`` the folder's or the hub repository's name, both as
    text that can be shown. ``quantization`` is "" or the method's name ("awq", "gptq", "fp8" …), ``group_size`` 0 where
    it has none; ``quantization_source`` says where it stands: "config" (config.json), "file" (another file beside it),
    "tensors"; ``packed_as`` is what the tensors themselves are, "" for plain ones and such as nothing tells;
    ``all_plain``: the headers show that none is packed. ``bits`` of a packed weight, 0 = not said. ``size_bytes`` is
    all files of the folder, ``weight_bytes`` those that are loaded. ``parameters`` counts packed weights as what they
    stand for; 0 = unknown (no safetensors). ``context_length`` in tokens. ``text`` is the text model's part of
    config.json (the whole of it for a text-only model), its sizes under transformers' names. ``head_dim`` 0 = unknown.
    ``needs_remote_code``: the classes are the repository's own; ``own_tokenizer``: so is its tokenizer, and there is no
    tokenizer.json to use in its place.
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
    weight_bytes: int = 0
    quantization_source: str = ""
    packed_as: str = ""
    all_plain: bool = False
    bits: int = 0


@dataclass
class _Reading:
    """What has been found so far: a broken folder keeps what could be read before it broke."""

    size_bytes: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    weights: WeightFiles = field(default_factory=lambda: WeightFiles((), 0, False))
    headers: Headers = field(default_factory=Headers)
    quantization: Quantization = field(default_factory=Quantization)
    parameters: int = 0
    own_tokenizer: bool = False


def read_model(path: Path, name: str = "", known: Capabilities | None = None) -> ModelInfo:
    """What the folder holds; never raises: what is wrong with it stands in ``problem``.

    ``known`` is what the LMDeploy of this machine says of architectures; without it the built-in answer of 0.18.0.
    """
    reading = _Reading()
    problem: Message | None = None
    try:
        _read(path, reading, known or snapshot())
    except InvalidInput as error:
        problem = error.messages[0]
    except Exception as error:  # one folder, whatever is in it, must not take the others from the list
        problem = Message("models.unexpected", {"path": clean(str(path)), "cause": _told(error)})
    try:
        return _made(path, name, reading, known or snapshot(), problem)
    except Exception as error:
        cause = problem or Message("models.unexpected", {"path": clean(str(path)), "cause": _told(error)})
        return broken_model(path, name, cause, reading.size_bytes)


def broken_model(path: Path, name: str, problem: Message, size_bytes: int = 0) -> ModelInfo:
    """A folder of which nothing but its problem is known."""
    return ModelInfo(
        path=_shown(path), name=clean(name or path.name), architecture="", text_architecture="", parameters=0, dtype="",
        quantization="", group_size=0, size_bytes=size_bytes, context_length=0, takes_images=False,
        needs_remote_code=False, head_dim=0, config={}, text={}, problem=problem,
    )  # fmt: skip


def read_tensors(path: Path) -> tuple[TensorInfo, ...]:
    """Every tensor of the weights that are loaded, from the safetensors headers.

    A folder with only ``*.bin`` weights gives (). Raises InvalidInput for missing weights, a missing or truncated
    shard, a header that isn't one, and a file that can't be read.
    """
    return read_headers(find_weights(_listing(path))).tensors


def _read(path: Path, found: _Reading, known: Capabilities) -> None:
    if not encodable(str(path)):
        raise InvalidInput(Message("models.path-encoding", {"path": clean(str(path))}))
    listing = _listing(path)
    found.size_bytes = listing.size_bytes
    found.config, encoding = _read_config(listing)
    if found.config and (message := kinds.wrong_architecture(listing, architecture(found.config), _known(known))):
        raise InvalidInput(message)
    try:
        found.weights = find_weights(listing)
    except InvalidInput as error:
        if error.messages[0].key == "models.no-weights" and (message := kinds.without_weights(listing)):
            raise InvalidInput(message) from error
        raise
    found.headers = read_headers(found.weights)
    found.quantization = read_quantization(found.config, _beside(listing), found.headers)
    if found.quantization.packed == "mlx":
        raise InvalidInput(Message("models.mlx", {"path": str(path)}))
    found.parameters = _parameters(found)
    found.own_tokenizer = _needs_remote_code(found.config, architecture(found.config)) and _own_tokenizer(listing)
    if not found.weights.headers and (message := kinds.stands_for_another(listing)):
        raise InvalidInput(message)
    if message := kinds.still_coming(listing) or kinds.tokenizer_elsewhere(listing):
        raise InvalidInput(message)
    _check_texts(listing, encoding)


def _made(path: Path, name: str, found: _Reading, known: Capabilities, problem: Message | None) -> ModelInfo:
    config, text = found.config, text_config(found.config)
    own = architecture(config)
    return ModelInfo(
        path=_shown(path),
        name=clean(name or path.name),
        architecture=own,
        text_architecture=architecture(text) or own,
        parameters=found.parameters,
        dtype=spellings.dtype(config) or _most(found.headers),
        quantization=found.quantization.method,
        group_size=found.quantization.group_size,
        size_bytes=found.size_bytes,
        context_length=spellings.context_length(text) or spellings.context_length(config),
        takes_images=_takes_images(config, own, known, found.headers),
        needs_remote_code=_needs_remote_code(config, own),
        head_dim=spellings.head_dim(text),
        config=config,
        text=text,
        problem=problem,
        own_tokenizer=found.own_tokenizer,
        weight_bytes=found.weights.size_bytes,
        quantization_source=found.quantization.source,
        packed_as=found.quantization.packed,
        all_plain=all_plain(found.headers),
        bits=found.quantization.bits,
    )


def _listing(path: Path) -> Listing:
    try:
        return list_folder(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error if isinstance(error, OSError) else OSError(str(error))) from error


def _read_config(listing: Listing) -> tuple[dict[str, Any], str]:
    """config.json and its encoding. Raises InvalidInput where there is none, with what the folder is instead."""
    file = listing.path / "config.json"
    if not listing.has("config.json"):
        raise InvalidInput(
            kinds.without_weights(listing)
            or kinds.stands_for_another(listing)
            or Message("models.no-config", {"path": str(listing.path)})
        )
    if "config.json" in listing.of_kind("dangling"):
        raise InvalidInput(kinds.dangling_links(listing, listing.of_kind("dangling")))
    try:
        document = read_json(file)
    except Unusable as error:
        raise unusable(file, error) from error
    if not isinstance(document.value, dict):
        cause = type(document.value).__name__
        raise InvalidInput(Message("models.bad-json", {"file": str(file), "cause": cause}))
    if not architecture(document.value):
        if listing.has("adapter_config.json") or listing.has("model_index.json"):
            raise InvalidInput(kinds.without_weights(listing) or Message("models.no-architecture", {"file": str(file)}))
        raise InvalidInput(foreign_file(file) or Message("models.no-architecture", {"file": str(file)}))
    return document.value, document.encoding


def _check_texts(listing: Listing, config_encoding: str) -> None:
    """Texts that LMDeploy reads as plain UTF-8 and that aren't: it would end with an error that names no file."""
    if config_encoding != UTF8:
        raise _encoded(listing.path / "config.json", config_encoding)
    for name in PLAIN_TEXTS:
        if listing.is_file(name):
            file = listing.path / name
            try:
                mark = mark_of(file)
            except Unusable as error:
                raise unusable(file, error) from error
            if mark:
                raise _encoded(file, mark)


def _encoded(file: Path, encoding: str) -> InvalidInput:
    if encoding == LINES:
        try:
            found = encodings_of_lines(read_bytes(file))
        except Unusable as error:
            return unusable(file, error)
        if UTF8 in found or len(found) != 1:
            return InvalidInput(Message("models.encoding-mixed", {"file": str(file)}))
        (encoding,) = found
    source = encoding.upper()
    command = f"iconv -f {source} -t UTF-8 {file.name} > new.json"
    if encoding == "utf-8-sig":
        source, command = "UTF-8, BOM", f"sed -i '1s/^\\xEF\\xBB\\xBF//' {file.name}"
    return InvalidInput(Message("models.encoding", {"file": str(file), "encoding": source, "command": command}))


def _beside(listing: Listing) -> dict[str, Any]:
    """The small files in which tools say how they quantized; one that can't be read says nothing."""
    files: dict[str, Any] = {}
    for name in FILES:
        if listing.is_file(name):
            try:
                files[name] = read_json(listing.path / name, SMALL_FILE_BYTES).value
            except Unusable:
                continue
    return files


def _parameters(found: _Reading) -> int:
    """Without packed weights the bytes tell the parameters, which is much faster than to look at every tensor: a
    catalogue of 50 models has tens of thousands."""
    if found.quantization:
        return count_parameters(found.headers.tensors, found.quantization)
    return sum(size // ELEMENT_BYTES.get(dtype, 1) for dtype, size in found.headers.sizes.items())


def _takes_images(config: Mapping[str, Any], name: str, known: Capabilities, headers: Headers) -> bool:
    """What LMDeploy says of the architecture; a vision tower in config.json or among the tensors."""
    needed = next((keys for listed, keys in known.vision or snapshot().vision if listed == name), None)
    if (needed is not None and all(key in config for key in needed)) or spellings.has_vision_part(config):
        return True
    # LMDeploy's engines know it, and not as one that sees; the names of the others' tensors tell.
    return name not in (*known.turbomind_architectures, *known.pytorch_architectures) and headers.show_vision()


def _known(known: Capabilities) -> frozenset[str]:
    """The architectures that one of LMDeploy's engines lists."""
    return frozenset((*known.turbomind_architectures, *known.pytorch_architectures))


def _needs_remote_code(config: Mapping[str, Any], name: str) -> bool:
    auto_map = config.get("auto_map")
    own_classes = isinstance(auto_map, dict) and any(str(key).startswith("AutoModel") for key in auto_map)
    return (own_classes and name not in NATIVE_WITH_AUTO_MAP) or name == "InternVLChatModel"


def _own_tokenizer(listing: Listing) -> bool:
    if listing.has("tokenizer.json") or not listing.is_file("tokenizer_config.json"):
        return False
    try:
        value = read_json(listing.path / "tokenizer_config.json").value
    except Unusable:
        return False
    auto_map = value.get("auto_map") if isinstance(value, dict) else None
    return isinstance(auto_map, dict) and "AutoTokenizer" in auto_map


def _most(headers: Headers) -> str:
    """The dtype that most bytes are in."""
    sizes = headers.sizes
    return DTYPES.get(max(sizes, key=lambda dtype: sizes[dtype] if dtype in DTYPES else -1, default=""), "")


def _shown(path: Path) -> Path:
    """The path; of a name that is no text, which nothing can be started with, as it is shown."""
    return path if encodable(str(path)) else Path(clean(str(path)))


def _told(error: Exception) -> str:
    return clean(f"{type(error).__name__}: {error}", 200)
