"""Which parsers are proposed: by what templates of real models write, then by the architecture."""

import json
from pathlib import Path

import pytest

from backend.engines.parsers import Told, missing_parsers, read_told, reasoning_parsers, tool_parsers
from backend.models.chat_template import has_token, template_of
from tests.support.machines import ASKED_COURSE, CONSOLE, config, model

# Cut out of the models' own templates.
QWEN25 = """# Tools ... XML tags:\\n<tool_call>\\n{\\"name\\": <function-name>, \\"arguments\\": ..."""
QWEN3 = (
    QWEN25
    + """{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"""
)
CODER = """<tool_call>\\n<function=example_function_name>\\n<parameter=example_parameter_1>\\nvalue_1\\n</parameter>"""
GLM = """<tool_call>{function-name}\\n<arg_key>{arg-key-1}</arg_key>\\n<arg_value>{arg-value-1}</arg_value>"""
KIMI = """<|tool_calls_section_begin|>{%- for tool_call in message['tool_calls'] -%}<|tool_call_begin|>"""
INTERN = """<|im_start|>assistant\\n<|action_start|><|plugin|>{{ tool_call.function | tojson }}<|action_end|>"""
LLAMA = """{{- "<|python_tag|>" + tool_call.name + ".call(" }}"""
R1 = """{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜><think>\\n'}}{% endif %} '</think>' """
V31 = """{% if not thinking is defined %}{% set thinking = false %}{% endif %}{%- if add_generation_prompt -%}
{%- if not thinking -%}{{'</think>'}}{%- else -%}{{'<think>'}}{%- endif -%}{%- endif -%}"""
PLAIN = """{% for message in messages %}{{ message.role + ': ' + message.content }}{% endfor %}"""


@pytest.mark.parametrize(
    ("architecture", "template", "first"),
    [
        ("Qwen2ForCausalLM", QWEN25, "qwen2d5"),
        ("Qwen3ForCausalLM", QWEN3, "qwen3"),
        ("LlamaForCausalLM", QWEN25, "qwen3"),  # Hermes and other models that write calls in that way
        ("Qwen3MoeForCausalLM", CODER, "qwen3coder"),
        ("Glm4MoeForCausalLM", GLM, "glm47"),
        ("DeepseekV3ForCausalLM", KIMI, "kimi-k2"),
        ("InternLM3ForCausalLM", INTERN, "internlm"),
        ("InternS1ForConditionalGeneration", INTERN, "intern-s1"),
        ("LlamaForCausalLM", LLAMA, "llama3"),
        ("InternLM2ForCausalLM", PLAIN, "internlm"),
        ("Qwen2ForCausalLM", "", "qwen2d5"),
        ("LlamaForCausalLM", PLAIN, ""),
        ("NovaForCausalLM", "", ""),
    ],
)
def test_the_tools_parser(architecture: str, template: str, first: str) -> None:
    assert next(iter(tool_parsers(architecture, template)), "") == first


@pytest.mark.parametrize(
    ("architecture", "template", "token", "first"),
    [
        ("Qwen3ForCausalLM", QWEN3, True, "default"),
        ("Qwen2ForCausalLM", R1, True, "default"),
        ("DeepseekV3ForCausalLM", V31, True, "deepseek-v3"),
        ("DeepseekV32ForCausalLM", "", False, "deepseek-v32"),
        ("Qwen3ForCausalLM", QWEN3, False, ""),  # the server would end: its vocabulary lacks the tags
        ("Qwen2ForCausalLM", QWEN25, True, ""),
        # It only takes thoughts out of earlier turns, and doesn't think itself: all it says would be thought.
        ("Qwen3ForCausalLM", "{{ message.content.split('</think>')[-1] }}", True, ""),
        ("LlamaForCausalLM", "", True, ""),
    ],
)
def test_the_reasoning_parser(architecture: str, template: str, token: bool, first: str) -> None:
    assert next(iter(reasoning_parsers(architecture, Told(template, token))), "") == first


def test_only_what_the_installed_version_lists() -> None:
    told = Told(QWEN3, True)
    chosen = model("Qwen3ForCausalLM")
    found = missing_parsers(config(), chosen, CONSOLE, told)
    assert [(m.params["flag"], m.params["parser"]) for m in found] == [
        ("--tool-call-parser", "qwen3"),
        ("--reasoning-parser", "default"),
    ]
    assert missing_parsers(config(), chosen, ASKED_COURSE, told) == ()  # 0.5.3 has no such flags
    given = config(extra=("--tool-call-parser=qwen3", "--reasoning-parser", "default"))
    assert missing_parsers(given, chosen, CONSOLE, told) == ()
    assert missing_parsers(config("transformers"), chosen, CONSOLE, told) == ()
    assert missing_parsers(config(), None, CONSOLE, told) == ()


def test_read_from_the_folder(tmp_path: Path) -> None:
    assert read_told(model()) == Told()  # a folder that isn't there
    (tmp_path / "chat_template.jinja").write_text(QWEN3, encoding="utf-8")
    assert read_told(model(path=tmp_path)) == Told(QWEN3, False)
    tokens = [{"id": 1, "content": "<think>"}]
    for text in (json.dumps({"added_tokens": tokens}), json.dumps({"added_tokens": tokens}, separators=(",", ":"))):
        (tmp_path / "tokenizer.json").write_text(text)
        assert read_told(model(path=tmp_path)).think_token
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.json").mkdir()
    assert not has_token(tmp_path, "<think>")
    assert template_of(Path("org/model")) == ""
