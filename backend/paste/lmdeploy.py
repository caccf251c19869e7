"""The flags of `lmdeploy serve`, `chat` and `lite`, of every version from 0.1 to 0.18, and what they set here. Pure."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from backend.machine.flags import LMDEPLOY_OWNED, Flag, snapshot
from backend.paste.flags import Converted, Read, Rule, Unusable, one_of, tidy, truth, whole

QUANT_POLICIES = {
    "none": "0", "auto": "0", "int4": "4", "int8": "8", "fp8": "16", "fp8_e4m3": "16", "fp8_e5m2": "17",
    "turbo_quant": "42",
}  # fmt: skip
OFF_HUB = "wikitext2"  # LMDeploy's own default
# Sets that `lite` had once, or that people write for one that it has.
DATASETS = {
    "wikitext": OFF_HUB,
    "wikitext-2": OFF_HUB,
    "wiki": OFF_HUB,
    "pile": "pileval",
    "openplatypus": "open-platypus",
}
GONE_DATASETS = ("ptb", "ptb-new", "ptb_text_only", "c4-new", "red_pajama", "alpaca")
_ON_CHAT = (
    "--temperature",
    "--top-p",
    "--top-k",
    "--repetition-penalty",
    "--meta-instruction",
    "--stop-words",
    "--random-seed",
)
_GONE = {
    "--instance-num": "paste.flag_batch", "--instance_num": "paste.flag_batch", "--restful-api": "paste.flag_gone",
    "--qos-config-path": "paste.flag_gone", "--cap": "paste.flag_gone", "--use-logn-attn": "paste.flag_gone",
    "--session-id": "paste.flag_gone", "--stream-output": "paste.flag_gone", "--tm-params": "paste.flag_gone",
    "--tokenizer-path": "paste.flag_gone", "--engine": "paste.flag_gone", "--group-size": "paste.flag_gone",
    "--num-tp": "paste.flag_gone", "--kv-bits": "paste.flag_kv", "--kv-sym": "paste.flag_kv",
    "--dst-path": "paste.flag_gone", "--quant-path": "paste.flag_gone", "--share": "paste.flag_gone",
    "--migration-protocol": "paste.flag_gone", "--link-type": "paste.flag_gone", "--dp-rank": "paste.flag_gone",
    "--dummy-prefill": "paste.flag_gone", "--enable-metrics": "paste.flag_on", "--stop-session": "paste.flag_gone",
    "--model-source": "paste.flag_gone", "--thread-safe": "paste.flag_gone", "--no-think-end": "paste.flag_gone",
    "--help": "paste.flag_help", "-h": "paste.flag_help", "--version": "paste.flag_help", "-v": "paste.flag_help",
}  # fmt: skip
_GONE_SWITCHES = frozenset(
    {"--share", "--enable-metrics", "--dummy-prefill", "--help", "-h", "--version", "-v", "--use-logn-attn"}
)
# Names that its neighbours have for the same, written by habit.
_HABITS = {
    "--port": "--server-port", "--host": "--server-name", "--model-path": "--model", "--tensor-parallel-size": "--tp",
    "--max-model-len": "--session-len", "--context-length": "--session-len", "--served-model-name": "--model-name",
    "--api-key": "--api-keys", "--kv-cache-ratio": "--cache-max-entry-count", "--quantization": "--model-format",
    "--max-num-seqs": "--max-batch-size",
}  # fmt: skip


def backend(value: str) -> Converted:
    """The engine."""
    return one_of(
        ("turbomind", "pytorch"), {"torch": "pytorch", "pt": "pytorch", "tm": "turbomind"}, "paste.not_choice"
    )(value)


def ratio(value: str) -> Converted:
    """The KV cache's share of the memory that is free after the weights."""
    given = tidy(value)
    found = re.fullmatch(r"(\d{0,9}(?:[.,]\d{0,9})?)\s*(%?)", given)
    try:
        number = float(found[1].replace(",", ".")) / (100 if found[2] else 1) if found else -1.0
    except ValueError:
        number = -1.0
    if number >= 1:
        raise Unusable("paste.blocks", value=given[:60])
    if number <= 0:
        raise Unusable("paste.not_ratio", value=given[:60])
    if found and (found[2] or "," in found[1]):
        return Converted(f"{number:g}", "paste.translated")
    return Converted(given)


def model_format(value: str) -> Converted:
    """0.1's formats were families of models."""
    known = _choices(snapshot().serve, "--model-format")
    given = tidy(value).lower().replace("_", "-")
    if given in known or given == "auto":
        return Converted(given) if given == value else Converted(given, "paste.translated")
    if given in ("awq-marlin", "w4a16", "int4"):
        return Converted("awq", "paste.translated")
    return Converted("auto", "paste.model_format", {"value": given[:60]}, "warning")


def dtype(value: str) -> Converted:
    """The names that torch and its neighbours have."""
    others = {
        "half": "float16",
        "fp16": "float16",
        "bf16": "bfloat16",
        "torch.float16": "float16",
        "torch.bfloat16": "bfloat16",
    }
    return one_of(("auto", "float16", "bfloat16"), others, "paste.not_choice")(value)


