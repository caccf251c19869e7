"""Downloads with the real child, both hubs' own libraries, and a hub on this machine that misbehaves on request."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from backend.downloads import online
from backend.downloads.download import Download, DownloadState
from backend.downloads.manager import DownloadManager
from backend.downloads.offers import Offer
from backend.downloads.watcher import PLAN, RESULT
from backend.errors import Conflict, ConsoleError, InvalidInput, NotFound
from backend.models.catalog import Catalog, default_roots
from backend.models.hubs import hub_cache
from backend.processes.supervisor import Supervisor
from backend.settings import Settings
from backend.store import Store
from tests.conftest import make_settings
from tests.support.local_hub import COMMIT, Faults, LocalHub, files_of, local_hub
from tests.support.tiny_models import fake_model
from tests.support.waiting import wait_for

DEADLINE_S = 120.0
NAME = "Some-Org/Tiny-1.5B"
HUGGING_FACE, MODELSCOPE = 0, 1


class Downloads:
    """A console's downloads without its page. ``close`` leaves the processes running, as the end of a console does."""

    def __init__(self, settings: Settings, hub: LocalHub, address: str = "") -> None:
        self.settings = settings
        self.store = Store(settings.state_dir)
        self.supervisor = Supervisor(settings, self.store)
        self.catalog = Catalog(default_roots(settings))
        address = address or hub.address
        environ = {"HF_ENDPOINT": address, "MODELSCOPE_ENDPOINT": address}
        self.manager = DownloadManager(settings, self.store, self.supervisor, self.catalog, environ=lambda: environ)

    def offer(self, name: str = NAME) -> Offer:
        offer = self.manager.ask(name).offer
        assert offer is not None
        return offer

    def get(self, download_id: str) -> Download:
        return self.manager.get(download_id).download

    def start(self, number: int, place: str) -> str:
        return self.manager.start(self.offer().id, number, place)

    def wait(self, download_id: str, *states: DownloadState) -> Download:
        ends = set(DownloadState) - {DownloadState.QUEUED, DownloadState.RUNNING}

        def reached() -> Download | None:
            now = self.get(download_id)
            if now.state in ends and now.state not in states:
                raise AssertionError(f"{now.state}: {now.problem}")
            return now if now.state in states else None

        return wait_for(f"the download is {states}", reached, DEADLINE_S)

    def close(self) -> None:
        self.manager.close()
        self.supervisor.close()
        self.store.close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Real files of some hundred kilobytes: two shards of noise, texts, code, and weights for another program."""
    folder = fake_model(tmp_path / "hub" / "tiny", shards=2)
    for file in folder.glob("*.safetensors"):
        with file.open("r+b") as stream:
            begin = 8 + int.from_bytes(stream.read(8), "little")
            stream.seek(begin)
            stream.write(os.urandom(file.stat().st_size - begin))
    (folder / "README.md").write_text("# Tiny\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}', encoding="utf-8")
    (folder / "original").mkdir()
    (folder / "original" / "consolidated.00.pth").write_bytes(os.urandom(50_000))
    (folder / "pytorch_model.bin").write_bytes(os.urandom(2_000_000))
    return folder


@pytest.fixture
def world(tmp_path: Path, model: Path) -> Iterator[Callable[..., tuple[LocalHub, Downloads]]]:
    """Makes a hub with such faults, and a console's downloads that know it."""
    with ExitStack() as stack:

        def made(faults: Faults | None = None, models: Path | None = None) -> tuple[LocalHub, Downloads]:
            folder = models or tmp_path / "models"
            folder.mkdir(exist_ok=True)
            hub = stack.enter_context(local_hub({NAME: model}, faults))
            downloads = Downloads(make_settings(tmp_path / "state", models=(folder,)), hub)
            stack.callback(downloads.close)
            return hub, downloads

        yield made


World = Callable[..., tuple[LocalHub, Downloads]]


def same_files(folder: Path, model: Path) -> None:
    """What was loaded is what the hub has, byte by byte, without the weights of other programs."""
    wanted = [path for path in files_of(model) if not path.startswith("original/") and not path.endswith(".bin")]
    assert files_of(folder) == wanted
    for path in wanted:
        assert (folder / path).read_bytes() == (model / path).read_bytes(), path


