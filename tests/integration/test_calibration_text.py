"""Calibration data in odd forms: tables, which a child reads, and the real smooth_quant with one of them."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from backend.errors import InvalidInput
from backend.machine.machine import Environment, Machine
from backend.models.catalog import Catalog
from backend.models.checkpoint import read_model
from backend.processes.supervisor import Supervisor
from backend.quantization import text_files
from backend.quantization.base import OWN_TEXT, QuantConfig
from backend.quantization.job import UNFINISHED, JobState
from backend.quantization.manager import JobManager
from backend.quantization.text_files import read, read_file
from backend.store import Store
from tests.conftest import make_settings
from tests.support.waiting import wait_for

DEADLINE_S = 240.0
ONE_TWO = "one\ntwo"
WRITE_TABLES = """
import sys, pyarrow as pa, pyarrow.parquet, pyarrow.feather
rows = pa.table({"id": [1, 2], "text": ["one", "two"], "image": [b"\\x00", b"\\x01"]})
talk = [[{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]]
folder = sys.argv[1]
pa.parquet.write_table(rows, folder + "/t.parquet", compression="zstd")
pa.parquet.write_table(pa.table({"messages": talk}), folder + "/talk.parquet")
stored = pa.table({"text": [b"one", b"two"], "image": [b"\\x89PNG", b"\\x00"]})
pa.parquet.write_table(stored, folder + "/bytes.parquet")
pa.feather.write_feather(rows, folder + "/t.feather")
with pa.OSFile(folder + "/t.arrow", "wb") as sink, pa.ipc.new_stream(sink, rows.schema) as writer:
    writer.write_table(rows)
with pa.OSFile(folder + "/t.txt.zst", "wb") as sink, pa.CompressedOutputStream(sink, "zstd") as stream:
    stream.write(b"one\\ntwo")
with pa.OSFile(folder + "/bomb.zst", "wb") as sink, pa.CompressedOutputStream(sink, "zstd") as stream:
    for _ in range(300):
        stream.write(b"word " * 200_000)
"""


TALK = """
import sys, json, pyarrow as pa, pyarrow.parquet
pa.parquet.write_table(pa.table({"messages": json.load(sys.stdin)}), sys.argv[1])
"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that pyarrow writes; this process never imports it."""
    folder = tmp_path_factory.mktemp("tables")
    subprocess.run([sys.executable, "-c", WRITE_TABLES, str(folder)], check=True, timeout=60)
    return folder


@pytest.mark.parametrize("name", ["t.parquet", "talk.parquet", "bytes.parquet", "t.feather", "t.arrow", "t.txt.zst"])
def test_parquet_arrow_and_zstd(tables: Path, name: str) -> None:
    assert read_file(tables / name, name).text == ONE_TWO
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(tables / name, name)
    assert read(packed.getvalue(), "t.zip").text == ONE_TWO


def test_broken_tables_are_refused_with_their_words(tables: Path) -> None:
    broken = {name: (tables / name).read_bytes()[:-30] for name in ("t.parquet", "t.feather", "t.txt.zst")}
    for name, content in (broken | {"none.parquet": b"PAR1" + bytes(100) + b"PAR1"}).items():
        with pytest.raises(InvalidInput) as error:
            read(content, name)
        assert error.value.messages[0].key in ("quantize.text.packed", "quantize.text.empty"), name


def test_a_packed_bomb_is_read_to_its_bound(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "MOST_BYTES", 1 << 20)
    reading = read((tables / "bomb.zst").read_bytes(), "bomb.txt.zst")
    assert len(reading.text) <= 1 << 20
    assert [notice.key for notice in reading.notices] == ["quantize.text.note.cut"]


def odd_forms(folder: Path, talks: list[list[str]]) -> dict[str, Path]:
    """The same conversations, as a table of ShareGPT cells in GBK, as Parquet in zip, and as UTF-16 JSON by Alpaca."""
    cells = (
        json.dumps([{"from": "human", "value": ask}, {"from": "gpt", "value": said}], ensure_ascii=False)
        for ask, said in talks
    )
    rows = "".join('"{}"\n'.format(cell.replace('"', '""')) for cell in cells)
    (folder / "talk.csv").write_bytes(("conversations\n" + rows).encode("gbk"))
    turns = [[{"role": "user", "content": ask}, {"role": "assistant", "content": said}] for ask, said in talks]
    subprocess.run(
        [sys.executable, "-c", TALK, str(folder / "talk.parquet")],
        input=json.dumps(turns).encode(),
        check=True,
        timeout=60,
    )
    with zipfile.ZipFile(folder / "talk.zip", "w") as archive:
        archive.write(folder / "talk.parquet", "data/train.parquet")
    alpaca = [{"instruction": ask, "input": "", "output": said} for ask, said in talks]
    (folder / "talk.json").write_bytes(json.dumps(alpaca, ensure_ascii=False, indent=2).encode("utf-16"))
    return {name: folder / name for name in ("talk.csv", "talk.zip", "talk.json")}


@pytest.mark.timeout(900)
def test_the_real_smooth_quant_uses_what_was_read(tiny_qwen2: Path, tmp_path: Path) -> None:
    """A Parquet file in a zip. Nothing else is there to calibrate with: the job has no network."""
    talks = [[f"问题 {n}：怎样部署模型？", "先量化权重，再启动服务，然后测一测速度。" * 4] for n in range(60)]
    reading = read_file(odd_forms(tmp_path, talks)["talk.zip"], "talk.zip")
    settings = make_settings(tmp_path / "state")
    store = Store(settings.state_dir)
    supervisor = Supervisor(settings, store)
    environment = Environment("console", "console", Path(sys.executable), "console", "0.18.0", "5.23.0", "2.12.1")
    manager = JobManager(settings, store, supervisor, Catalog(()), lambda: Machine((), "", "", (environment,)))
    try:
        kept = manager.texts.keep_reading(reading, "talk.zip")
        config = QuantConfig(
            model=str(tiny_qwen2), output=str(tmp_path / "out"), dataset=OWN_TEXT, text=kept.id, samples=4, seqlen=64,
            method="smooth_quant",
        )  # fmt: skip
        assert (manager.count_tokens(config) or 0) > 64
        job_id = manager.start(config)

        def compared() -> bool:
            job = manager.get(job_id).job
            return job.state not in UNFINISHED and (job.result is None or job.result.errors_state != "running")

        wait_for("its end, and the comparison's", compared, DEADLINE_S)
        job = manager.get(job_id).job
        assert job.state is JobState.SUCCEEDED, job.diagnosis
        plan = json.loads((settings.state_dir / "jobs" / job_id / "plan.json").read_bytes())
        assert plan["steps"][0]["cwd"] == str(kept.folder)
        assert plan["steps"][0]["env"]["HF_HUB_OFFLINE"] == "1"
        made = read_model(Path(job.output))
        assert made.quantization == "smooth_quant"
        assert job.result is not None
        assert job.result.after["decoder"] < job.result.before["decoder"] / 3  # float32 before
        assert len(job.result.errors) == 2
        assert all(0.001 < layer.error < 0.02 for layer in job.result.errors)  # a 256th of a row's range, smoothed
        wait_for("every run's end", lambda: all(run.ended for run in supervisor.all()), DEADLINE_S)
    finally:
        supervisor.close()
        store.close()


@pytest.mark.parametrize("name", ["talk.csv", "talk.zip", "talk.json"])
def test_odd_forms_of_conversations_are_read(name: str, tmp_path: Path) -> None:
    talks = [[f"问题 {n}：怎样部署模型？", "先量化权重，再启动服务。"] for n in range(60)]
    said = [f"{ask}\n{answer}" for ask, answer in talks]
    assert read_file(odd_forms(tmp_path, talks)[name], name).text == "\n".join(said)
