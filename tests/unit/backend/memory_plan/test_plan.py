"""The plan, against what real LMDeploy servers took (tests/data/vram/*.csv) and against its own arithmetic."""

import csv
from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import ServeConfig
from backend.errors import InvalidInput
from backend.memory_plan.advice import ratio_for_chats, ratio_for_total
from backend.memory_plan.formulas import block_bytes, max_batch, picture_bytes, slab
from backend.memory_plan.model_shape import ModelShape, read_shape
from backend.memory_plan.plan import plan
from backend.memory_plan.values import Card, Learned, Plan
from backend.models.checkpoint import read_model, read_tensors
from backend.units import GIB
from tests.gpu.measure_vram import CASES, QWEN2_5_1_5B
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, INTERNLM2_5_7B, llama, llama_tensors
from tests.support.tiny_models import fake_model

DATA = Path(__file__).parents[3] / "data" / "vram"
H200 = "NVIDIA H200"
CARD = Card(H200, 24 * GIB, 24 * GIB)
WITHIN = {"turbomind": 0.04, "pytorch": 0.06}


def measured(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def shape_of(folder: Path) -> ModelShape:
    return read_shape(read_model(folder), read_tensors(folder))


@pytest.fixture
def plain(tmp_path: Path) -> ModelShape:
    return shape_of(llama(tmp_path / "plain", INTERNLM2_5_1_8B))


@pytest.fixture
def packed(tmp_path: Path) -> ModelShape:
    return shape_of(llama(tmp_path / "packed", INTERNLM2_5_1_8B, awq=True))


def settings(engine: str = "turbomind", **values: Any) -> ServeConfig:
    return ServeConfig(engine, "model", **values)


@pytest.mark.parametrize("row", measured("measured.csv"), ids=lambda row: "-".join(list(row.values())[3:7]))
def test_total_against_measured(row: dict[str, str], plain: ModelShape, packed: ModelShape) -> None:
    shape = packed if row["model_format"] == "awq" else plain
    ratio = float(row["cache_max_entry_count"])
    config = settings(row["backend"], quant_policy=int(row["quant_policy"]), cache_max_entry_count=ratio)
    made = plan(shape, config, Card(H200, 24 * GIB, round(float(row["free_gib"]) * GIB)))
    assert (made.weights_bytes / GIB) == pytest.approx(float(row["weights_gib"]), abs=0.01)
    assert made.ready_bytes / GIB == pytest.approx(float(row["used_gib"]), rel=WITHIN[row["backend"]])


@pytest.mark.parametrize("row", measured("measured-two-gpus.csv"), ids=lambda row: "-".join(list(row.values())[:5]))
def test_each_of_two_gpus_against_measured(row: dict[str, str], tmp_path: Path) -> None:
    sizes = {"internlm2_5-1_8b": INTERNLM2_5_1_8B, "internlm2_5-7b": INTERNLM2_5_7B}[row["model"]]
    shape = shape_of(llama(tmp_path / "m", sizes, awq=row["model_format"] == "awq"))
    free = round(float(row["free_gib"]) * GIB)
    ratio = float(row["cache_max_entry_count"])
    config = settings(row["backend"], tp=2, quant_policy=int(row["quant_policy"]), cache_max_entry_count=ratio)
    made = plan(shape, config, Card(row["gpu"], free, free))
    assert made.ready_bytes / GIB == pytest.approx(float(row["used_gib"]), rel=0.02)
    assert "plan.step.tp-shared" in [step.key for step in made.steps]


@pytest.mark.parametrize(
    ("session", "batch", "used_mib"),
    [(32768, None, 6379), (262_144, None, 7341), (1 << 20, None, 10611), (1 << 22, None, 23693), (1 << 20, 64, 6443)],
)
def test_a_long_session_against_measured(session: int, batch: int | None, used_mib: int, plain: ModelShape) -> None:
    """TurboMind 0.18.0 on an H100 of which 54.6 GiB were free; MiB by NVML after /health."""
    extra = () if batch is None else ("--max-batch-size", str(batch))
    config = settings(cache_max_entry_count=0.02, session_len=session, extra=extra)
    made = plan(plain, config, Card("NVIDIA H100 80GB HBM3", 80 * GIB, 55_929 << 20))
    assert made.ready_bytes / (1 << 20) == pytest.approx(used_mib, rel=0.04)
    assert ("plan.step.sessions" in [step.key for step in made.steps]) == (session > 32768)


def test_a_session_that_no_card_holds_is_over(plain: ModelShape) -> None:
    made = plan(plain, settings(session_len=100_000_000), Card(H200, 141 * GIB, 140 * GIB))
    assert made.verdict == "over"


def measured_name(row: dict[str, str]) -> str:
    keys = ("model", "backend", "model_format", "quant_policy", "cache_max_entry_count", "max_batch_size")
    return "-".join(row[key] for key in keys if row[key])


@pytest.mark.parametrize("row", measured("measured-shapes.csv"), ids=measured_name)
def test_total_and_tokens_of_many_shapes(row: dict[str, str], tmp_path: Path) -> None:
    """From config.json and the tensors' headers alone to what the server took and to the tokens of its log."""
    case = next(case for case in CASES if case.name == row["model"])
    if case.shape is None:
        folder = internvl(tmp_path / "m")
    else:
        folder = llama(tmp_path / "m", case.shape, awq=row["model_format"] == "awq", tied=case.tied)
    shape = shape_of(folder)
    assert (shape.text_bytes + shape.vision_bytes) / GIB == pytest.approx(float(row["weights_gib"]), abs=0.002)
    policy, batch, free = int(row["quant_policy"]), row["max_batch_size"], round(float(row["free_gib"]) * GIB)
    config = settings(
        row["backend"],
        quant_policy=policy,
        cache_max_entry_count=float(row["cache_max_entry_count"]),
        session_len=int(row["session_len"]) if row["session_len"] else None,
        extra=("--max-batch-size", batch) if batch else (),
    )
    made = plan(shape, config, Card(row["gpu"], free, free))
    assert made.ready_bytes / GIB == pytest.approx(float(row["used_gib"]), rel=WITHIN[row["backend"]])
    if row["tokens"]:  # the PyTorch engine's log doesn't tell its own
        before_gib = float(row["free_gib"]) - float(row["free_at_cache_gib"])
        assert made.before_cache_bytes / GIB == pytest.approx(before_gib, abs=0.1)
        slab_bytes, blocks = int(row["slab_bytes"]), int(row["blocks_per_slab"])
        assert block_bytes(shape, policy) == int(row["block_bytes"])
        assert slab(int(row["block_bytes"])) == (slab_bytes, blocks)
        slabs = int(float(row["budget_gib"]) * GIB / slab_bytes)
        assert made.tokens == pytest.approx(slabs * blocks * 64, rel=0.01)


def internvl(folder: Path) -> Path:
    """InternVL3-2B's size in transformers' own layout: Qwen2.5-1.5B, a tower of 24 layers and the way between them.
    Biases and norms of the tower, less than a MiB, are left out."""
    hidden, layers, heads, kv_heads, intermediate, vocab = QWEN2_5_1_5B
    text = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads,
            "num_key_value_heads": kv_heads, "intermediate_size": intermediate, "vocab_size": vocab,
            "max_position_embeddings": 32768, "dtype": "bfloat16"}  # fmt: skip
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "image_size": [448, 448], "patch_size": [14, 14]}
    config = {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": "internvl",
        "text_config": text,
        "vision_config": vision,
    }
    sizes = {name: (dtype, size) for name, dtype, size in llama_tensors(QWEN2_5_1_5B, prefix="language_model.")}
    sizes["vision_tower.embeddings.patch_embeddings.projection.weight"] = ("BF16", (1024, 3, 14, 14))
    sizes["vision_tower.embeddings.position_embeddings"] = ("BF16", (1, 1025, 1024))
    for layer in range(24):
        base = f"vision_tower.encoder.layer.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "projection_layer"):
            sizes[f"{base}.attention.{name}.weight"] = ("BF16", (1024, 1024))
        sizes[f"{base}.mlp.fc1.weight"] = ("BF16", (4096, 1024))
        sizes[f"{base}.mlp.fc2.weight"] = ("BF16", (1024, 4096))
    sizes["multi_modal_projector.linear_1.weight"] = ("BF16", (hidden, 4096))
    sizes["multi_modal_projector.linear_2.weight"] = ("BF16", (hidden, hidden))
    return fake_model(folder, config, sizes)


