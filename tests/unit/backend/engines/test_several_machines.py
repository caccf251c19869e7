"""What is pasted on each of several machines: LMDeploy 0.18's own flags, and nothing of this machine."""

from pathlib import Path

import pytest

from backend.engines import ENGINES
from backend.engines.several_machines import Machines, lines, read_machines
from backend.errors import InvalidInput
from backend.machine.flags import find, snapshot
from tests.support.machines import CONSOLE, config, model

KEY_FILE = Path("/state/keys/k")


def made(engine: str, machines: Machines, **changes: object) -> list[tuple[list[str], list[str]]]:
    settings = config(engine, tp=machines.tp, **changes)
    spec = ENGINES[engine].command(settings, model(), CONSOLE, 41234, KEY_FILE)
    assert spec is not None
    return [(list(one.checks), list(one.start)) for one in lines(settings, spec, machines)]


def test_turbomind_runs_the_same_everywhere_but_for_its_rank() -> None:
    found = made("turbomind", Machines(3, 4, "10.0.0.5"), quant_policy=4, gpus=("0", "1"), extra=("--cp", "2"))
    starts = [start for _, (start,) in found]
    for rank, start in enumerate(starts):
        assert "lmdeploy serve api_server /models/qwen " in start
        assert f"--nnodes 3 --node-rank {rank} --dist-init-addr 10.0.0.5:29500" in start
        assert "--tp 12" in start
        assert "--quant-policy 4" in start
        assert "--cp 2" in start
        assert start.count("--server-port") == 1
    assert len({start.replace(f"--node-rank {rank}", "") for rank, start in enumerate(starts)}) == 1
    everything = repr(found)
    for own in ("/state/keys", "/env/bin", "41234", "CUDA_VISIBLE_DEVICES"):
        assert own not in everything


def test_pytorch_runs_on_the_first_over_a_ray_cluster() -> None:
    (_, first), (checks, other) = made("pytorch", Machines(2, 8, "head.lab"))
    assert first[:2] == ["ray start --head --port=6379", "ray status"]
    assert first[2].startswith("LMDEPLOY_EXECUTOR_BACKEND=ray ")
    assert "--backend pytorch" in first[2]
    assert "--tp 16" in first[2]
    assert "--nnodes" not in first[2]
    assert other == ["ray start --address=head.lab:6379"]
    assert "ray.__version__" in checks[0]
    assert "getent hosts head.lab" in checks[-1]


@pytest.mark.parametrize("engine", ["turbomind", "pytorch"])
def test_the_installed_lmdeploy_has_every_flag(engine: str) -> None:
    known = snapshot().serve
    for _, starts in made(engine, Machines(2, 2, "a"), session_len=4096, trust_remote_code=True, dtype="float16"):
        words = " ".join(one for one in starts if "lmdeploy" in one).split()
        for word in words:
            if word.startswith("--"):
                assert find(known, word) is not None, word


def test_the_checks_name_the_model_where_it_is_a_folder() -> None:
    found = made("turbomind", Machines(2, 1, "a"))
    assert all("sha256sum /models/qwen/config.json" in checks for checks, _ in found)
    assert "ss -ltn" in found[0][0][-1]


@pytest.mark.parametrize(
    ("engine", "count", "gpus", "first", "keys"),
    [
        ("transformers", "2", "8", "a", ["machines.engine"]),
        ("turbomind", "1", "8", "a", ["machines.range.count"]),
        ("turbomind", "two", "", "a", ["machines.range.count", "machines.range.gpus"]),
        ("pytorch", "2", "-1", "", ["machines.range.gpus", "machines.address"]),
        ("pytorch", "2", "8", "a; reboot", ["machines.address"]),
        ("pytorch", "2", "8", "$(id)", ["machines.address"]),
        ("pytorch", "2", "8", "localhost", ["machines.loopback"]),
        ("pytorch", None, "8", "10.0.0.1:22", ["machines.range.count", "machines.address"]),
    ],
)
def test_what_cant_be_used_is_said(engine: str, count: object, gpus: object, first: object, keys: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_machines(engine, count, gpus, first)
    assert [message.key for message in refused.value.messages] == keys


def test_what_is_typed_is_read() -> None:
    assert read_machines("pytorch", " 2 ", 8, " node-1.lab ") == Machines(2, 8, "node-1.lab")