def quant_dtype(value: str) -> Converted:
    """SmoothQuant's 8 bits; fp8 is what torch calls float8_e4m3fn."""
    others = {"float8_e4m3fn": "fp8", "torch.float8_e4m3fn": "fp8", "float8": "fp8", "torch.int8": "int8"}
    return one_of(("int8", "fp8"), others, "paste.not_choice")(value)


def quant_policy(value: str) -> Converted:
    """A number, or the name that newer versions take."""
    given = tidy(value).lower()
    if given in QUANT_POLICIES.values():
        return Converted(given)
    if given in QUANT_POLICIES:
        return Converted(QUANT_POLICIES[given], "paste.translated")
    raise Unusable(
        "paste.not_choice", value=given[:60], choices=", ".join(sorted(set(QUANT_POLICIES.values()), key=int))
    )


def dataset(value: str) -> Converted:
    """A calibration set; gone ones become LMDeploy's present default."""
    known = _choices(snapshot().awq, "--calib-dataset")
    given = tidy(value).lower()
    if given in known:
        return Converted(given)
    if given in DATASETS:
        return Converted(DATASETS[given], "paste.translated")
    key = "paste.dataset_gone" if given in GONE_DATASETS else "paste.dataset_unknown"
    return Converted(OFF_HUB, key, {"value": given[:60], "now": OFF_HUB}, "warning")


def device(value: str) -> Converted:
    """cpu, cuda or cuda:1."""
    given = tidy(value).lower()
    if given == "cpu" or re.fullmatch(r"cuda:\d+", given):
        return Converted(given)
    if given in ("cuda", "gpu"):
        return Converted("cuda:0", "paste.translated")
    raise Unusable("paste.not_choice", value=given[:60], choices="cpu, cuda")


_READ: Mapping[str, Read] = {
    "engine": backend,
    "model_format": model_format,
    "quant_policy": quant_policy,
    "cache_max_entry_count": ratio,
    "tp": whole,
    "session_len": whole,
    "dtype": dtype,
    "port": whole,
}


@cache
def serve_rules() -> Mapping[str, Rule]:
    """The flags of `lmdeploy serve api_server`, `chat` and `serve gradio`."""
    rules: dict[str, Rule] = {}
    for flag in snapshot().serve:
        for name in flag.names:
            rules[name] = _passed(flag)
    for name, field in LMDEPLOY_OWNED.items():
        held = rules.get(name, Rule())
        if name == "--trust-remote-code":
            rules[name] = Rule("none", field, truth)
        elif field:
            rules[name] = Rule("one", field, _READ.get(field))
        else:
            rules[name] = Rule(held.arity, key="paste.owned", level="info")
    rules["--model"] = Rule("one", "model")
    for name in _ON_CHAT:
        rules[name] = Rule("one", key="paste.flag_chat", level="info")
    for name, key in _GONE.items():
        rules[name] = Rule("none" if name in _GONE_SWITCHES else "one", key=key)
    for name, meant in _HABITS.items():
        rules.setdefault(name, rules[meant])
    return rules


@cache
def lite_rules() -> Mapping[str, Rule]:
    """The flags of `lmdeploy lite auto_awq`, `smooth_quant` and `calibrate`."""
    left = Rule("one", key="paste.lite_flag", level="warning")
    return {
        "--calib-dataset": Rule("one", "dataset", dataset),
        "--calib-samples": Rule("one", "samples", whole),
        "--calib-seqlen": Rule("one", "seqlen", whole),
        "--batch-size": Rule("one", "batch_size", whole),
        "--w-bits": Rule("one", "bits", whole),
        "--w-group-size": Rule("one", "group_size", whole),
        "--w-sym": Rule("none", "symmetric", truth),
        "--search-scale": Rule("none", "search_scale", truth),
        "--dtype": Rule("one", "dtype", dtype),
        "--device": Rule("one", "device", device),
        "--work-dir": Rule("one", "output"),
        "--trust-remote-code": Rule("none", "trust_remote_code", truth),
        "--model": Rule("one", "model"),
        "--revision": left,
        "--download-dir": left,
        "--calib-image": left,
        "--quant-dtype": Rule("one", "quant_dtype", quant_dtype),
        "--kv-bits": Rule("one", key="paste.flag_kv"),
        "--kv-sym": Rule("maybe", key="paste.flag_kv"),
        "--num-tp": Rule("one", key="paste.flag_gone"),
        "--tp": Rule("one", key="paste.flag_gone"),
        "--help": Rule("none", key="paste.flag_help", level="info"),
        "-h": Rule("none", key="paste.flag_help", level="info"),
    }


def _passed(flag: Flag) -> Rule:
    arity = "none" if flag.kind == "switch" else "many" if flag.nargs in ("+", "*") else "one"
    return Rule(arity, passes=flag.names[0])  # type: ignore[arg-type]


def _choices(flags: Sequence[Flag], name: str) -> tuple[str, ...]:
    return next((flag.choices or flag.suggestions for flag in flags if name in flag.names), ())
