"""The facts of a config.json, whatever its author called them. Pure.

Each family of models named its sizes its own way (GPT-2's n_layer, ChatGLM's num_layers and multi_query_group_num,
MPT's d_model …) until transformers gave them one name. Here all of them get that name; the rest of the console knows no
other. Keys of the same fact stand in the order in which LMDeploy and transformers go by them.
"""

from collections.abc import Mapping
from typing import Any

from backend.outside_text import clean, whole

Config = Mapping[str, Any]

# Where a config.json keeps the text model: nested ones (Qwen3-Omni: thinker_config.text_config) are followed.
TEXT_PARTS = (
    "text_config", "llm_config", "language_config", "thinker_config", "text_model_config", "language_model_config",
    "language_model", "llm", "decoder",
)  # fmt: skip
# Where it tells of a vision tower.
VISION_PARTS = (
    "vision_config", "visual", "vision_tower_config", "vision_encoder_config", "vit_config", "vision_model_config",
    "vision_encoder", "vision_tower", "mm_vision_tower", "vision_model", "img_processor", "image_encoder",
    "vision_backbone",
)  # fmt: skip
SIZES: Mapping[str, tuple[str, ...]] = {
    "num_hidden_layers": ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "decoder_layers"),
    "hidden_size": ("hidden_size", "n_embd", "d_model", "model_dim", "dim", "embed_dim"),
    "num_attention_heads": (
        "num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads", "num_query_heads",
    ),
    "num_key_value_heads": (
        "num_key_value_heads", "multi_query_group_num", "num_kv_heads", "n_kv_heads", "n_head_kv", "kv_n_heads",
        "num_multi_query_heads", "num_query_groups", "num_kv_attention_heads",
    ),
    "intermediate_size": (
        "intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim", "d_ff", "inner_hidden_size",
        "ffn_intermediate_size", "decoder_ffn_dim", "hidden_dim",
    ),
    "vocab_size": ("padded_vocab_size", "vocab_size", "n_vocab"),
    "head_dim": ("head_dim", "kv_channels", "attention_head_dim", "head_size", "d_kv"),
    "num_experts": ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
    "num_experts_per_tok": ("num_experts_per_tok", "moe_topk", "moe_top_k", "num_selected_experts", "top_k_experts"),
    "moe_intermediate_size": ("moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size"),
}  # fmt: skip
INNER = ("attn_config", "ffn_config")  # where MPT and DBRX keep some of them
# LMDeploy takes the smallest of these that stand in the config (utils.py: _get_and_verify_max_len).
CONTEXT_KEYS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length", "max_sequence_length",
    "max_seq_length", "seq_len",
)  # fmt: skip
OTHER_CONTEXT_KEYS = ("n_ctx", "max_context_length", "max_length")
DTYPE_KEYS = ("dtype", "torch_dtype", "params_dtype", "model_dtype")
DTYPES = {
    "bf16": "bfloat16", "fp16": "float16", "half": "float16", "f16": "float16", "fp32": "float32", "float": "float32",
    "f32": "float32",
}  # fmt: skip
DEEPEST = 3


def text_config(config: Config) -> Config:
    """The text model's part of a config.json, the whole of it for a text model; each size under transformers' name."""
    part = text_part(config)
    rest = {key: value for key, value in part.items() if key not in SIZES}
    return {**rest, **sizes(part)}


def text_part(config: Config) -> Config:
    """The text model's part as it stands there. A part that says nothing of a model isn't one."""
    for _ in range(DEEPEST):
        inner = next((config[key] for key in TEXT_PARTS if isinstance(config.get(key), Mapping) and config[key]), None)
        if inner is None:
            return config
        config = inner
    return config


def sizes(config: Config) -> dict[str, int]:
    """The sizes that the config names, under transformers' names; what it doesn't say is left out."""
    places = [config, *(config[key] for key in INNER if isinstance(config.get(key), Mapping))]
    sizes: dict[str, int] = {}
    for name, spellings in SIZES.items():
        for place in places:
            value = next((n for key in spellings if (n := whole(place.get(key), 1 << 40))), 0)
            if value:
                sizes[name] = value
                break
    heads = _kv_heads(config, sizes)
    if heads:
        sizes["num_key_value_heads"] = heads
    elif config.get("multi_query_attention") is False:
        sizes.pop("num_key_value_heads", None)
    ratio = whole(config.get("expansion_ratio"), 64)
    if ratio and "hidden_size" in sizes:
        sizes.setdefault("intermediate_size", ratio * sizes["hidden_size"])
    if longest := context_length(config):
        sizes["max_position_embeddings"] = longest
    return sizes


