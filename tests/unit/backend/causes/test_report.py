"""The text for others: no key, account or folder of a person stands in it, and what happened does."""

import pytest

from backend.causes.report import report, without_secrets

HOME = {"/home/li ming": "~", "/data/class 3/Qwen2-7B": "Qwen2-7B"}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("lmdeploy serve api_server m --api-keys abc123 def456 --tp 2", "abc123"),
        ("lmdeploy serve api_server m --api-keys abc123 def456 --tp 2", "def456"),
        ("HF_TOKEN=hf_AbCdEfGhIjKlMnOp", "hf_AbCd"),
        ("token: 'supersecret'", "supersecret"),
        ('{"api_key": "supersecret"}', "supersecret"),
        ("Authorization: Bearer abc.def.ghi", "abc.def"),
        ("using sk-proj-1234567890abcdef", "1234567890"),
        ("https://bob:hunter2@proxy.example:3128", "hunter2"),
        ("GET https://x/y?X-Amz-Signature=deadbeef&a=1", "deadbeef"),
        ("PASSWORD=hunter2", "hunter2"),
        ("MODELSCOPE_API_TOKEN = 0f9e8d7c", "0f9e8d7c"),
        ("mail bob.smith@example.org", "bob.smith"),
        ("OSError: '/home/bob/secret-project/model/config.json'", "bob"),
        ("OSError: '/home/bob/secret-project/model/config.json'", "secret-project"),
        ('  File "/home/bob/.venv/lib/python3.11/site-packages/lmdeploy/utils.py", line 3', "bob"),
        ("/home/li ming/models/x", "li ming"),
        ("--model /data/class 3/Qwen2-7B --tp 1", "class 3"),
        ("/Users/bob/x", "bob"),
    ],
)
def test_nothing_of_a_person_is_left(text: str, secret: str) -> None:
    assert secret not in without_secrets(text, HOME)


@pytest.mark.parametrize(
    "text",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB",
        "huggingface_hub: https://huggingface.co/internlm/internlm2_5-1_8b/resolve/main/config.json",
        "http://127.0.0.1:23333/v1/chat/completions",
        "/usr/lib/python3.12/json/decoder.py",
        "max_new_tokens=512, session_len=32768, tokens/s 120, 7/24 [00:00<00:00]",
        "PermissionError: [Errno 13] Permission denied: '/dev/nvidia0'",
    ],
)
def test_what_happened_is_left(text: str) -> None:
    assert without_secrets(text, HOME) == text


def test_the_parts_of_a_report() -> None:
    text = report(
        [("LMDeploy", "0.18.0"), ("driver", ""), ("command", "lmdeploy serve api_server /home/bob/a/m --tp 1")],
        ["one", 'File "/home/bob/venv/lib/python3.11/site-packages/lmdeploy/x.py"', "RuntimeError: no"],
        {},
    )
    assert text.startswith("LMDeploy: 0.18.0\ncommand: lmdeploy serve api_server …/m --tp 1\n\n```\none\n")
    assert 'File "…/site-packages/lmdeploy/x.py"\nRuntimeError: no\n```' in text
