"""A checkpoint's weights: which files are loaded, and the tensors that safetensors headers name. Without torch.

The header of a safetensors file is 8 bytes (its length, little-endian) and that many bytes of JSON: name → dtype, shape
and the offsets of the data, which begins after the header (https://github.com/huggingface/safetensors, "Format").
"""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from backend.errors import InvalidInput, Message, Value
from backend.models.listing import Listing
from backend.outside_text import Unusable, cause_of, clean, decode, open_regular, read_json

HEADER_LIMIT_BYTES = 100_000_000  # safetensors' own limit, of one file
HEADERS_LIMIT_BYTES = 100_000_000  # of all files of a folder
INDEX_LIMIT_BYTES = 64_000_000
MOST_TENSORS = 400_000  # the largest models have half as many: 384 experts, 60 layers, packed
MOST_DIMENSIONS = 16
HEAD_BYTES = 200
ZIP_END_BYTES = (1 << 16) + 22  # the end record, with the longest comment

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
BIN_INDEX = "pytorch_model.bin.index.json"
SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{2,6})-of-(?P<total>\d{2,6})(?P<end>\.safetensors|\.bin)")
# Beside a model's own weights: another layout of the same, LoRA weights, what a training keeps.
BESIDE = re.compile(
    r"(consolidated|adapter_model|optimizer|scheduler|random_states|.*\.(fp16|fp32|bf16)\.).*", re.DOTALL
)

ELEMENT_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
}  # fmt: skip
# How a vision tower's tensors begin, as the bytes of a header have them.
VISION_NAMES = tuple(
    f"{before}{name}".encode()
    for before in ('"', ".")
    for name in (
        "visual.",
        "vision_tower.",
        "vision_model.",
        "vision_encoder.",
        "vision_embed_tokens.",
        "mm_projector.",
    )
)
MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
_ZIP, _ZIP_END, _PICKLE = b"PK\3\4", b"PK\5\6", b"\x80"
_POINTER = b"version https://git-lfs"
# Hugging Face's and ModelScope's, where a page isn't asked for. In a vocabulary such a word has a small number.
_REFUSAL = re.compile(
    rb"\s*\{\s*\"(?:errors?\"\s*:\s*[\"\[{]|Code\"\s*:\s*\d{8})|(?:Entry|Repository) not found"
    rb"|Access to \w+ \S+ is restricted|Invalid (?:username or password|credentials)",
    re.IGNORECASE,
)
_PAGE = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)


@dataclass(frozen=True)
class TensorInfo:
    """One tensor, as its header says. ``dtype`` is safetensors' name: BF16, F16, I32, …"""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True)
class WeightFiles:
    """The files that LMDeploy loads, of one layout, and their bytes. ``headers``: they are safetensors."""

    files: tuple[Path, ...]
    size_bytes: int
    headers: bool


@dataclass(frozen=True)
class Headers:
    """What all headers of a checkpoint say together: their entries by file, bytes by dtype, and their bytes."""

    entries: tuple[tuple[Path, dict[str, dict[str, Any]]], ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    raw: tuple[bytes, ...] = ()

    @cached_property
    def tensors(self) -> tuple[TensorInfo, ...]:
        """Every tensor."""
        return tuple(
            TensorInfo(
                name if name.isprintable() else clean(name),
                entry["dtype"],
                tuple(entry["shape"]),
                entry["data_offsets"][1] - entry["data_offsets"][0],
            )
            for _, entries in self.entries
            for name, entry in entries.items()
        )

    def show_vision(self) -> bool:
        """Whether a name is one of a vision tower."""
        return any(name in raw for raw in self.raw for name in VISION_NAMES)


def find_weights(listing: Listing) -> WeightFiles:
    """The weights in the layout that LMDeploy looks for first: an index, model*.safetensors, pytorch_model*.bin, other
    safetensors. A second layout of the same weights doesn't count.

    Raises InvalidInput for a missing shard, and where there are none at all.
    """
    files = {entry.name: entry.size for entry in listing.files()}
    names = [name for name in files if name.endswith(".safetensors")]
    if listing.has(INDEX):
        return _indexed(listing, INDEX, files)
    own = [name for name in names if name.startswith("model")]
    if SINGLE in own:
        own = [SINGLE]
    elif own:
        own = _whole_set(listing, own)
    if own:
        return _chosen(listing, own, files, headers=True)
    binary = [name for name in files if name.startswith("pytorch_model") and name.endswith(".bin")]
    if binary:
        if listing.has(BIN_INDEX):
            return _indexed(listing, BIN_INDEX, files)
        whole = ["pytorch_model.bin"] if "pytorch_model.bin" in binary else _whole_set(listing, binary)
        return _chosen(listing, whole, files, headers=False)
    others = [name for name in names if not BESIDE.fullmatch(name)]
    if others:
        return _chosen(listing, _whole_set(listing, others), files, headers=True)
    consolidated = [name for name in names if name.startswith("consolidated")]
    if consolidated:
        return _chosen(listing, _whole_set(listing, consolidated), files, headers=True)
    raise InvalidInput(Message("models.no-weights", {"path": str(listing.path)}))


def read_headers(weights: WeightFiles) -> Headers:
    """All headers of the checkpoint.

    Raises InvalidInput for a file that is none, is cut off or can't be read, and where a shape and its bytes disagree.
    """
    indexes: list[tuple[Path, dict[str, dict[str, Any]]]] = []
    sizes: dict[str, int] = {}
    raws: list[bytes] = []
    count = total = 0
    for file in weights.files if weights.headers else ():
        entries, raw = _read_header(file, sizes)
        total += len(raw)
        count += len(entries)
        if total > HEADERS_LIMIT_BYTES or count > MOST_TENSORS:
            raise _too_many(file)
        indexes.append((file, entries))
        raws.append(raw)
    return Headers(tuple(indexes), sizes, tuple(raws))


def check_binary(file: Path) -> None:
    """Raises InvalidInput for a ``*.bin`` that torch can't load: it writes a zip archive, whose directory is at the
    end; before 1.6 it was a bare pickle, which tells nothing of its length."""
    try:
        with open_regular(file) as stream:
            head = stream.read(4)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - ZIP_END_BYTES))
            whole = head.startswith(_ZIP) and _ZIP_END in stream.read(ZIP_END_BYTES)
    except OSError as error:
        raise unreadable(file, error) from error
    if not whole and not head.startswith(_PICKLE):
        raise InvalidInput(Message("models.bin-broken", {"file": str(file), "size": size}, "model"))


