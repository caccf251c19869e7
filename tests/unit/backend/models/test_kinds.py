"""Folders that are something else than a model: each is named, in both languages, with what to do."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.errors import InvalidInput
from backend.models.catalog import Catalog
from backend.models.checkpoint import read_model, read_tensors
from tests.support.tiny_models import QWEN2, QWEN2_TENSORS, fake_model, write_safetensors
from ui.i18n import LANGUAGES, say

Maker = Callable[[Path], object]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4976698672\n"
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>" + b"x" * 3000 + b"</body></html>"
TENSOR = {"a": ("F16", (4, 4))}


def empty(folder: Path, **files: bytes | str | dict[str, object]) -> Path:
    """A folder with these files; __ in a name is a dot, ___ a slash."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        file = folder / name.replace("___", "/").replace("__", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content) if isinstance(content, dict) else content
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def adapter(folder: Path) -> None:
    empty(folder, adapter_config__json={"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen2-7B"})
    write_safetensors(folder / "adapter_model.safetensors", TENSOR)


def adapter_with_config(folder: Path) -> None:
    adapter(folder)
    (folder / "config.json").write_text(json.dumps(QWEN2))


def without_weights(**files: bytes | str | dict[str, object]) -> Maker:
    """A config.json, and these files in place of weights."""
    return lambda folder: empty(folder, config__json=QWEN2, **files)


def links(target: str) -> Maker:
    def make(folder: Path) -> None:
        folder.mkdir()
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            (folder / name).symlink_to(target + name)

    return make


def linked(name: str, *real: str) -> Maker:
    """A whole model beside a link to nothing."""

    def make(folder: Path) -> None:
        empty(fake_model(folder), **{file.replace(".", "__"): "{}" for file in real})
        (folder / name).symlink_to("/nowhere")

    return make


def beside(**files: bytes) -> Maker:
    return lambda folder: empty(fake_model(folder), **files)


def written_twice(folder: Path) -> None:
    with (fake_model(folder) / "model.safetensors").open("ab") as file:
        file.write(b"more")


def one_link(folder: Path) -> None:
    file = fake_model(folder, shards=2) / "model-00001-of-00002.safetensors"
    file.unlink()
    file.symlink_to("/nowhere/model-00001-of-00002.safetensors")


def circle(folder: Path) -> None:
    fake_model(folder)
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("config.json")


def shards_without_index(folder: Path) -> None:
    fake_model(folder, shards=3)
    (folder / "model.safetensors.index.json").unlink()
    (folder / "model-00002-of-00003.safetensors").unlink()


def stale_index(folder: Path) -> None:
    fake_model(folder)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def mlx(folder: Path) -> None:
    layer = "model.layers.0.mlp.up_proj"
    tensors = {
        f"{layer}.weight": ("U32", (1024, 64)),
        f"{layer}.scales": ("BF16", (1024, 8)),
        f"{layer}.biases": ("BF16", (1024, 8)),
    }
    fake_model(folder, QWEN2 | {"quantization": {"group_size": 64, "bits": 4}}, tensors)


def embedding(folder: Path) -> None:
    empty(fake_model(folder), modules__json="[]", config_sentence_transformers__json={})


def encoder(architecture: str) -> Maker:
    return lambda folder: fake_model(folder, QWEN2 | {"architectures": [architecture]})


def swapped(name: str, content: bytes) -> Maker:
    def make(folder: Path) -> None:
        (fake_model(folder) / name).write_bytes(content)

    return make


def in_utf(encoding: str, name: str = "config.json") -> Maker:
    def make(folder: Path) -> None:
        (fake_model(folder) / name).write_bytes(
            json.dumps(QWEN2 | {"说明": "模型"}, ensure_ascii=False).encode(encoding)
        )

    return make


LATIN = json.dumps(QWEN2 | {"note": "modèle entraîné à Orléans"}, ensure_ascii=False).encode("latin-1")
MIXED = LATIN[:-1] + ',\n"说明": "模型"}'.encode("gbk")

