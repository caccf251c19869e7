"""The presets that come with the console: the LMDeploy tutorials' settings, as LMDeploy 0.18 takes them. Pure.

The tutorials serve each language model five times on 24 GiB: as it is; with less KV cache; with that in 4 bits; with
4-bit weights; with all of it. Their InternVL2-26B in 4 bits runs out of memory on 24 GiB at the first picture (28 GiB
measured), so that 24 GiB get the 8B. In 4 bits it wants float16, as its vision tower was left in: two dtypes die at the
first picture.
"""

from types import MappingProxyType

from backend.diagnosis import Setting
from backend.presets.preset import Preset

W4A16 = "-w4a16-4bit"  # how the tutorials call what they quantized
_STEPS: tuple[tuple[str, bool, dict[str, Setting]], ...] = (
    ("plain", False, {}),
    ("less-cache", False, {"cache_max_entry_count": 0.4}),
    ("kv-int4", False, {"cache_max_entry_count": 0.4, "quant_policy": 4}),
    ("w4a16", True, {"model_format": "awq"}),
    ("all", True, {"model_format": "awq", "cache_max_entry_count": 0.4, "quant_policy": 4}),
)
_MODELS = (("1_8b", "internlm2_5-1_8b-chat"), ("7b", "internlm2_5-7b-chat"))


def _tutorial() -> tuple[Preset, ...]:
    return tuple(
        Preset(
            f"shipped-{size}-{step}",
            f"presets.shipped.{step}",
            model + (W4A16 if packed else ""),
            24.0,
            MappingProxyType({"engine": "turbomind", **settings}),
            shipped=True,
        )
        for size, model in _MODELS
        for step, packed, settings in _STEPS
    )


def _vision(name: str, model: str, card_gib: float, **settings: Setting) -> Preset:
    chosen: dict[str, Setting] = {"engine": "turbomind", **settings}
    return Preset(f"shipped-{name}", "presets.shipped.vision", model, card_gib, MappingProxyType(chosen), shipped=True)


SHIPPED: tuple[Preset, ...] = (
    *_tutorial(),
    _vision("internvl2-8b-24", "InternVL2-8B", 24.0, cache_max_entry_count=0.2, session_len=8192),
    _vision(
        "internvl2-26b-40",
        f"InternVL2-26B{W4A16}",
        40.0,
        model_format="awq",
        dtype="float16",
        quant_policy=4,
        cache_max_entry_count=0.1,
        session_len=8192,
    ),
)