def foreign_file(file: Path) -> Message | None:
    """What stands in a file's place: a Git LFS pointer; a web page or a hub's refusal saved under its name; a GGUF file
    that was renamed."""
    try:
        with open_regular(file) as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        return None
    if head.startswith(_POINTER):
        return Message("models.lfs-pointer", {"file": str(file)})
    if _PAGE.match(head):
        return Message("models.lfs-page", {"file": str(file)})
    if _REFUSAL.match(head):
        return Message("models.refusal", {"file": str(file), "said": clean(decode(head).strip(" \r\n{}"))})
    if head.startswith(b"GGUF") and file.suffix != ".gguf":
        return Message("models.gguf", {"path": str(file.parent), "file": file.name})
    return None


def _check_entry(entry: dict[str, Any]) -> None:
    """Raises ValueError unless shape and offsets are such, and there are as many elements as the bytes hold."""
    (begin, end), shape, dtype = entry["data_offsets"], entry["shape"], entry["dtype"]
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end:
        raise ValueError(f"data_offsets {str(entry['data_offsets'])[:80]}")
    if not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"shape {str(shape)[:80]}")
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"shape {str(shape)[:80]}")
    count, each = math.prod(shape), ELEMENT_BYTES.get(dtype, 0)
    # An element of a dtype that isn't known here has at least half a byte.
    if (each and count * each != end - begin) or (not each and count > 2 * (end - begin) + 1):
        raise ValueError(f"shape {str(shape)[:80]} of {str(dtype)[:20]} in {end - begin} B")


def _indexed(listing: Listing, index: str, files: dict[str, int]) -> WeightFiles:
    """The files that an index names. It names files beside it; anything else is not followed."""
    file = listing.path / index
    try:
        value = read_json(file, INDEX_LIMIT_BYTES).value
    except Unusable as error:
        raise unusable(file, error) from error
    weight_map = value.get("weight_map") if isinstance(value, dict) else None
    names = sorted({str(name) for name in weight_map.values()}) if isinstance(weight_map, dict) else []
    missing = [name for name in names if os.path.basename(name) != name or not listing.is_file(name)]
    if not names:
        raise InvalidInput(Message("models.index-empty", {"file": str(file)}))
    if missing:
        if SINGLE in files and len(missing) == len(names) and not any("/" in name for name in names):
            raise InvalidInput(Message("models.stale-index", {"file": str(file), "weights": SINGLE}))
        raise _missing(listing, missing, len(names))
    return _chosen(listing, names, files, headers=index == INDEX)