KINDS: dict[str, tuple[Maker, str]] = {
    "lora": (adapter, "models.adapter"),
    "lora-with-config": (adapter_with_config, "models.adapter"),
    "gguf": (lambda f: empty(f, qwen2_5__Q4_K_M__gguf=b"GGUF"), "models.gguf"),
    "gguf-with-config": (without_weights(model__gguf=b"GGUF"), "models.gguf"),
    "onnx": (lambda f: empty(f, model__onnx=b"x", tokenizer__json={}), "models.other-format"),
    "onnx-below": (without_weights(onnx___model__onnx=b"x"), "models.other-format"),
    "openvino": (without_weights(openvino_model__xml=b"x", openvino_model__bin=b"x"), "models.other-format"),
    "tensorflow": (without_weights(tf_model__h5=b"x"), "models.other-format"),
    "flax": (without_weights(flax_model__msgpack=b"x"), "models.other-format"),
    "mlc": (lambda f: empty(f, **{"mlc-chat-config__json": {}, "tokenizer__json": {}}), "models.other-format"),
    "mlx": (mlx, "models.mlx"),
    "meta": (
        lambda f: empty(f, params__json={}, consolidated__00__pth=b"x", tokenizer__model=b"x"),
        "models.original-format",
    ),
    "diffusers": (
        lambda f: empty(f, model_index__json={"_class_name": "X"}, unet___config__json={}),
        "models.diffusers",
    ),
    "sentence-transformers": (embedding, "models.embedding"),
    "bert": (encoder("BertForMaskedLM"), "models.not-generating"),
    "clip": (encoder("CLIPModel"), "models.not-generating"),
    "reranker": (encoder("XLMRobertaForSequenceClassification"), "models.not-generating"),
    "whisper": (encoder("WhisperForConditionalGeneration"), "models.not-generating"),
    "lfs-weights": (swapped("model.safetensors", POINTER), "models.lfs-pointer"),
    "lfs-config": (swapped("config.json", POINTER), "models.lfs-pointer"),
    "lfs-bin": (without_weights(pytorch_model__bin=POINTER), "models.lfs-pointer"),
    "lfs-tokenizer": (swapped("tokenizer.model", POINTER), "models.lfs-pointer"),
    "lfs-template": (swapped("chat_template.jinja", POINTER), "models.lfs-pointer"),
    "page-tokenizer": (swapped("tokenizer.json", PAGE), "models.lfs-page"),
    "tokenizer-link-to-nothing": (linked("tokenizer.json"), "models.dangling-links"),
    "tokenizer-config-link": (linked("tokenizer_config.json", "tokenizer.json"), "models.dangling-links"),
    "page-weights": (swapped("model.safetensors", PAGE), "models.lfs-page"),
    "page-config": (swapped("config.json", PAGE), "models.lfs-page"),
    "refused-weights": (swapped("model.safetensors", b'{"error":"Invalid username or password."}'), "models.refusal"),
    "refused-config": (swapped("config.json", b'{"error":"Repository not found"}'), "models.refusal"),
    "refused-config-as-text": (swapped("config.json", b"Entry not found"), "models.refusal"),
    "refused-vocabulary": (
        swapped("tokenizer.model", b"Access to model meta-llama/Llama-2-7b is restricted."),
        "models.refusal",
    ),
    "refused-settings": (swapped("special_tokens_map.json", b"Entry not found"), "models.refusal"),
    "refused-by-modelscope": (swapped("tokenizer.json", b'{"Code":10010205001,"Message":"x"}'), "models.refusal"),
    "gguf-renamed": (swapped("model.safetensors", b"GGUF\3\0\0\0" + b"\0" * 500), "models.gguf"),
    "zip-renamed": (swapped("model.safetensors", b"PK\3\4" + b"x" * 500), "models.bad-header"),
    "empty-index": (swapped("model.safetensors.index.json", b'{"weight_map": {}}'), "models.index-empty"),
    "links-to-nothing": (links("/nowhere/"), "models.dangling-links"),
    "snapshot-alone": (links("../../blobs/"), "models.snapshot-without-blobs"),
    "one-link-to-nothing": (one_link, "models.dangling"),
    "link-in-a-circle": (circle, "models.dangling-links"),
    "incomplete": (without_weights(**{"model__safetensors__incomplete": b"x"}), "models.half-download"),
    "part": (without_weights(**{"model__safetensors__part": b"x"}), "models.half-download"),
    "aria2": (without_weights(**{"model__safetensors__aria2": b"x"}), "models.half-download"),
    "aria2-beside-the-whole-length": (beside(model__safetensors__aria2=b"x"), "models.half-download"),
    "written-twice": (written_twice, "models.too-long"),
    "ggml": (lambda f: empty(f, **{"ggml-model-q4_0__bin": b"x"}), "models.gguf"),
    "mnn": (lambda f: empty(f, llm__mnn=b"x", llm_config__json={}), "models.other-format"),
    "xtuner": (lambda f: empty(f, iter_500__pth=b"x"), "models.training-checkpoint"),
    "megatron": (
        lambda f: empty(f, latest_checkpointed_iteration__txt="1", iter_0000001___mp_rank_00___x__pt=b"x"),
        "models.training-checkpoint",
    ),
    "hf-download": (
        without_weights(**{"__cache___huggingface___download___x__incomplete": b"x"}),
        "models.half-download",
    ),
    "modelscope-temp": (without_weights(**{"________temp": b""}), ""),
    "missing-shard": (shards_without_index, "models.missing-shards"),
    "stale-index": (stale_index, "models.stale-index"),
    "split": (
        without_weights(**{"model__safetensors__001": b"x", "model__safetensors__002": b"x"}),
        "models.split-file",
    ),
    "tokenizer-alone": (lambda f: empty(f, tokenizer__json={}, tokenizer_config__json={}), "models.tokenizer-only"),
    "deepspeed": (without_weights(global_step500___x__pt=b"x", zero_to_fp32__py=""), "models.training-checkpoint"),
    "distcp": (without_weights(__0_0__distcp=b"x"), "models.training-checkpoint"),
    "optimizer": (lambda f: empty(f, optimizer__pt=b"x", trainer_state__json={}), "models.training-checkpoint"),
    "nested": (lambda f: fake_model(f / "Qwen2-7B"), "models.nested"),
    "zip": (lambda f: empty(f, qwen__zip=b"PK"), "models.archive"),
    "tar": (lambda f: empty(f, **{"qwen__tar__gz": b"x"}), "models.archive"),
    "ollama": (lambda f: empty(f, **{"manifests___x": "", "blobs___sha256-0123456789abcdef": "x"}), "models.ollama"),
    "ollama-blobs": (lambda f: empty(f, **{"sha256-0123456789abcdef": b"GGUF"}), "models.ollama"),
    "workspace": (lambda f: empty(f, triton_models___weights___config__ini=""), "models.turbomind-workspace"),
    "nothing": (lambda f: empty(f), "models.no-config"),
    "config-alone": (without_weights(), "models.no-weights"),
    "bom": (in_utf("utf-8-sig"), "models.encoding"),
    "utf-16": (in_utf("utf-16"), "models.encoding"),
    "gbk": (in_utf("gbk"), "models.encoding"),
    "latin-1": (swapped("config.json", LATIN), "models.encoding"),
    "two-encodings": (swapped("config.json", MIXED), "models.encoding-mixed"),
    "bom-tokenizer": (in_utf("utf-8-sig", "tokenizer_config.json"), "models.encoding"),
    "bom-generation": (in_utf("utf-8-sig", "generation_config.json"), "models.encoding"),
}
del KINDS["modelscope-temp"]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_named_with_what_to_do(tmp_path: Path, kind: str) -> None:
    make, key = KINDS[kind]
    make(tmp_path / kind)
    problem = read_model(tmp_path / kind).problem
    assert problem is not None
    assert problem.key == key
    for language in LANGUAGES:
        text = say(problem, language)
        assert "{" not in text
        assert str(tmp_path) in text
    with pytest.raises(InvalidInput) as caught:  # a person may give that folder by its path
        Catalog([]).find(str(tmp_path / kind))
    assert caught.value.messages[0].key == key


