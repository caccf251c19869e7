"""vLLM, SGLang and others: what of their commands LMDeploy has, by the same names of settings. Pure."""

from collections.abc import Mapping
from functools import cache

from backend.paste.flags import Converted, Rule, Unusable, tidy, truth, whole
from backend.paste.lmdeploy import dtype

_SAME = ("--revision", "--download-dir", "--chat-template", "--generation-config", "--hf-overrides")
_NONE = "paste.neighbour_flag"


def kv_dtype(value: str) -> Converted:
    """Their 8 bits of floating point are TurboMind's 8 of whole numbers."""
    given = tidy(value).lower()
    if given in ("auto", "bfloat16", "float16"):
        return Converted("0", "paste.translated")
    if given.startswith("fp8") or given == "int8":
        return Converted("8", "paste.kv_dtype", {"value": given[:40]})
    if given in ("int4", "fp4", "fp4_e2m1"):
        return Converted("4", "paste.kv_dtype", {"value": given[:40]})
    raise Unusable("paste.not_choice", value=given[:60], choices="0, 4, 8")


def quantization(value: str) -> Converted:
    """Weights' formats by their names."""
    given = tidy(value).lower().replace("_", "-")
    known = {
        "awq": "awq", "awq-marlin": "awq", "gptq": "gptq", "gptq-marlin": "gptq", "fp8": "fp8", "mxfp4": "mxfp4",
        "compressed-tensors": "compressed-tensors", "w8a8-fp8": "fp8", "auto": "auto", "none": "auto",
    }  # fmt: skip
    if given not in known:
        raise Unusable("paste.neighbour_format", value=given[:60])
    return Converted(known[given], "" if known[given] == given else "paste.translated")


@cache
def vllm_rules() -> Mapping[str, Rule]:
    """`vllm serve` and its older entry points."""
    return _rules(
        {
            "--model": Rule("one", "model"), "--tensor-parallel-size": Rule("one", "tp", whole),
            "-tp": Rule("one", "tp", whole), "--max-model-len": Rule("one", "session_len", whole),
            "--served-model-name": Rule("one", "model_name"),
            "--quantization": Rule("one", "model_format", quantization),
            "-q": Rule("one", "model_format", quantization), "--kv-cache-dtype": Rule("one", "quant_policy", kv_dtype),
            "--gpu-memory-utilization": Rule("one", key="paste.memory_share"),
            "--max-num-seqs": Rule("one", passes="--max-batch-size"),
            "--max-num-batched-tokens": Rule("one", passes="--max-prefill-token-num"),
            "--enable-prefix-caching": Rule("none", passes="--enable-prefix-caching"),
            "--lora-modules": Rule("many", passes="--adapters"), "--data-parallel-size": Rule("one", passes="--dp"),
            "--block-size": Rule("one", passes="--cache-block-seq-len"), "--enforce-eager": Rule("none", key=_NONE),
            "--enable-auto-tool-choice": Rule("none", key="paste.tools", level="info"),
        }
    )  # fmt: skip


@cache
def sglang_rules() -> Mapping[str, Rule]:
    """`python -m sglang.launch_server` and `sglang serve`."""
    tp = Rule("one", "tp", whole)
    return _rules(
        {
            "--model-path": Rule("one", "model"), "--model": Rule("one", "model"), "--tp": tp, "--tp-size": tp,
            "--tensor-parallel-size": tp, "--context-length": Rule("one", "session_len", whole),
            "--served-model-name": Rule("one", "model_name"),
            "--quantization": Rule("one", "model_format", quantization),
            "--kv-cache-dtype": Rule("one", "quant_policy", kv_dtype),
            "--mem-fraction-static": Rule("one", key="paste.memory_share"),
            "--max-running-requests": Rule("one", passes="--max-batch-size"),
            "--chunked-prefill-size": Rule("one", passes="--max-prefill-token-num"),
            "--dp": Rule("one", passes="--dp"), "--dp-size": Rule("one", passes="--dp"),
            "--lora-paths": Rule("many", passes="--adapters"),
            "--page-size": Rule("one", passes="--cache-block-seq-len"),
        }
    )  # fmt: skip


@cache
def other_rules() -> Mapping[str, Rule]:
    """What else serves models: the model, the port, the name."""
    return _rules(
        {
            "--model": Rule("one", "model"), "--model-path": Rule("one", "model"), "--model-id": Rule("one", "model"),
            "--model-name": Rule("one", "model_name"), "--quantize": Rule("one", "model_format", quantization),
            "-m": Rule("one", "model"), "--num-shard": Rule("one", "tp", whole), "--num-gpus": Rule("one", "tp", whole),
            "-c": Rule("one", "session_len", whole), "--ctx-size": Rule("one", "session_len", whole),
        }
    )  # fmt: skip


def _rules(own: Mapping[str, Rule]) -> Mapping[str, Rule]:
    owned = Rule("one", key="paste.owned", level="info")
    parser = Rule("one", key="paste.parser")
    return {
        "--port": Rule("one", "port", whole),
        "--host": owned,
        "--api-key": owned,
        "--dtype": Rule("one", "dtype", dtype),
        "--trust-remote-code": Rule("none", "trust_remote_code", truth),
        "--tool-call-parser": parser,
        "--reasoning-parser": parser,
        **{name: Rule("one", passes=name) for name in _SAME},
        **own,
    }
