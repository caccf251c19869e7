"""What engines say of memory, in the words of real logs."""

from backend.memory.load_log import MIB, LoadFacts, read_more

# lmdeploy 0.18.0, TurboMind, --log-level INFO, KV int4, ratio 0.1 on an H200; other lines left out
INFO = (
    "Loading:  96%|█████████▌| 23/24 [00:00<00:00, 71.29it/s]                    "
    "[TM][INFO][1121.09:25:15.735440][turbomind.cc:338] Object cache budget: 13858.51 MB from free 138585.12 MB and "
    "ratio 0.100\n"
    "[TM][WARN][1121.09:25:15.814145][slab.h:136] slab_size 33554432, object_size 1671168, object_count 20, "
    "ratio 0.99609375\n"
)
PLAIN = (
    "[TM][WARN][1121.08:29:58.692793][slab.h:136] slab_size 134217728, object_size 6291456, object_count 21, "
    "ratio 0.984375\n"
)


def test_turbomind_tells_its_budget_and_slabs() -> None:
    facts = read_more(LoadFacts(), INFO)
    assert facts.budget_bytes == round(13858.51 * MIB)
    assert facts.free_bytes == round(138585.12 * MIB)
    assert (facts.slab_bytes, facts.block_bytes, facts.blocks_per_slab) == (33554432, 1671168, 20)
    assert facts.tokens() == 433 * 20 * 64
    assert facts.loaded
    assert facts.laid_out


def test_without_info_it_tells_its_slabs_alone() -> None:
    facts = read_more(LoadFacts(), PLAIN)
    assert facts.laid_out
    assert facts.budget_bytes is None
    assert facts.tokens() is None


def test_pieces_add_up() -> None:
    first, second = INFO.splitlines(keepends=True)
    facts = read_more(LoadFacts(), first)
    assert facts.loaded
    assert not facts.laid_out
    assert read_more(facts, second) == read_more(LoadFacts(), INFO)
    assert read_more(facts, "INFO:     Uvicorn running on http://127.0.0.1:23333") == facts


def test_the_pytorch_engine_tells_when_the_weights_are_there() -> None:
    loading = "Loading weights from safetensors:  50%|████      | 1/2 [00:00<00:00, 237.23it/s]"
    assert not read_more(LoadFacts(), loading).loaded
    loaded = read_more(LoadFacts(), loading.replace(" 50%", "100%"))
    assert loaded.loaded
    assert not loaded.laid_out
    assert read_more(loaded, "Warming up decoding:   0%|          | 0/12 [00:00<?, ?it/s]").laid_out
