"""A download through the console against the hub's own library: at least 0.97 × its speed. Both in turn, from a hub on
this machine whose line gives 1 Gbit/s; the quickest counts.

python -m tests.benchmarks.download [rounds] [MiB] [MiB a second, 0 = no limit]
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from multiprocessing.synchronize import Event
from pathlib import Path

from backend.downloads.download import DownloadState
from backend.downloads.manager import DownloadManager
from backend.models.catalog import Catalog
from backend.processes.supervisor import Supervisor
from backend.store import Store
from backend.units import MIB
from tests.conftest import make_settings
from tests.support.local_hub import Faults, local_hub
from tests.support.tiny_models import fake_model

LIMIT = 0.97
NAME = "Org/Bench"
SHARDS = 4
LINE_BYTES = 125_000_000  # 1 Gbit/s, all connections together
BY_HAND = (
    "import sys, time; from huggingface_hub import snapshot_download as s;"
    "s(sys.argv[1], endpoint=sys.argv[2], local_dir=sys.argv[3])"
)


def make(folder: Path, size: int) -> Path:
    """Shards of noise."""
    width = size // SHARDS // 2 // 1024
    fake_model(
        folder, tensors={f"model.layers.{n}.w.weight": ("BF16", (width, 1024)) for n in range(SHARDS)}, shards=SHARDS
    )
    noise = os.urandom(MIB)
    for file in folder.glob("*.safetensors"):
        with file.open("r+b") as stream:
            stream.seek(8 + int.from_bytes(stream.read(8), "little"))
            while (left := file.stat().st_size - stream.tell()) > 0:
                stream.write(noise[:left])
    return folder


def serve(folder: str, speed: float | None, port: "multiprocessing.Queue[int]", over: Event) -> None:
    """A hub in a process of its own, as a hub is."""
    with local_hub({NAME: Path(folder)}, Faults(speed=speed)) as hub:
        port.put(hub.port)
        over.wait()


def by_hand(address: str, target: Path) -> float:
    """Seconds of the library itself, its start included, as the console's includes its child's."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", BY_HAND, NAME, address, str(target)], env=environment, check=True)
    return time.monotonic() - began


def through_the_console(manager: DownloadManager, place: Path) -> float:
    """Seconds from the click on Download to the model in its place, its hashes checked."""
    offer = manager.ask(NAME).offer
    assert offer is not None
    began = time.monotonic()
    download_id = manager.start(offer.id, 0, str(place))
    pause = threading.Event()
    while (download := manager.get(download_id).download).state in (DownloadState.QUEUED, DownloadState.RUNNING):
        pause.wait(0.05)
    if download.state is not DownloadState.SUCCEEDED:
        raise SystemExit(f"the download failed: {download.problem}")
    seconds = time.monotonic() - began
    subprocess.run(["rm", "-r", download.path], check=True)
    manager.forget(download_id)
    return seconds


def main(rounds: int, mib: int, line: float) -> None:
    """Prints both speeds and their ratio; exit status 1 below the limit."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        model = make(base / "hub", mib * MIB)
        port: multiprocessing.Queue[int] = multiprocessing.Queue()
        over = multiprocessing.Event()
        speed = line * MIB / SHARDS or None
        hub = multiprocessing.Process(target=serve, args=(str(model), speed, port, over), daemon=True)
        hub.start()
        address = f"http://127.0.0.1:{port.get()}"
        (base / "models").mkdir()
        settings = make_settings(base / "state", models=(base / "models",))
        store = Store(settings.state_dir)
        supervisor = Supervisor(settings, store)
        environ = {"HF_ENDPOINT": address, "MODELSCOPE_ENDPOINT": address}
        manager = DownloadManager(settings, store, supervisor, Catalog(()), environ=lambda: environ)
        hands, consoles = [], []
        try:
            for number in range(rounds):
                hands.append(by_hand(address, base / f"by-hand-{number}"))
                subprocess.run(["rm", "-r", str(base / f"by-hand-{number}")], check=True)
                consoles.append(through_the_console(manager, base / "models"))
        finally:
            manager.close()
            supervisor.close()
            store.close()
            over.set()
            with suppress(OSError):
                hub.join(10)
    ratio = min(hands) / min(consoles)
    print(
        f"{mib} MiB in {SHARDS} files: by hand {min(hands):.2f} s ({mib / min(hands):.0f} MiB/s), "
        f"through the console {min(consoles):.2f} s ({mib / min(consoles):.0f} MiB/s): {ratio:.3f} × (at least {LIMIT})"
    )
    if ratio < LIMIT:
        raise SystemExit(1)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(
        int(arguments[0]) if arguments else 3,
        int(arguments[1]) if len(arguments) > 1 else 2048,
        float(arguments[2]) if len(arguments) > 2 else LINE_BYTES / MIB,
    )
