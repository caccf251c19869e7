import pytest

from backend.errors import InvalidInput
from ui.tabs.deploy.paste import parse_command


def test_the_tutorials_command() -> None:
    pasted = parse_command(
        "lmdeploy serve api_server \\\n    /root/models/internlm2_5-7b-chat \\\n    --model-format hf \\\n"
        "    --quant-policy 0 \\\n    --server-name 0.0.0.0 \\\n    --server-port 23333 \\\n    --tp 1\n"
    )
    assert pasted.values == {
        "engine": "turbomind", "model": "/root/models/internlm2_5-7b-chat", "model_format": "hf", "quant_policy": "0",
        "port": "23333", "tp": "1",
    }  # fmt: skip
    assert [(note.key, note.params["flag"]) for note in pasted.notes] == [("deploy.paste.owned", "--server-name")]


def test_lmdeploy_0_1_with_underscores_and_what_is_gone() -> None:
    pasted = parse_command(
        "lmdeploy serve api_server ./workspace --server_name 0.0.0.0 --server_port 23333 --instance_num 64 --tp 1"
    )
    assert pasted.values == {"engine": "turbomind", "model": "./workspace", "port": "23333", "tp": "1"}
    assert [note.key for note in pasted.notes] == ["deploy.paste.owned", "deploy.paste.gone"]


@pytest.mark.parametrize("flag", ["--cache-max-entry-count", "--cache_max_entry_count", "--cache-max-entry_count"])
def test_the_cache_ratio_in_every_spelling(flag: str) -> None:
    assert parse_command(f"lmdeploy serve api_server m {flag} 0.4").values["cache_max_entry_count"] == "0.4"
    assert parse_command(f"lmdeploy serve api_server m {flag}=0.4").values["cache_max_entry_count"] == "0.4"


def test_gpus_engine_trust_and_further_flags() -> None:
    pasted = parse_command(
        "$ CUDA_VISIBLE_DEVICES=0,1 nohup lmdeploy serve api_server --enable-prefix-caching '/a b/m' --backend pytorch "
        "--quant-policy int8 --trust-remote-code --max_batch_size 64 > log 2>&1 &",
        {"--enable-prefix-caching"},
    )
    assert pasted.values == {
        "engine": "pytorch", "model": "/a b/m", "gpus": ["0", "1"], "quant_policy": "8", "trust_remote_code": True,
        "extra": "--enable-prefix-caching --max-batch-size 64",
    }  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        "lmdeploy chat /root/models/m-w4a16 --model-format awq",
        "lmdeploy chat turbomind /root/models/m-w4a16 --model_format awq",
        "lmdeploy serve gradio /root/models/m-w4a16 --model-format awq",
        "python -m lmdeploy chat /root/models/m-w4a16 --model-format awq",
    ],
)
def test_what_is_no_server_is_read_as_one_and_says_so(command: str) -> None:
    pasted = parse_command(command)
    assert pasted.values == {"engine": "turbomind", "model": "/root/models/m-w4a16", "model_format": "awq"}
    assert [note.key for note in pasted.notes] == ["deploy.paste.served_instead"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "deploy.error.paste"),
        ("rm -rf /", "deploy.error.paste"),
        ("lmdeploy convert internlm-chat-7b /m", "deploy.error.paste"),
        ("lmdeploy lite auto_awq /m", "deploy.error.paste_lite"),
        ("lmdeploy serve api_server --tp 2", "deploy.error.paste_no_model"),
        ("lmdeploy serve api_server 'm", "deploy.error.quotes"),
    ],
)
def test_anything_else_is_refused(text: str, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_command(text)
    assert [(message.key, message.field) for message in caught.value.messages] == [(key, "deploy-paste")]


def test_comments_and_later_lines_are_left_out() -> None:
    pasted = parse_command("# serve it\nlmdeploy serve api_server m --tp 2 # two cards\necho done")
    assert pasted.values == {"engine": "turbomind", "model": "m", "tp": "2"}