@pytest.mark.parametrize(
    ("policy", "block", "slab_bytes", "blocks"),
    [(4, 1_671_168, 33_554_432, 20), (8, 3_244_032, 33_554_432, 10), (0, 6_291_456, 134_217_728, 21)],
)
def test_blocks_and_slabs_are_those_of_the_logs(
    plain: ModelShape, policy: int, block: int, slab_bytes: int, blocks: int
) -> None:
    """24 layers, 8 KV heads, head_dim 128: the `slab_size …, object_size …` lines of lmdeploy 0.18.0."""
    assert block_bytes(plain, policy) == block
    assert slab(block) == (slab_bytes, blocks)


def test_tokens_are_whole_slabs(plain: ModelShape) -> None:
    made = plan(plain, settings(quant_policy=4, cache_max_entry_count=0.4), CARD)
    assert made.tokens == made.kv_bytes // 33_554_432 * 20 * 64
    assert made.chats(4096) == made.tokens // 4096


def test_fewer_kv_bits_keep_the_gib_and_hold_more_tokens(plain: ModelShape) -> None:
    at_16, at_8, at_4 = (plan(plain, settings(quant_policy=policy), CARD) for policy in (0, 8, 4))
    assert at_16.kv_bytes == at_8.kv_bytes == at_4.kv_bytes
    assert at_16.ready_bytes == at_4.ready_bytes
    assert 1.8 < at_8.tokens / at_16.tokens < 2.0
    assert 3.5 < at_4.tokens / at_16.tokens < 4.0


