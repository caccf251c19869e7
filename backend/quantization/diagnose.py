"""Why a job failed, from the end of its log and its exit code. Pure."""

import re
from collections.abc import Sequence

from backend.errors import Message
from backend.quantization.base import DEMO_TEXT, NO_DATA, Diagnosis, QuantConfig, Remedy
from backend.quantization.sizes import SHORTEST_SEQLEN

MOST_LINES = 12
_KILLED = (137, -9)
# What stands in the log of a failure that has a name; the first that fits counts.
_CAUSES: Sequence[tuple[str, str]] = (
    ("gpu-memory", r"CUDA out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED"),
    # torch.save on a full disk names no cause, only where it stood in the file.
    ("disk", r"No space left on device|os error 28|\[Errno 28\]|Disk quota exceeded"
             r"|inline_container\.cc:\d+\] \. unexpected pos|PytorchStreamWriter failed writing"),
    ("symmetric", r"zeros_like\(\): argument 'input' .* not NoneType"),
    ("dataset", r"Couldn't (?:find|reach)|LocalEntryNotFound|OfflineModeIsEnabled|MaxRetryError|ConnectTimeout"
                r"|Name or service not known|Temporary failure in name resolution|DatasetNotFoundError"
                r"|Cannot send a request"),
    ("text-short", r"empty range (?:for|in) rand|empty range in randrange"),
    ("unsupported", r"quantification and calibration of (\w+) are not supported|NotImplementedError"),
    ("trust", r"trust_remote_code=True|`trust_remote_code`|--trust-remote-code"),
    ("package", r"^ModuleNotFoundError: |packages that were not found in your environment"),
    ("nan", r"assert torch\.isnan\(.*\)\.sum\(\) == 0"),
    ("bf16", r"does not supports? b(?:float|f)16"),
    ("gpu", r"CUDA driver version is insufficient|no CUDA-capable device|CUDA error"),
    ("model-gone", r"FileNotFoundError|Incorrect path_or_model_id|no file named|does not appear to have a file named"),
    ("memory", r"MemoryError|DefaultCPUAllocator: can't allocate|Cannot allocate memory"),
)  # fmt: skip


def diagnose(log_end: str, exit_code: int | None, config: QuantConfig) -> Diagnosis:
    """The cause, the lines behind it, and settings to start again with."""
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", log_end) if line.strip()]
    for cause, pattern in _CAUSES:
        found = [line for line in lines if re.search(pattern, line)]
        if found:
            return Diagnosis(
                Message(f"quantize.failed.{cause}", {"line": found[-1].strip()}),
                _behind(lines, found[-1]),
                _remedies(cause, config),
            )
    if exit_code in _KILLED:
        return Diagnosis(Message("quantize.failed.killed"), tuple(lines[-MOST_LINES:]), _remedies("memory", config))
    last = next(
        (line for line in reversed(lines) if re.match(r"\w*(?:Error|Exception)\b", line)), lines[-1] if lines else ""
    )
    code = "?" if exit_code is None else exit_code
    return Diagnosis(
        Message("quantize.failed.unknown", {"code": code, "line": last.strip()}), tuple(lines[-MOST_LINES:])
    )


def _behind(lines: Sequence[str], line: str) -> tuple[str, ...]:
    at = len(lines) - 1 - list(reversed(lines)).index(line)
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
    if cause == "bf16":
        return (Remedy("quantize.remedy.float16", {"dtype": "float16"}),)
    if cause == "nan":
        return (Remedy("quantize.remedy.bfloat16", {"dtype": "bfloat16"}), none) if config.gpu else (none,)
    return ()