def hidden(folder: Path) -> list[str]:
    return [name.name for name in folder.iterdir() if name.name.startswith(".")]


@pytest.mark.parametrize("number", [HUGGING_FACE, MODELSCOPE])
def test_a_model_is_looked_at_loaded_and_found(number: int, world: World, model: Path, tmp_path: Path) -> None:
    """The card before a byte of weights; the files; the list; a second time nothing is loaded."""
    hub, downloads = world()
    offer = downloads.offer(f"{hub.address}/{NAME}")
    assert sum(hub.sent.values()) < 6_000_000  # headers, and what was measured
    assert offer.model is not None
    assert offer.shape is not None
    assert (offer.model.architecture, offer.model.context_length) == ("Qwen2ForCausalLM", 4096)
    assert offer.model.parameters == 1_114_112
    assert [one.problem for one in offer.offered] == [None, None]
    assert all(one.same and one.speed for one in offer.offered)
    assert offer.offered[HUGGING_FACE].repository.licence == "apache-2.0"  # type: ignore[union-attr]
    assert offer.best in (HUGGING_FACE, MODELSCOPE)
    assert offer.left_bytes == 2_050_000
    assert offer.here == ()
    hub.sent.clear()
    done = downloads.wait(downloads.manager.start(offer.id, number, str(tmp_path / "models")), DownloadState.SUCCEEDED)
    assert done.path == str(tmp_path / "models" / "Tiny-1.5B")
    assert done.done_bytes == done.total_bytes == offer.size_bytes
    same_files(Path(done.path), model)
    assert hidden(tmp_path / "models") == []
    found = downloads.catalog.find(done.path)
    assert found.problem is None
    again = downloads.offer()
    assert again.here == (Path(done.path),)
    with pytest.raises(Conflict) as refused:
        downloads.manager.start(again.id, number, "hub")
    assert refused.value.messages[0].key == "downloads.here"


