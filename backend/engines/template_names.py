"""Which chat template LMDeploy takes because of a folder's name, whatever stands in the folder. Pure.

LMDeploy 0.18 (model.py, ``match``) looks for these words in the whole path, in this order, before it looks at the
model's own template. ``--chat-template hf`` takes the model's own.
"""

from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.machine.fit import capabilities_of
from backend.machine.flags import find
from backend.machine.machine import Environment
from backend.models.checkpoint import ModelInfo

FLAG = "--chat-template"
VERSION = "0.18."
# The template's name, words that the path must have, and words that it must not.
_BY_PATH: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("cogvlm", ("cogvlm",), ("cogvlm2",)),
    ("vicuna", ("vicuna",), ("llava",)),
    ("vicuna", ("wizardlm",), ()),
    ("llava-v1", ("llava", "v1"), ("v1.6-34b", "mistral")),
    ("llava-v1", ("llava-1.5",), ()),
    ("llama2", ("llama-2",), ()),
    ("llama2", ("llama2",), ()),
    ("codellama", ("codellama",), ()),
    ("chatglm", ("chatglm2",), ()),
    ("mistral", ("instruct", "mistral"), ()),
    ("mistral", ("llava", "mistral"), ()),
    ("mixtral", ("instruct", "mixtral"), ()),
    ("mixtral", ("llava", "mixtral"), ()),
    ("internvl-zh", ("internvl-chat", "v1-1"), ()),
    ("deepseek-vl", ("deepseek-vl", "chat"), ()),
    ("deepseek-vl2", ("deepseek-vl2",), ()),
)


def template_by_path(path: str) -> str:
    """The built-in template that the path's words choose; "" for none: the model's own is taken."""
    lowered = path.lower()
    for name, needed, forbidden in _BY_PATH:
        if all(word in lowered for word in needed) and not any(word in lowered for word in forbidden):
            return name
    return ""


def template_message(
    config: ServeConfig, model: ModelInfo, environment: Environment | None, own: bool | None
) -> Message | None:
    """What is to be said of it; ``own``: whether the model has a template itself. None for versions that weren't read,
    and where a person names the template."""
    version = environment.lmdeploy if environment is not None else ""
    given = any(word.split("=")[0] == FLAG for word in config.extra)
    if not version.startswith(VERSION) or given or find(capabilities_of(environment).serve, FLAG) is None:
        return None
    name = template_by_path(str(model.path))
    if not name or own is None:
        return None
    params = {"template": name, "path": str(model.path)}
    if own:
        return Message("engines.template-by-name", params, "extra", "warning")
    return Message("engines.template-built-in", params, "extra", "info")
