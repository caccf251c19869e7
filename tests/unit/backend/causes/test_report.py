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
        ("GET https://huggingface.co/api?token=hf_abcdefghij", "hf_abc"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcj"),
        ("{'authorization': 'Bearer xyzzy42'}", "xyzzy42"),
        ("curl -H 'Authorization: Bearer qwerty99' http://h/v1", "qwerty99"),
        ("X-Api-Key: abcdef", "abcdef"),
        ("api-key: abcdef12", "abcdef12"),
        ("cookie: session=abcdef12", "abcdef12"),
        ("Set-Cookie: console=abcdef12; Path=/", "abcdef12"),
        ("https://abcdef123@git.example/x.git", "abcdef123"),
        ("https://x/y?key=AIzaSyA1234567890", "AIzaSy"),
        ("https://x/y?a=1&api_key=abcd1234", "abcd1234"),
        ("https://x/y?sig=abcd1234%3D&x=1", "abcd1234"),
        ("ssh -p 41682 root@ssh.example.com", "ssh.example.com"),
        ("ssh -CNg -L 7860:127.0.0.1:7860 root@10.1.2.3 -p 33090", "10.1.2.3"),
        ("ssh bob@gpu-box", "bob"),
        ("scp x bob@localhost:/tmp", "bob"),
        ("ssh -i /home/bob/.ssh/id_rsa -l carol gpu7", "carol"),
        ("cwd: /home/bob", "bob"),
        ("No such file or directory: '/home/bob'", "bob"),
        ("in /Users/bob)", "bob"),
        ("~bob/models/x", "bob"),
        ("C:\\Users\\bob\\models\\x", "bob"),
        ("/home/wang fang/models/x", "wang fang"),
        ("file:///home/bob/x.png", "bob"),
        ("'/data/home/bob/x'", "bob"),
        ("USER=bob LOGNAME=bob", "bob"),
        ("HOME=/home/bob", "bob"),
        ("Namespace(api_keys=['abcd11', 'efgh22'], tp=1)", "efgh22"),
        ("argv: ['lmdeploy', '--api-keys', 'abcd11', 'efgh22', '--tp', '2']", "abcd11"),
        ("argv: ['lmdeploy', '--api-keys', 'abcd11', 'efgh22', '--tp', '2']", "efgh22"),
        ("--api-keys=abcd11", "abcd11"),
        ("--hf-token hf_x1", "hf_x1"),
        ("AWS_SECRET_ACCESS_KEY=wJalrX", "wJalrX"),
        ("AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AKIAIOS"),
        ("client_secret: abcd1234", "abcd1234"),
        ("passphrase=hunter2", "hunter2"),
        ('{\\"api_key\\": \\"abcd1234\\"}', "abcd1234"),
        ("token%3Dabcd1234", "abcd1234"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\nAAAAB3\n-----END OPENSSH PRIVATE KEY-----", "b3BlbnNz"),
        ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQ bob@box", "AAAAB3Nz"),
        ("http://127.0.0.1:39793/d2bd0da2b1e2158c3f8ab2f797ad2300/console/log", "d2bd0da2"),
        ("HTTPS_PROXY=http://bob:pw@10.0.0.1:8080", "pw@"),
        ("proxy http://bob@proxy:8080", "bob"),
        ("password is hunter2", "hunter2"),
        ("PermissionError: [Errno 13] Permission denied: '/home/bob/.cache/huggingface/token'", "bob"),
        ("/home/王芳/models/internlm", "王芳"),
        ("lmdeploy serve api_server /home/bob/models/qwen --model-name qwen", "bob"),
        ("KeyError in /home/bob/work.py:12", "bob"),
        ("(cd /home/bob && ls)", "bob"),
        ("PATH=/usr/bin:/home/bob/bin:/opt", "bob"),
        ("a,/home/bob/x;b", "bob"),
        ("glpat-abcdefgh1234 gho_abcdefgh1234 github_pat_11ABCDEFG", "abcdefgh"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.sflKxw", "eyJhbGci"),
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
        "node1:88:120 [0] misc/shmutils.cc:72 NCCL WARN",
        "decorated with @torch.no_grad()",
        "Setting `pad_token_id` to `eos_token_id`:2",
        "2026-11-25 10:00:00,000 - lmdeploy - ERROR - base.py:54",
        "model.layers.0.self_attn.q_proj.weight 50%|█ | 7/24 [00:00<00:00, 69.18it/s]",
        "Home directory not found",
        "email me @ noon",
        "sm_90 / sm_100 a/b/c",
        "user prompt: hi",
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
