"""Which parser reads a model's calls of tools: without it an LMDeploy server gives them as plain text. Pure."""

from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.machine.fit import capabilities_of
from backend.machine.flags import choices
from backend.machine.machine import Environment
from backend.models.checkpoint import ModelInfo

FLAG = "--tool-call-parser"
ENGINES = frozenset({"turbomind", "pytorch"})
# By the beginning of the text model's architecture; LMDeploy's names (help of --tool-call-parser), the best first.
_BY_ARCHITECTURE = (
    ("Qwen2", ("qwen2d5", "qwen")),
    ("Qwen3", ("qwen3", "qwen")),
    ("InternLM", ("internlm",)),
    ("InternS1", ("intern-s1",)),
    ("DeepseekV32", ("deepseek-v32",)),
    ("Glm4Moe", ("glm47",)),
)


def missing_parser(config: ServeConfig, model: ModelInfo | None, environment: Environment | None) -> Message | None:
    """The parser that the model's tools need and the settings don't name; None where all is well, or nobody knows."""
    if config.engine not in ENGINES or model is None or any(word.split("=")[0] == FLAG for word in config.extra):
        return None
    known = choices(capabilities_of(environment).serve, FLAG)
    for beginning, names in _BY_ARCHITECTURE:
        if model.text_architecture.startswith(beginning):
            found = next((name for name in names if name in known), None)
            params = {"flag": FLAG, "parser": found or ""}
            return Message("engines.tools-parser", params, "extra", "info") if found else None
    return None