def test_a_lower_ratio_takes_less_of_the_same_room(plain: ModelShape) -> None:
    high, low = (plan(plain, settings(cache_max_entry_count=ratio), CARD) for ratio in (0.8, 0.4))
    assert high.before_cache_bytes == low.before_cache_bytes
    assert high.kv_bytes == pytest.approx(2 * low.kv_bytes, abs=2)


def test_awq_moves_memory_from_weights_to_cache(plain: ModelShape, packed: ModelShape) -> None:
    before, after = plan(plain, settings(), CARD), plan(packed, settings(), CARD)
    assert after.weights_bytes < before.weights_bytes / 2
    assert after.kv_bytes > before.kv_bytes
    assert after.ready_bytes == pytest.approx(before.ready_bytes, rel=0.05)


def test_tensor_parallel_halves_the_weights_and_the_heads(plain: ModelShape) -> None:
    one, two = plan(plain, settings(), CARD), plan(plain, settings(tp=2, gpus=("0", "1")), CARD)
    assert two.weights_bytes == pytest.approx(one.weights_bytes / 2, abs=2)
    assert two.token_bytes == one.token_bytes / 2
    assert plan(plain, settings(tp=64), CARD).token_bytes == one.token_bytes / 8  # a KV head can't be split


def test_a_tied_embedding_is_loaded_twice_by_turbomind_alone(tmp_path: Path) -> None:
    tied = shape_of(llama(tmp_path / "tied", INTERNLM2_5_1_8B, tied=True))
    untied = shape_of(llama(tmp_path / "untied", INTERNLM2_5_1_8B))
    assert tied.tied
    assert plan(tied, settings(), CARD).weights_bytes == plan(untied, settings(), CARD).weights_bytes
    saved = plan(untied, settings("pytorch"), CARD).weights_bytes - plan(tied, settings("pytorch"), CARD).weights_bytes
    assert saved == tied.embedding_bytes