def architecture(config: Config) -> str:
    """The class the config names, as LMDeploy finds it: ``architectures``, else the causal model of ``auto_map``."""
    names = config.get("architectures")
    if isinstance(names, (list, tuple)) and names and isinstance(names[0], str):
        return clean(names[0], 200)
    if isinstance(names, str) and names:
        return clean(names, 200)
    for part in (config, *(config[key] for key in TEXT_PARTS if isinstance(config.get(key), Mapping))):
        auto_map = part.get("auto_map")
        own = auto_map.get("AutoModelForCausalLM") if isinstance(auto_map, Mapping) else None
        if isinstance(own, str) and own:
            return clean(own.rsplit(".", 1)[-1], 200)
    return ""


def context_length(config: Config) -> int:
    """How many tokens the model was made for, as LMDeploy derives it; 0 = not said."""
    named = [n for key in CONTEXT_KEYS if (n := whole(config.get(key), 1 << 40))]
    if named:
        return min(named)
    return next((n for key in OTHER_CONTEXT_KEYS if (n := whole(config.get(key), 1 << 40))), 0)


def dtype(config: Config) -> str:
    """The dtype that the config names, by torch's name: the text model's, then that of the whole, then that of a part
    between; "" = not said."""
    between = (config[key] for key in TEXT_PARTS if isinstance(config.get(key), Mapping))
    for part in (text_part(config), config, *between):
        for key in DTYPE_KEYS:
            if isinstance(value := part.get(key), str) and value:
                name = value.removeprefix("torch.").lower()
                if name != "auto":
                    return clean(DTYPES.get(name, name), 40)
        for key in ("bf16", "fp16"):  # the first Qwen
            if part.get(key) is True:
                return DTYPES[key]
    return ""


def head_dim(text: Config) -> int:
    """Numbers of one attention head, of a ``text_config``; 0 = not known.

    Of latent attention, what both engines' kernels get: the latent with its rotary part, whatever head_dim says
    (turbomind/models/utils.py: make_mla_config).
    """
    latent, rotary, rest = (whole(text.get(key)) for key in ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim"))
    if rotary and rest:
        return (latent or rest) + rotary
    heads = whole(text.get("num_attention_heads"))
    return whole(text.get("head_dim")) or (whole(text.get("hidden_size")) // heads if heads else 0)


def has_vision_part(config: Config) -> bool:
    """Whether the config tells of a vision tower, also inside a part of it."""
    parts = [config, *(config[key] for key in TEXT_PARTS if isinstance(config.get(key), Mapping))]
    return any(_is_part(part.get(key)) for part in parts for key in VISION_PARTS)


def vision_part(config: Config) -> Config | None:
    """The vision tower's own config, wherever it stands."""
    parts = [config, *(config[key] for key in TEXT_PARTS if isinstance(config.get(key), Mapping))]
    return next((part[key] for part in parts for key in VISION_PARTS if isinstance(part.get(key), Mapping)), None)


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, str) and bool(value)) or value is True


def _kv_heads(config: Config, found: Mapping[str, int]) -> int:
    """How many heads keys and values have where it isn't a plain number: ChatGLM's and Falcon's switches."""
    if config.get("multi_query_attention") is False:  # ChatGLM: the number stands there, and doesn't count
        return 0 if "num_key_value_heads" not in config else whole(config["num_key_value_heads"])
    if config.get("multi_query") is True and not config.get("new_decoder_architecture"):  # Falcon 7B, StarCoder
        return 1
    per_layer = config.get("num_key_value_heads", config.get("num_kv_heads"))
    if isinstance(per_layer, list):  # one number a layer: the plan goes by the most
        return max((whole(n, 1 << 20) for n in per_layer), default=0)
    return found.get("num_key_value_heads", 0)