@pytest.mark.parametrize("text", ['{"error": 0, "code": 1}', '{"code": 0, "error": 1}'])
def test_a_vocabulary_with_a_refusals_words_is_none(tmp_path: Path, text: str) -> None:
    empty(fake_model(tmp_path / "m"), vocab__json=text)
    assert read_model(tmp_path / "m").problem is None


@pytest.mark.parametrize("name", ["README.md", "merges.txt", "tokenizer.model", "vocab.json"])
def test_a_link_to_nothing_that_nothing_needs_is_let_be(tmp_path: Path, name: str) -> None:
    linked(name, "tokenizer.json")(tmp_path / "m")
    assert read_model(tmp_path / "m").problem is None


def test_those_in_a_folder_of_models_are_listed(tmp_path: Path) -> None:
    for kind, (make, _) in KINDS.items():
        make(tmp_path / kind)
    listed = {model.name: model for model in Catalog([tmp_path]).models()}
    # What nothing in a name tells of isn't listed; the model inside "nested" is.
    hidden = {"nothing", "ollama", "ollama-blobs", "workspace", "nested", "optimizer"}
    assert listed.keys() >= KINDS.keys() - hidden
    assert listed["nested/Qwen2-7B"].problem is None
    assert {name: model.problem.key for name, model in listed.items() if name in KINDS and model.problem} == {
        kind: key for kind, (_, key) in KINDS.items() if kind in listed
    }


