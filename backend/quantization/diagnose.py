"""Why a job failed, from the end of its log and its exit code. Pure."""

import re
from collections.abc import Sequence

from backend.causes.evidence import clean
from backend.causes.signatures import SIGNATURES, Signature
from backend.causes.verdict import Finding, find
from backend.diagnosis import Diagnosis, Remedy
from backend.errors import Message
from backend.quantization.base import DEMO_TEXT, NO_DATA, QuantConfig
from backend.quantization.sizes import SHORTEST_SEQLEN

MOST_LINES = 12
_KILLED = (137, -9)
_DATASET = r"get_calib_loaders|calib_dataloader|datasets/(?:load|packaged_modules)|in load_dataset"


def _sign(name: str, pattern: str, frames: str = "") -> Signature:
    return Signature(name, re.compile(pattern), re.compile(frames) if frames else None)


# What only a job dies of; the common table comes after it.
_JOBS = (
    _sign("text-short", r"empty range (?:for|in) rand"),
    _sign("symmetric", r"zeros_like\(\): argument 'input' .* not NoneType"),
    _sign("calibration", r"Support only `wikitext2`|Cannot preprocess dataset"),
    _sign("group", r".", r"assert org_w_shape\[-1\] % w_group_size == 0"),
    _sign(
        "group",
        r"shape '\[.*\]' is invalid for input of size",
        r"pseudo_quantize|get_weight_scale|quantizer\.py|awq\.py",
    ),
    _sign("group", r"Input channels should be (?:divisible by|greater than or equal to) group_size"),
    _sign("bits", r"Only 2,4,8 bit are supported|argument must be either 4 or 8"),
    _sign("nan", r".", r"assert torch\.isnan\(.*\)\.sum\(\) == 0"),
    _sign("nan", r"probability tensor contains either `inf`, `nan`"),
    _sign("unsupported", r"^NotImplementedError(?!: Cannot (?:copy out of meta|preprocess))"),
    _sign(
        "quantized", r"[Rr]equires? (?:gptqmodel|autoawq|bitsandbytes)|pip install (?:gptqmodel|autoawq|bitsandbytes)"
    ),
    _sign(
        "model-offline",
        r"OfflineModeIsEnabled|LocalEntryNotFoundError|RepositoryNotFoundError|ConnectError",
        r"in get_model\b|in load_model_and_tokenizer",
    ),
    _sign(
        "output-gone",
        r"FileNotFoundError|NotADirectoryError|PermissionError|Read-only file system",
        r"in mkdir|in makedirs|in save_pretrained",
    ),
    _sign("bits", r"AssertionError", r"assert w_bit == 4"),
    _sign("zeros", r"max\(\): Expected reduction dim"),
    _sign(
        "dataset",
        r"There have been some issues when generating|Couldn't (?:find|reach)|DatasetNotFoundError|DatasetGeneration"
        r"|Dataset scripts are no longer supported|DataFilesNotFoundError|BuilderConfig .* not found"
        r"|(?:ExpectedMore|Unexpected|NonMatching)(?:Splits|Checksum|DownloadedFiles)\w*",
    ),
    _sign(
        "dataset",
        r"ConnectionError|LocalEntryNotFound|OfflineModeIsEnabled|Timeout|gaierror|MaxRetry|HfHubHTTPError"
        r"|FileNotFoundError|ArrowInvalid",
        _DATASET,
    ),
)
# What a job says otherwise than a server: the names of its own texts.
_OWN = {
    "memory": "gpu-memory", "disk": "disk", "trust": "trust", "module": "package", "bfloat16": "bf16",
    "memory-host": "memory", "lite-architecture": "unsupported", "no-gpu": "gpu", "driver": "gpu", "cuda-crash": "gpu",
    "offline": "dataset", "hub-missing": "dataset", "hub-limit": "dataset", "hub-down": "dataset",
    "driver-mismatch": "gpu", "fabric": "gpu", "gpu-virtual": "gpu",
    "path": "model-gone", "config-missing": "model-gone", "file-missing": "model-gone",
}  # fmt: skip
_SHARED = {signature.name for signature in SIGNATURES}


def diagnose(log_end: str, exit_code: int | None, config: QuantConfig) -> Diagnosis:
    """The cause, the lines behind it, and settings to start again with."""
    lines = clean(log_end)
    found = find(lines, signalled=exit_code in _KILLED, first=_JOBS)
    if isinstance(found, Finding):
        key, cause = _text(found.name)
        params = {"line": found.lines[-1], "cause": found.cause}
        return Diagnosis(Message(key, params), _behind(lines, found.lines[-1]), _remedies(cause, config))
    if exit_code in _KILLED:
        return Diagnosis(Message("quantize.failed.killed"), tuple(lines[-MOST_LINES:]), _remedies("memory", config))
    last = found.said or (lines[-1] if lines else "")
    code = "?" if exit_code is None else exit_code
    return Diagnosis(
        Message("quantize.failed.unknown", {"code": code, "line": last.strip()}), tuple(lines[-MOST_LINES:])
    )


def _text(name: str) -> tuple[str, str]:
    """The key of the cause's text, and its name among a job's own."""
    if name in _OWN or name not in _SHARED:
        own = _OWN.get(name, name)
        return f"quantize.failed.{own}", own
    return f"engines.died.{name}", name


def _behind(lines: Sequence[str], line: str) -> tuple[str, ...]:
    at = next((i for i in range(len(lines) - 1, -1, -1) if line in lines[i]), len(lines) - 1)
    return tuple(lines[max(0, at - MOST_LINES + 1) : at + 1])


def _remedies(cause: str, config: QuantConfig) -> tuple[Remedy, ...]:
    demo = Remedy("quantize.remedy.demo", {"dataset": DEMO_TEXT})
    none = Remedy("quantize.remedy.none", {"dataset": NO_DATA})
    if cause in ("gpu-memory", "memory") and config.calibrated:
        seqlen = max(config.seqlen // 2, min(SHORTEST_SEQLEN, config.seqlen))
        smaller: dict[str, str | int | bool] = {"seqlen": seqlen, "batch_size": 1}
        if seqlen == config.seqlen:
            smaller["samples"] = max(config.samples // 2, 1)
        return (Remedy("quantize.remedy.smaller", smaller), none)
    if cause == "dataset":
        return (demo, none)
    if cause == "text-short":
        return (Remedy("quantize.remedy.shorter", {"seqlen": max(config.seqlen // 4, 32)}), demo)
    if cause == "trust":
        return (Remedy("quantize.remedy.trust", {"trust_remote_code": True}),)
    if cause == "symmetric":
        return (Remedy("quantize.remedy.asymmetric", {"symmetric": False}),)
    if cause == "group" and config.group_size != 128:
        return (Remedy("quantize.remedy.group-again", {"group_size": 128}),)
    if cause == "bits" and config.bits != 4:
        return (Remedy("quantize.remedy.bits-again", {"bits": 4}),)
    if cause == "bf16":
        return (Remedy("quantize.remedy.float16", {"dtype": "float16"}),)
    if cause == "nan":
        return (Remedy("quantize.remedy.bfloat16", {"dtype": "bfloat16"}), none) if config.gpu else (none,)
    return ()
