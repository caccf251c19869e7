"""What a person types to name a model, and which hubs are asked for it."""

import pytest

from backend.downloads.sources import HUGGING_FACE, MIRROR, MODELSCOPE, Source, known_sources, name_at, read_wanted
from backend.errors import InvalidInput

MIRRORED = (Source("huggingface", "http://10.0.0.7:8090"), Source("modelscope", MODELSCOPE))


@pytest.mark.parametrize(
    ("typed", "repository", "kind", "revision"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct", "", ""),
        ("  'internlm/internlm2_5-7b-chat'\n", "internlm/internlm2_5-7b-chat", "", ""),
        ("org/name@v1.0", "org/name", "", "v1.0"),
        ("https://huggingface.co/org/name", "org/name", "huggingface", ""),
        ("https://huggingface.co/org/name/tree/main", "org/name", "huggingface", ""),
        ("https://huggingface.co/org/name/blob/refs%2Fpr%2F3/config.json", "org/name", "huggingface", "refs/pr/3"),
        ("huggingface.co/org/name?library=x#files", "org/name", "huggingface", ""),
        ("hf.co/org/name", "org/name", "huggingface", ""),
        ("https://hf-mirror.com/org/name/tree/v2", "org/name", "huggingface", "v2"),
        ("https://www.modelscope.cn/models/org/name/files", "org/name", "modelscope", ""),
        ("https://modelscope.cn/models/org/name", "org/name", "modelscope", ""),
        ("git clone https://www.modelscope.cn/org/name.git", "org/name", "modelscope", ""),
        ("git clone https://user:hf_token@huggingface.co/org/name", "org/name", "huggingface", ""),
        ("http://10.0.0.7:8090/org/name", "org/name", "huggingface", ""),
    ],
)
def test_what_names_a_model(typed: str, repository: str, kind: str, revision: str) -> None:
    wanted = read_wanted(typed, MIRRORED)
    assert (wanted.repository, wanted.kind, wanted.revision, wanted.search) == (repository, kind, revision, "")


@pytest.mark.parametrize(
    "typed", ["qwen 0.5b", "通义千问", "internlm2", "a/b/c", "org/na me", "org/name@ two", "-x/-y"]
)
def test_the_rest_is_searched_for(typed: str) -> None:
    wanted = read_wanted(typed)
    assert (wanted.repository, wanted.search) == ("", typed)


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("", "downloads.nothing-typed"),
        (" \t'' ", "downloads.nothing-typed"),
        ("x" * 501, "downloads.too-long"),
        ("https://example.com/org/name", "downloads.no-page"),
        ("https://huggingface.co/datasets/org/name", "downloads.no-page"),
        ("https://huggingface.co/org", "downloads.no-page"),
        ("http://10.0.0.8:8090/org/name", "downloads.no-page"),
        ("https://huggingface.co.evil.example/org/name", "downloads.no-page"),
        ("http://[::1/org/name", "downloads.no-page"),
    ],
)
def test_what_names_none(typed: str, key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_wanted(typed, MIRRORED)
    assert refused.value.messages[0].key == key


def test_which_hubs_are_asked() -> None:
    """The public ones; who sets an address of their own wants no other of that kind, and keeps a token for it."""
    public = known_sources({})
    assert [(one.endpoint, one.own) for one in public] == [(HUGGING_FACE, True), (MIRROR, False), (MODELSCOPE, True)]
    own = known_sources({"HF_ENDPOINT": "https://hf.school.example/", "MODELSCOPE_ENDPOINT": "modelscope.ai"})
    assert [(one.endpoint, one.own) for one in own] == [
        ("https://hf.school.example", True),
        ("https://modelscope.ai", True),
    ]
    assert known_sources({"HF_ENDPOINT": "ftp://x", "MODELSCOPE_DOMAIN": "http://[::1"}) == public
    assert [one.name for one in public] == ["huggingface.co", "hf-mirror.com", "www.modelscope.cn"]


@pytest.mark.parametrize(
    ("typed", "kind", "name"),
    [
        ("internlm/internlm2_5-7b-chat", "modelscope", "Shanghai_AI_Laboratory/internlm2_5-7b-chat"),
        ("internlm/internlm2_5-7b-chat", "huggingface", "internlm/internlm2_5-7b-chat"),
        ("https://modelscope.cn/models/Shanghai_AI_Laboratory/m", "huggingface", "internlm/m"),
        ("https://modelscope.cn/models/Shanghai_AI_Laboratory/m", "modelscope", "Shanghai_AI_Laboratory/m"),
        ("https://modelscope.cn/models/LLM-Research/m", "huggingface", "LLM-Research/m"),
        ("Qwen/m", "modelscope", "Qwen/m"),
    ],
)
def test_names_on_the_other_hub(typed: str, kind: str, name: str) -> None:
    assert name_at(Source(kind, "https://x.example"), read_wanted(typed)) == name
