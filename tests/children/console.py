"""A console without a page, to be killed: ``python console.py STATE_DIR NAME:WHAT[:ARGUMENT…] …``.

Holds the state directory's lock, starts misbehave.py once for each NAME (which becomes the run's id), writes "ready"
and waits. "stop NAME SECONDS" on its standard input is carried out and answered by "ok".
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend.console.instance_lock import InstanceLock
from backend.processes.command import CommandSpec
from backend.processes.supervisor import Supervisor
from backend.settings import Settings
from backend.store import Store

MISBEHAVE = str(Path(__file__).with_name("misbehave.py"))


def main(state_dir: Path, orders: list[str]) -> None:
    lock = InstanceLock(state_dir)
    other = lock.acquire()
    if other is not None:
        print(f"taken {other.address} {other.pid}", flush=True)
        return
    lock.write_address("http://127.0.0.1:1/")
    settings = Settings("127.0.0.1", 0, False, state_dir, (), (), "en", "", False)
    supervisor = Supervisor(settings, Store(state_dir))
    for order in orders:
        name, *words = order.split(":")
        supervisor.start(CommandSpec((sys.executable, MISBEHAVE, *words)), kind="test", name=name, run_id=name)
    print("ready", flush=True)
    for line in sys.stdin:
        _, name, grace_s = line.split()
        supervisor.stop(name, float(grace_s))
        print("ok", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
