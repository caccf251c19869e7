"""Variables that a block sets for its commands. Pure."""

import re

from backend.paste.block import Block

ASSIGNMENT = re.compile(r"(?:\$env:)?([A-Za-z_]\w*)=(.*)", re.DOTALL | re.IGNORECASE)
# What the hubs' libraries read; a block may well call its own variable HF_MODEL.
_HUB_VARIABLES = re.compile(
    r"(?:HF_(?:HOME|TOKEN|ENDPOINT|DEBUG|HUB_\w+|DATASETS_\w+|XET_\w+)|HUGGING_?FACE_HUB_\w+|MODELSCOPE_\w+"
    r"|(?:LMDEPLOY|VLLM|SGLANG)_USE_\w+|TRANSFORMERS_\w+)",
    re.IGNORECASE,
)


def set_variable(block: Block, start: int, end: int, name: str, value: str) -> None:
    value = block.substituted(value.strip().strip("\"';"))
    block.variables[name.upper()] = value
    block.variables[name] = value
    if name.upper() == "CUDA_VISIBLE_DEVICES":
        gpus = [gpu.strip() for gpu in re.split(r"[,，、;\s]+", value) if gpu.strip()]
        if gpus and gpus != ["-1"]:
            block.surroundings["gpus"] = gpus
            block.tell(start, end, "translated", "paste.translated", {"value": ", ".join(gpus)}, "gpus")
            return
    if name.upper() == "HF_ENDPOINT" and value:
        block.surroundings["mirror"] = value
        block.tell(start, end, "left", "paste.mirror", {"value": value[:100]}, level="warning")
        return
    key = "paste.hub_variable" if _HUB_VARIABLES.fullmatch(name) else "paste.variable_left"
    block.tell(start, end, "left", key, {"name": name}, level="warning")