def test_32_bit_weights_are_loaded_in_16(tmp_path: Path) -> None:
    tensors = {name: ("F32", shape) for name, _, shape in llama_tensors((256, 2, 2, 2, 512, 1024))}
    config = {"num_hidden_layers": 2, "hidden_size": 256, "num_attention_heads": 2, "vocab_size": 1024}
    shape = shape_of(fake_model(tmp_path / "m", {"architectures": ["LlamaForCausalLM"], **config}, tensors, shards=3))
    assert shape.stored_bytes == 2 * shape.text_bytes


def test_the_largest_batch_follows_the_gpu_and_the_flags() -> None:
    assert max_batch(settings(), CARD) == 1024
    assert max_batch(settings(), Card("NVIDIA A100-SXM4-80GB", 1, 1)) == 384
    assert max_batch(settings(), Card("", 1, 1)) == 128
    assert max_batch(settings(extra=("--max-batch-size", "32")), CARD) == 32
    assert max_batch(settings(extra=("--max-batch-size=64",)), CARD) == 64


def test_pytorch_halves_its_prefill_until_sixteen_blocks_fit(plain: ModelShape) -> None:
    small = plan(plain, settings("pytorch"), Card(H200, 6 * GIB, 6 * GIB))
    large = plan(plain, settings("pytorch"), CARD)
    assert large.reserve_bytes == (8192 + 2 * 1024) * 92544 * 2
    assert small.reserve_bytes < large.reserve_bytes
    assert small.tokens >= 16 * 64


@pytest.mark.parametrize(
    ("free_gib", "ratio", "verdict"), [(24, 0.8, "fits"), (24, 1.0, "over"), (24, 0.95, "tight"), (4, 0.8, "over")]
)
def test_verdicts(plain: ModelShape, free_gib: float, ratio: float, verdict: str) -> None:
    card = Card(H200, 24 * GIB, round(free_gib * GIB))
    made = plan(plain, settings(cache_max_entry_count=ratio), card)
    assert made.verdict == verdict
    assert bool(made.remedies) == (verdict != "fits")


def test_the_ratio_it_advises_fits(plain: ModelShape) -> None:
    over = plan(plain, settings(cache_max_entry_count=1.0), CARD)
    [remedy] = over.remedies
    assert remedy.key == "plan.remedy.ratio"
    assert plan(plain, settings(cache_max_entry_count=float(remedy.params["ratio"])), CARD).verdict == "fits"


def test_what_no_ratio_can_help_is_told_otherwise(tmp_path: Path) -> None:
    shape = shape_of(llama(tmp_path / "7b", INTERNLM2_5_7B))
    made = plan(shape, settings(), Card(H200, 12 * GIB, 12 * GIB))
    assert made.verdict == "over"
    assert [remedy.key for remedy in made.remedies] == ["plan.remedy.awq", "plan.remedy.tp", "plan.remedy.smaller"]


def test_a_ratio_of_zero_holds_nothing(plain: ModelShape) -> None:
    made = plan(plain, settings(cache_max_entry_count=0.0), CARD)
    assert (made.kv_bytes, made.tokens, made.verdict) == (0, 0, "over")


@pytest.mark.parametrize("policy", [0, 4, 8])
@pytest.mark.parametrize("engine", ["turbomind", "pytorch"])
def test_the_other_way_round(plain: ModelShape, engine: str, policy: int) -> None:
    config = settings(engine, quant_policy=policy)
    made = plan(plain, config, CARD)
    ratio = ratio_for_chats(plain, config, made, 5, 4096)
    assert ratio is not None
    again = _with_ratio(plain, config, ratio)
    assert again.chats(4096) >= 5
    assert _with_ratio(plain, config, ratio - 0.03).chats(4096) < 5
    most = ratio_for_total(made, 12 * GIB)
    assert most is not None
    assert _with_ratio(plain, config, most).total_bytes <= 12 * GIB
    assert _with_ratio(plain, config, most + 0.02).total_bytes > 12 * GIB
    assert ratio_for_chats(plain, config, made, 10_000, 32768) is None
    assert ratio_for_total(made, 2 * GIB) is None


