"""A model server that does as it is told: /health, /v1/models, a key, progress on the way, death on request.

``python fake_server.py PORT [--gate FILE] [--key KEY] [--model NAME] [--loading] [--flood BYTES] [--die CODE]
[--leaves]``. With ``--gate`` it answers /health with what stands in FILE (an HTTP status; 503 while there is no file);
"exit N" there ends it with code N. ``--key @FILE`` reads the key from FILE. ``--leaves``: beside it runs a process that
ignores SIGTERM. The standard library only.
"""

import argparse
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    options: argparse.Namespace

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer(self.health(), {"status": "ok"})
        elif self.path == "/v1/models":
            if self.options.key and self.headers.get("Authorization") != f"Bearer {self.options.key}":
                self.answer(401, {"error": "key"})
            else:
                model = {"id": self.options.model, "object": "model", "max_model_len": 4096}
                self.answer(200, {"object": "list", "data": [model]})
        else:
            self.answer(404, {"error": self.path})

    def health(self) -> int:
        if self.options.gate is None:
            return 200
        try:
            order = self.options.gate.read_text()
        except FileNotFoundError:
            return 503
        if order.startswith("exit"):
            print("RuntimeError: told to end", flush=True)
            os._exit(int(order.split()[1]))
        return int(order or 503)

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--gate", type=Path)
    parser.add_argument("--key", default="")
    parser.add_argument("--model", default="fake")
    parser.add_argument("--loading", action="store_true")
    parser.add_argument("--flood", type=int, default=0)
    parser.add_argument("--die", type=int)
    parser.add_argument("--leaves", action="store_true")
    options = parser.parse_args()
    if options.leaves:
        argv = [sys.executable, str(Path(__file__).with_name("misbehave.py")), "deaf"]
        child = subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()  # it is deaf by then
    if options.key.startswith("@"):
        options.key = Path(options.key[1:]).read_text()
    if options.loading:
        sys.stdout.write("Loading:   0%| | 0/24\rLoading:  29%|██▉ | 7/24")
        sys.stdout.flush()
    for _ in range(options.flood // 1000):
        print("x" * 999, flush=True)
    if options.die is not None:
        print("RuntimeError: it was told to die", flush=True)
        sys.exit(options.die)
    Handler.options = options
    ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
