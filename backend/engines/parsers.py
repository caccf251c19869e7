"""Which parsers read a model's calls of tools and its thoughts: without them an LMDeploy server gives both as plain
text. Pure.

The chat template says how a model writes its calls; where it doesn't, the architecture does. Only names that the
installed LMDeploy lists are proposed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.machine.fit import capabilities_of
from backend.machine.flags import choices
from backend.machine.machine import Environment
from backend.models.chat_template import has_token, template_of
from backend.models.checkpoint import ModelInfo

TOOLS, REASONING = "--tool-call-parser", "--reasoning-parser"
ENGINES = frozenset({"turbomind", "pytorch"})

# What stands in a template that writes calls of tools that way, and the parsers that read it (the classes in LMDeploy's
# serve/parsers/tool_parser), the best first. The more telling signs come first: several formats share <tool_call>.
_BY_TEMPLATE = (
    (r"<function=.*<parameter=", ("qwen3coder",)),
    (r"<arg_key>", ("glm47",)),
    (r"<\|tool_calls_section_begin\|>", ("kimi-k2", "kimi_k2")),
    (r"<\|action_start\|>.*<\|plugin\|>", ("internlm", "intern-s1")),
    (r"<\|python_tag\|>", ("llama3",)),
    (r"<｜DSML｜", ("deepseek-v32", "deepseek-v4")),
    (r"<tool_call>.{0,200}[\"']?name|\"name\\?\".{0,200}<\/tool_call>", ("qwen3", "qwen2d5", "qwen")),
)
# By the beginning of the text model's architecture.
_BY_ARCHITECTURE = (
    ("Qwen3CoderNext", ("qwen3coder",)),
    ("Qwen2", ("qwen2d5", "qwen")),
    ("Qwen3", ("qwen3", "qwen")),
    ("InternLM", ("internlm",)),
    ("InternS1", ("intern-s1",)),
    ("DeepseekV32", ("deepseek-v32",)),
    ("DeepseekV4", ("deepseek-v4",)),
    ("Glm4Moe", ("glm47",)),
    ("Kimi", ("kimi-k2", "kimi_k2")),
)
_THINKS_BY_ARCHITECTURE = (
    ("DeepseekV32", ("deepseek-v32", "deepseek-v3.2")),
    ("DeepseekV4", ("deepseek-v4",)),
)
# 0.18's "default" reads <think>; older versions call it by the models that it was made for.
_THINKS = ("default", "qwen-qwq", "deepseek-r1")
_ON_REQUEST = ("deepseek-v3",)
# The template opens the thought itself behind the last turn, or can be told not to think: the model does by itself.
# "default" takes all that comes before </think> for thought: a model that never thinks must not get it.
_OPENS = re.compile(r"add_generation_prompt.{0,400}<think>", re.DOTALL)
_SWITCH = re.compile(r"\benable_thinking\b")
_ONLY_ON_REQUEST = re.compile(r"\b(?:if|and)\s+thinking\b|\bset thinking\s*=\s*false", re.IGNORECASE)


@dataclass(frozen=True)
class Told:
    """What the model's folder says: its chat template's text ("" unknown), and whether <think> is a token of its."""

    template: str = ""
    think_token: bool = False


def read_told(model: ModelInfo | None) -> Told:
    """Read it; nothing for a model that isn't on this machine."""
    if model is None or model.problem is not None:
        return Told()
    return Told(template_of(model.path), has_token(model.path, "<think>"))


def missing_parsers(
    config: ServeConfig, model: ModelInfo | None, environment: Environment | None, told: Told
) -> tuple[Message, ...]:
    """The parsers that the model needs and the settings don't name; () where all is well, or nobody knows."""
    if config.engine not in ENGINES or model is None:
        return ()
    serve = capabilities_of(environment).serve
    found = []
    for flag, key, names in (
        (TOOLS, "engines.tools-parser", tool_parsers(model.text_architecture, told.template)),
        (REASONING, "engines.reasoning-parser", reasoning_parsers(model.text_architecture, told)),
    ):
        if name := _first(names, choices(serve, flag), config.extra, flag):
            found.append(Message(key, {"flag": flag, "parser": name}, "extra", "info"))
    return tuple(found)


def tool_parsers(architecture: str, template: str) -> tuple[str, ...]:
    """The parsers that read how such a model calls tools, the best first; () where nobody knows."""
    for sign, names in _BY_TEMPLATE:
        if re.search(sign, template, re.DOTALL):
            preferred = next((known for start, known in _BY_ARCHITECTURE if architecture.startswith(start)), ())
            both = [name for name in preferred if name in names]  # the name that goes with the model's own
            return tuple(dict.fromkeys((*both, *names)))
    return next((names for start, names in _BY_ARCHITECTURE if architecture.startswith(start)), ())


def reasoning_parsers(architecture: str, told: Told) -> tuple[str, ...]:
    """The parsers that tell such a model's thoughts from its answers; () where it doesn't think by itself.

    LMDeploy ends a server whose vocabulary lacks the tags.
    """
    if names := next((names for start, names in _THINKS_BY_ARCHITECTURE if architecture.startswith(start)), ()):
        return names
    if not told.think_token or "</think>" not in told.template:
        return ()
    if _OPENS.search(told.template) or _SWITCH.search(told.template):
        asked = _ONLY_ON_REQUEST.search(told.template) and not _SWITCH.search(told.template)
        return _ON_REQUEST if asked else _THINKS
    return ()


def _first(names: Iterable[str], known: Sequence[str], extra: Sequence[str], flag: str) -> str:
    if any(word.split("=")[0] == flag for word in extra):
        return ""
    return next((name for name in names if name in known), "")