def _with_ratio(shape: ModelShape, config: ServeConfig, ratio: float) -> Plan:
    changed = settings(config.engine, quant_policy=config.quant_policy, cache_max_entry_count=ratio)
    return plan(shape, changed, CARD)


def test_learned_residuals_count(plain: ModelShape) -> None:
    by_theory = plan(plain, settings(), CARD)
    learned = plan(plain, settings(), CARD, Learned(context_bytes=GIB, work_bytes=-GIB // 4, count=3))
    assert learned.context_bytes == by_theory.context_bytes + GIB
    assert learned.work_bytes == by_theory.work_bytes - GIB // 4
    assert learned.learned == 3


def test_vision(tmp_path: Path) -> None:
    """An InternVL in the original layout: its tower's bytes stand apart, and a picture needs work space."""
    text = {"num_hidden_layers": 2, "hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 8,
            "intermediate_size": 8192, "vocab_size": 92553}  # fmt: skip
    config = {
        "architectures": ["InternVLChatModel"],
        "llm_config": {**text, "architectures": ["InternLM2ForCausalLM"]},
        "vision_config": {"hidden_size": 1024, "intermediate_size": 4096, "image_size": 448, "patch_size": 14},
        "force_image_size": 448,
        "max_dynamic_patch": 12,
    }
    tensors = {
        "vision_model.embeddings.class_embedding": ("BF16", (1, 1, 1024)),
        "mlp1.1.weight": ("BF16", (2048, 4096)),
        "language_model.model.tok_embeddings.weight": ("BF16", (92553, 2048)),
        "language_model.model.layers.0.attention.wqkv.weight": ("BF16", (4096, 2048)),
        "language_model.output.weight": ("BF16", (92553, 2048)),
    }
    shape = shape_of(fake_model(tmp_path / "vl", config, tensors))
    assert shape.vision_bytes == 2 * (1024 + 2048 * 4096)
    assert shape.head_bytes == shape.embedding_bytes == 2 * 92553 * 2048
    assert shape.vision is not None
    assert shape.vision.tokens == 13 * 1025  # twelve tiles and a thumbnail
    made = plan(shape, settings(), CARD)
    assert made.picture_bytes == picture_bytes(shape) > 0
    assert made.total_bytes == made.ready_bytes + made.picture_bytes


def test_missing_keys_are_named(tmp_path: Path) -> None:
    folder = fake_model(tmp_path / "m", {"architectures": ["LlamaForCausalLM"], "hidden_size": 64})
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")  # no headers, whose shapes would tell
    with pytest.raises(InvalidInput) as caught:
        shape_of(folder)
    [message] = caught.value.messages
    assert message.key == "plan.missing-keys"
    assert "num_hidden_layers" in str(message.params["keys"])
    assert "hidden_size" not in str(message.params["keys"])


def test_layers_without_a_cache_hold_none(tmp_path: Path) -> None:
    kinds = ["linear_attention", "full_attention"] * 12
    hybrid = shape_of(llama(tmp_path / "hybrid", INTERNLM2_5_1_8B, layer_types=kinds))
    dense = shape_of(llama(tmp_path / "dense", INTERNLM2_5_1_8B))
    assert block_bytes(hybrid, 0) == block_bytes(dense, 0) // 2
    interval = shape_of(llama(tmp_path / "interval", INTERNLM2_5_1_8B, full_attention_interval=4))
    assert (interval.kv_layers, dense.kv_layers) == (6, 24)
    assert block_bytes(interval, 0) == block_bytes(dense, 0) // 4


def test_transformers_takes_what_is_stored_and_grows(plain: ModelShape) -> None:
    made = plan(plain, settings("transformers"), Card("", 16 * GIB, 12 * GIB))
    assert made.weights_bytes == plain.stored_bytes
    assert made.kv_bytes == 32768 * made.token_bytes
    assert made.verdict == "fits"


def test_an_address_has_no_plan(plain: ModelShape) -> None:
    with pytest.raises(InvalidInput):
        plan(plain, settings("external"), CARD)