def consolidated(folder: Path) -> None:
    write_safetensors(
        folder / "consolidated.safetensors", {f"c.{name}": value for name, value in QWEN2_TENSORS.items()}
    )


def second_layouts(folder: Path) -> None:
    consolidated(folder)
    (folder / "pytorch_model.bin").write_bytes(b"x" * 5000)
    (folder / "tf_model.h5").write_bytes(b"x" * 5000)
    write_safetensors(folder / "model.fp16.safetensors", QWEN2_TENSORS)
    write_safetensors(folder / "adapter_model.safetensors", TENSOR)
    (folder / "optimizer.pt").write_bytes(b"x" * 5000)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("add", [consolidated, second_layouts])
def test_the_same_weights_in_two_layouts_count_once(tmp_path: Path, shards: int, add: Maker) -> None:
    plain = read_model(fake_model(tmp_path / "plain", shards=shards))
    folder = fake_model(tmp_path / "both", shards=shards)
    add(folder)
    both = read_model(folder)
    assert (both.problem, both.parameters) == (None, plain.parameters)
    assert both.weight_bytes == plain.weight_bytes
    assert both.size_bytes > plain.size_bytes
    assert read_tensors(folder) == read_tensors(tmp_path / "plain")


def test_a_single_file_beside_shards_without_index(tmp_path: Path) -> None:
    folder = fake_model(tmp_path / "m", shards=2)
    (folder / "model.safetensors.index.json").unlink()
    assert len(read_tensors(folder)) == len(QWEN2_TENSORS)
    write_safetensors(folder / "model.safetensors", QWEN2_TENSORS)
    assert len(read_tensors(folder)) == len(QWEN2_TENSORS)


def test_other_names_and_only_consolidated_weights(tmp_path: Path) -> None:
    folder = fake_model(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "qwen-final.safetensors")
    consolidated(folder)
    assert {tensor.name for tensor in read_tensors(folder)} == set(QWEN2_TENSORS)
    (folder / "qwen-final.safetensors").unlink()
    assert {tensor.name for tensor in read_tensors(folder)} == {f"c.{name}" for name in QWEN2_TENSORS}


def test_bin_weights_count_without_what_lies_beside_them(tmp_path: Path) -> None:
    folder = empty(tmp_path / "m", config__json=QWEN2)
    for name, size in {"pytorch_model-00001-of-00002.bin": 3000, "pytorch_model-00002-of-00002.bin": 2000,
                       "tf_model.h5": 9000, "flax_model.msgpack": 9000, "training_args.bin": 70}.items():  # fmt: skip
        (folder / name).write_bytes(b"x" * size)
    model = read_model(folder)
    assert (model.problem, model.weight_bytes) == (None, 5000)
    (folder / "pytorch_model-00002-of-00002.bin").unlink()
    problem = read_model(folder).problem
    assert problem is not None
    assert problem.key == "models.missing-shards"


def test_a_mended_link_is_read_again(tmp_path: Path) -> None:
    stored = fake_model(tmp_path / "stored")
    folder = tmp_path / "models" / "m"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).symlink_to(tmp_path / "elsewhere" / name)
    catalog = Catalog([tmp_path / "models"])
    (broken,) = catalog.models()
    assert broken.problem is not None
    os.rename(stored, tmp_path / "elsewhere")
    (mended,) = catalog.models()
    assert mended.problem is None
    (tmp_path / "elsewhere" / "model.safetensors").unlink()
    (again,) = catalog.models()
    assert again.problem is not None


def test_the_command_that_mends_an_encoding_keeps_the_text(tmp_path: Path) -> None:
    for name, encoding, text in (("config-latin", "CP1252", LATIN), ("config-gbk", "GB18030", None)):
        folder = fake_model(tmp_path / name)
        data = text or json.dumps(QWEN2 | {"note": "模型"}, ensure_ascii=False).encode("gbk")
        (folder / "config.json").write_bytes(data)
        problem = read_model(folder).problem
        assert problem is not None
        assert problem.params["encoding"] == encoding
        assert f"-f {encoding} " in str(problem.params["command"])
        assert json.loads(data.decode(encoding))["note"] in ("modèle entraîné à Orléans", "模型")
