"""Stands in for `transformers serve` in a campaign: ``serve MODEL … --port N``. The standard library only.

The model folder's file ``behave`` says how: "ok" serves at once (openai_server.py); "slow" when the folder has a file
``go``; "deaf" ignores SIGTERM; "family" starts two deaf children in sessions of their own before it serves; "noisy"
writes bytes that are no UTF-8, and lines without an end; "fails" ends with code 3 before it serves; "nonsense"
answers so unless a dtype is given.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> None:
    model, port = Path(arguments[1]), arguments[arguments.index("--port") + 1]
    behave = (model / "behave").read_text().strip()
    if behave == "fails":
        sys.exit(3)
    while behave == "slow" and not (model / "go").exists():
        threading.Event().wait(0.02)
    if behave == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # stays so in what is executed below
    for _ in range(2 if behave == "family" else 0):
        argv = [sys.executable, str(HERE / "misbehave.py"), "deaf"]
        subprocess.Popen(argv, start_new_session=True, stdout=subprocess.DEVNULL)
    if behave == "noisy":
        sys.stdout.buffer.write("加载 100%\n".encode("gbk") * 20_000 + b"x" * 300_000)
        sys.stdout.buffer.flush()
    server = str(HERE / "openai_server.py")
    text = ["--text", "!" * 16] if behave == "nonsense" and "--dtype" not in arguments else []
    os.execv(sys.executable, [sys.executable, server, port, "--model", str(model), "--tokens", "20", *text])


if __name__ == "__main__":
    main(sys.argv[1:])