def _whole_set(listing: Listing, names: list[str]) -> list[str]:
    """Of shards without an index: one set, and all of it; other names are taken as they are."""
    sets: dict[tuple[str, int, str], list[str]] = {}
    for name in names:
        if shard := SHARD.fullmatch(name):
            sets.setdefault((shard["stem"], int(shard["total"]), shard["end"]), []).append(name)
    if not sets:
        return names
    (stem, total, end), parts = max(sets.items(), key=lambda item: (len(item[1]) >= item[0][1], len(item[1])))
    if len(parts) < total <= 9999:
        width = len(parts[0].rsplit("-of-", 1)[1]) - len(end)
        wanted = [f"{stem}-{number:0{width}}-of-{total:0{width}}{end}" for number in range(1, total + 1)]
        missing = [name for name in wanted if name not in parts]
        raise _missing(listing, missing, total)
    return parts


def _missing(listing: Listing, missing: list[str], total: int) -> InvalidInput:
    links = [name for name in missing if name in listing.entries and listing.entries[name].kind == "dangling"]
    params: dict[str, Value] = {
        "path": str(listing.path), "count": len(missing), "total": total, "files": ", ".join(missing[:3])
    }  # fmt: skip
    return InvalidInput(Message("models.dangling" if links else "models.missing-shards", params))


def _chosen(listing: Listing, names: list[str], files: dict[str, int], headers: bool) -> WeightFiles:
    return WeightFiles(tuple(listing.path / name for name in names), sum(files.get(name, 0) for name in names), headers)


def _read_header(file: Path, sizes: dict[str, int]) -> tuple[dict[str, dict[str, Any]], bytes]:
    """The tensors' entries of a file's header (dtype, shape, data_offsets), and its bytes. The file is as long as they
    say. The tensors' bytes are added to ``sizes`` by dtype."""
    try:
        with open_regular(file) as stream:
            size = os.fstat(stream.fileno()).st_size
            first = stream.read(8)
            length = int.from_bytes(first, "little")
            if size < 8 + length:
                if found := foreign_file(file):
                    raise InvalidInput(found)
                if size <= 8 or length <= HEADER_LIMIT_BYTES:  # else it is another kind of file
                    raise _truncated(file, size, 8 + (length if size >= 8 else 0))
            if not 2 <= length <= HEADER_LIMIT_BYTES:
                raise InvalidInput(Message("models.bad-header", {"file": str(file), "cause": f"{length} B"}))
            raw = stream.read(length)
        if raw.count(b'"data_offsets"') > MOST_TENSORS:  # before they fill the memory
            raise _too_many(file)
        header: dict[str, dict[str, Any]] = json.loads(raw)
        header.pop("__metadata__", None)
        # The one loop over all tensors of a catalogue, tens of thousands: the common, sound case takes one comparison.
        expected = 0
        for entry in header.values():
            begin, end = entry["data_offsets"]
            dtype = entry["dtype"]
            taken = end - begin
            if begin < 0 or math.prod(entry["shape"]) * ELEMENT_BYTES.get(dtype, 0) != taken or type(taken) is not int:
                _check_entry(entry)
            sizes[dtype] = sizes.get(dtype, 0) + taken
            if end > expected:
                expected = end
        if size < 8 + length + expected:
            raise _truncated(file, size, 8 + length + expected)
        if size > 8 + length + expected:  # the library that reads it refuses it
            params: dict[str, Value] = {"file": str(file), "size": size, "expected": 8 + length + expected}
            raise InvalidInput(Message("models.too-long", params))
    except OSError as error:
        raise unreadable(file, error) from error
    except MALFORMED as error:
        raise _bad_header(file, error) from error
    return header, raw


def unusable(file: Path, error: Unusable) -> InvalidInput:
    """Why a JSON file of a model folder can't be used."""
    keys = {"unreadable": "models.unreadable", "too-large": "models.too-large"}
    if error.key == "unreadable":
        return InvalidInput(Message("models.unreadable", {"path": str(file), "cause": str(error)}))
    if error.key == "not-json" and (found := foreign_file(file)):
        return InvalidInput(found)
    return InvalidInput(Message(keys.get(error.key, "models.bad-json"), {"file": str(file), "cause": str(error)}))


def unreadable(path: Path, error: OSError) -> InvalidInput:
    """A file or folder that the system refuses."""
    return InvalidInput(Message("models.unreadable", {"path": str(path), "cause": cause_of(error)}))


def _too_many(file: Path) -> InvalidInput:
    return InvalidInput(Message("models.too-many-tensors", {"path": str(file.parent), "most": MOST_TENSORS}))


def _truncated(file: Path, size: int, expected: int) -> InvalidInput:
    return InvalidInput(
        Message("models.truncated", {"file": str(file), "size": size, "expected": min(expected, 1 << 62)})
    )


def _bad_header(file: Path, error: Exception) -> InvalidInput:
    cause = clean(f"{type(error).__name__}: {error}", 200)
    return InvalidInput(Message("models.bad-header", {"file": str(file), "cause": cause}))