def test_the_hubs_own_libraries_find_what_was_put_into_their_caches(
    world: World, model: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline, in a process of its own: huggingface_hub and modelscope_hub give the folder without a request."""
    _, downloads = world()
    first = downloads.wait(downloads.start(HUGGING_FACE, "hub"), DownloadState.SUCCEEDED)
    assert first.path == str(hub_cache() / "models--Some-Org--Tiny-1.5B" / "snapshots" / COMMIT)
    same_files(Path(first.path), model)
    assert Path(first.path, "config.json").is_symlink()
    code = (
        "from huggingface_hub import snapshot_download as s;"
        f"print(s({NAME!r}, local_files_only=True, ignore_patterns=['*.bin', 'original/*']))"
    )
    assert answer_of(code) == first.path
    # The other hub's cache: the same model is here, so another one is asked for.
    (model / "config.json").write_text((model / "config.json").read_text() + "\n", encoding="utf-8")
    second = downloads.wait(downloads.start(MODELSCOPE, "hub"), DownloadState.SUCCEEDED)
    same_files(Path(second.path), model)
    code = (
        "from modelscope_hub.compat.snapshot_download import snapshot_download as s;"
        f"print(s({NAME!r}, local_files_only=True))"
    )
    assert answer_of(code) == second.path
    names = [known.name for known in downloads.catalog.models() if known.path != Path(downloads.catalog.roots[-1])]
    assert names.count(NAME) == 2


def answer_of(code: str) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("number", [HUGGING_FACE, MODELSCOPE])
@pytest.mark.parametrize(
    "faults",
    [
        Faults(cut_after=300_000, cuts=3),
        Faults(cut_after=300_000, cuts=3, ranges=False),
        Faults(statuses={r"model-00002": [0, 0, 0, 429, 503]}),
        Faults(redirect=False),
        Faults(corrupt="model-00001-of-00002.safetensors", corruptions=1),
    ],
    ids=["cut", "cut-without-ranges", "429-and-503", "no-redirect", "wrong-once"],
)
def test_a_bad_line_ends_in_a_whole_model(
    number: int, faults: Faults, world: World, model: Path, tmp_path: Path
) -> None:
    hub, downloads = world()
    offer = downloads.offer()
    hub.faults = faults
    hub.sent.clear()
    done = downloads.wait(downloads.manager.start(offer.id, number, str(tmp_path / "models")), DownloadState.SUCCEEDED)
    same_files(Path(done.path), model)
    if faults.cut_after and faults.ranges:  # nothing was loaded twice
        assert sum(hub.sent.values()) <= done.total_bytes


@pytest.mark.parametrize("number", [HUGGING_FACE, MODELSCOPE])
@pytest.mark.parametrize(
    ("faults", "key"),
    [
        (Faults(corrupt="model-00001-of-00002.safetensors"), "hash"),
        (Faults(token="secret-token"), "unauthorized"),
        (Faults(token="secret-token", gated=True), "gated"),
        (Faults(statuses={r"model-00002": [404] * 99}), "not-found"),
    ],
    ids=["hash", "401", "403-gated", "404"],
)
def test_what_cannot_be_loaded_is_said(number: int, faults: Faults, key: str, world: World, tmp_path: Path) -> None:
    hub, downloads = world()
    offer = downloads.offer()
    hub.faults = faults
    failed = downloads.wait(downloads.manager.start(offer.id, number, str(tmp_path / "models")), DownloadState.FAILED)
    assert failed.problem is not None
    keys = {key} if number == HUGGING_FACE else {key, "forbidden"}  # ModelScope says 403 to all three
    assert failed.problem.key.removeprefix("downloads.failed.") in keys
    assert not (tmp_path / "models" / "Tiny-1.5B").exists()
    # Put right, it goes on, with the token that was given meanwhile.
    hub.faults = Faults(token=faults.token)
    if faults.token:
        downloads.manager.keep_token(hub.address, faults.token)
    downloads.manager.resume(failed.id)
    downloads.wait(failed.id, DownloadState.SUCCEEDED)


def test_a_token_stays_at_its_hub(world: World, tmp_path: Path) -> None:
    """It is in a file of mode 0600 and goes to no other host, log, process list or database."""
    hub, downloads = world(Faults(token="hf_secret"))
    offer = downloads.offer()
    assert [one.can_give for one in offer.offered] == [False, False]
    assert offer.offered[0].repository is not None
    downloads.manager.keep_token(hub.address, " hf_secret\n")
    source = downloads.manager.sources()[0]
    assert downloads.manager.tokens.file(source).stat().st_mode & 0o777 == 0o600
    done = downloads.wait(downloads.start(HUGGING_FACE, str(tmp_path / "models")), DownloadState.SUCCEEDED)
    elsewhere = [token for host, token in hub.tokens if host.startswith("localhost")]
    assert elsewhere
    assert set(elsewhere) == {""}
    for file in (tmp_path / "state").rglob("*"):
        if file.is_file() and file.suffix != ".token":
            assert b"hf_secret" not in file.read_bytes(), file
    assert done.problem is None
    downloads.manager.keep_token(hub.address, "")
    assert not downloads.manager.tokens.has(source)
    with pytest.raises(NotFound):
        downloads.manager.keep_token("https://other.example", "x")
    with pytest.raises(InvalidInput):
        downloads.manager.keep_token(hub.address, "two words")


def test_pause_restart_and_go_on(world: World, model: Path, tmp_path: Path) -> None:
    """Paused in the middle, a console later, gone on with where it stopped; then killed in the middle, likewise."""
    hub, downloads = world(Faults(speed=400_000))
    started = downloads.start(HUGGING_FACE, str(tmp_path / "models"))
    wait_for("half a megabyte came", lambda: downloads.get(started).done_bytes > 500_000)
    view = downloads.manager.get(started)
    assert view.download.state is DownloadState.RUNNING
    downloads.manager.pause(started)
    paused = downloads.wait(started, DownloadState.PAUSED)
    assert 0 < paused.done_bytes < paused.total_bytes
    assert not (tmp_path / "models" / "Tiny-1.5B").exists()
    with pytest.raises(Conflict):
        downloads.manager.forget(started)
    with pytest.raises(Conflict) as refused:
        downloads.start(HUGGING_FACE, str(tmp_path / "models"))
    assert refused.value.messages[0].key == "downloads.resting"
    hub.sent.clear()
    downloads.manager.resume(started)
    running = wait_for(
        "it runs",
        lambda: (now := downloads.get(started)).state is DownloadState.RUNNING and now.done_bytes > 700_000 and now,
    )
    # The console goes, the download goes on, and is found again.
    downloads.close()
    again = Downloads(downloads.settings, hub)
    try:
        assert again.get(started).state is DownloadState.RUNNING
        assert again.get(started).run_id == running.run_id
        os.kill(again.supervisor.get(running.run_id).pid, signal.SIGKILL)
        failed = again.wait(started, DownloadState.FAILED)
        assert failed.problem is not None
        assert failed.problem.key == "downloads.failed.died"
        hub.faults.speed = None
        again.manager.resume(started)
        done = again.wait(started, DownloadState.SUCCEEDED)
        same_files(Path(done.path), model)
        loaded = sum(hub.sent.values())
        assert loaded <= done.total_bytes - 500_000 + 8 * 65536  # what was written when it was killed
        again.manager.forget(started)
        assert again.manager.snapshot() == ()
        assert Path(done.path).is_dir()
    finally:
        again.close()


def test_cancel_and_queue(world: World, tmp_path: Path, model: Path) -> None:
    """The second waits for the first; cancelled ones leave nothing."""
    hub, downloads = world(Faults(speed=200_000))
    hub.repositories["Some-Org/Other"] = model
    first = downloads.start(HUGGING_FACE, str(tmp_path / "models"))
    second = downloads.manager.start(downloads.offer("Some-Org/Other").id, MODELSCOPE, str(tmp_path / "models"))
    downloads.wait(first, DownloadState.RUNNING)
    assert downloads.manager.get(second).position == 1
    wait_for("something came", lambda: hidden(tmp_path / "models"))
    downloads.manager.cancel(first)
    downloads.wait(first, DownloadState.CANCELLED)
    hub.faults.speed = None
    downloads.wait(second, DownloadState.SUCCEEDED)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["Other"]
    with pytest.raises(Conflict):
        downloads.manager.cancel(first)
    assert [view.download.id for view in downloads.manager.snapshot()] == [second, first]


@pytest.mark.parametrize("tiny_disk", ["3m"], indirect=True)
def test_no_space(world: World, tiny_disk: Path, tmp_path: Path) -> None:
    """Seen before the start; and where others fill the disk meanwhile, said, and gone on with once there is room."""
    _, downloads = world(models=tiny_disk)
    offer = downloads.offer()
    with pytest.raises(InvalidInput) as refused:
        downloads.manager.start(offer.id, HUGGING_FACE, str(tiny_disk))
    assert refused.value.messages[0].key == "downloads.no-room"


@pytest.mark.parametrize("tiny_disk", ["80m"], indirect=True)
def test_the_disk_fills_up_meanwhile(world: World, tiny_disk: Path, model: Path) -> None:
    hub, downloads = world(Faults(speed=300_000), models=tiny_disk)
    started = downloads.start(HUGGING_FACE, str(tiny_disk))
    wait_for("something came", lambda: downloads.get(started).done_bytes > 200_000)
    others = tiny_disk / "others"
    with others.open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(1 << 16)):
                pass
        except OSError:
            pass
    failed = downloads.wait(started, DownloadState.FAILED)
    assert failed.problem is not None
    assert failed.problem.key == "downloads.failed.no-space"
    with pytest.raises(InvalidInput):
        downloads.manager.resume(started)
    others.unlink()
    hub.faults.speed = None
    downloads.manager.resume(started)
    same_files(Path(downloads.wait(started, DownloadState.SUCCEEDED).path), model)


def test_what_hubs_do_not_have_or_say(world: World) -> None:
    hub, downloads = world()
    nothing = downloads.offer("nobody/nothing")
    assert nothing.best == -1
    assert {one.problem.key for one in nothing.offered if one.problem} == {"downloads.failed.not-found"}
    answer = downloads.manager.ask("tiny")
    assert answer.offer is None
    assert [[one.id for one in models] for _, models, _ in answer.found] == [[NAME], [NAME]]
    hub.faults.statuses = {r"/api/models": [500] * 99, r"/openapi": [500] * 99}
    answer = downloads.manager.ask("tiny")
    assert all(problem is not None for _, _, problem in answer.found)
    with pytest.raises(ConsoleError):
        downloads.manager.start("gone", 0, "hub")


@pytest.mark.parametrize("layout", ["folder", "hub"])
def test_one_killed_after_its_last_step_loads_nothing_anew(
    layout: str, world: World, model: Path, tmp_path: Path
) -> None:
    hub, downloads = world()
    place = "hub" if layout == "hub" else str(tmp_path / "models")
    done = downloads.wait(downloads.start(HUGGING_FACE, place), DownloadState.SUCCEEDED)
    plan = downloads.settings.state_dir / "downloads" / done.id / PLAN
    result = plan.with_name(RESULT)

    def gone_on() -> Any:
        result.unlink()
        run = downloads.supervisor.start(online.fetch_command(plan), kind="test", name="again")
        wait_for("its end", lambda: downloads.supervisor.get(run.id).ended, DEADLINE_S)
        downloads.supervisor.forget(run.id)
        return json.loads(result.read_text())["key"]

    hub.sent.clear()
    if layout == "hub":
        Path(done.path, "config.json").unlink()  # killed between two links
    assert gone_on() == ""
    assert hub.sent == {}
    same_files(Path(done.path), model)
    if layout == "folder":
        assert hidden(tmp_path / "models") == []
        Path(done.path, "config.json").write_text("{}")
        assert gone_on() == "in-the-way"  # it isn't what was loaded
        assert Path(done.path, "config.json").read_text() == "{}"


def test_another_revision_takes_what_is_the_same(world: World, model: Path) -> None:
    """A newer revision in Hugging Face's cache: only the changed shard is loaded."""
    hub, downloads = world()
    downloads.wait(downloads.start(HUGGING_FACE, "hub"), DownloadState.SUCCEEDED)
    with (model / "model-00002-of-00002.safetensors").open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\x01")
    hub.revision = hashlib.sha1(b"newer").hexdigest()
    offer = downloads.offer()
    assert offer.here == ()
    hub.sent.clear()
    done = downloads.wait(downloads.manager.start(offer.id, HUGGING_FACE, "hub"), DownloadState.SUCCEEDED)
    same_files(Path(done.path), model)
    assert "model-00001-of-00002.safetensors" not in hub.sent
    assert "model-00002-of-00002.safetensors" in hub.sent


def test_the_console_asks_no_hub(world: World) -> None:
    """Nothing leaves before a person asks; the child's environment is the one that is let online."""
    hub, downloads = world()
    downloads.catalog.models()
    downloads.manager.snapshot()
    assert hub.asked == []
    environment: dict[str, Any] = online.online_environment()
    assert environment["HF_HUB_OFFLINE"] is None
    plan = online.fetch_command(Path("/plan.json"))
    assert json.dumps(plan.preview())


@pytest.mark.parametrize("number", [HUGGING_FACE, MODELSCOPE])
def test_through_a_proxy(
    number: int, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    """A hub that only the proxy of the person's environment reaches; this machine's own addresses go past it."""
    hub, downloads = world()
    downloads.close()
    # The hub takes absolute addresses: it is its own proxy.
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, hub.address)
    again = Downloads(downloads.settings, hub, "http://hub.example")
    try:
        offer = again.offer()
        assert offer.offered[number].problem is None
        done = again.wait(again.manager.start(offer.id, number, str(tmp_path / "models")), DownloadState.SUCCEEDED)
        same_files(Path(done.path), model)
        assert {line.split()[1].partition("/resolve")[0][:19] for line in hub.asked if "://" in line} == {
            "http://hub.example/"
        }
    finally:
        again.close()
