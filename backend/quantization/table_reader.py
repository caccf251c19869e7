"""Parquet, Arrow and zstd, read by a child: their library is heavy, and a broken file can end a process."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from backend.errors import InvalidInput, Message
from backend.machine.child import NoAnswer, ask

FIELD = "text"
CHILD = Path(__file__).parent / "children" / "read_table.py"
DEADLINE_S = 60.0
MOST_BYTES = 64 << 20


def rows(source: Path | bytes, name: str) -> tuple[list[dict[str, Any]], tuple[Message, ...]]:
    """A table's rows by column, as many as MOST_BYTES of JSON hold; and what to know of them. Raises InvalidInput."""
    output, summary = _run("table", source, name, MOST_BYTES)
    rows = [json.loads(line) for line in output.splitlines() if line.strip()]
    notices: tuple[Message, ...] = ()
    if summary.get("more"):
        params = {"name": name, "rows": f"{len(rows):,}", "total": f"{int(summary.get('total') or 0):,}"}
        notices = (Message("quantize.text.note.rows", params, FIELD, "info"),)
    return rows, notices


def unzstd(content: bytes, name: str, most: int) -> tuple[bytes, bool]:
    """The first ``most`` bytes of what is packed, and whether there is more. Raises InvalidInput."""
    output, summary = _run("zstd", content, name, most)
    return output, bool(summary.get("more"))


def _run(what: str, source: Path | bytes, name: str, most: int) -> tuple[bytes, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        given, taken = Path(folder, "given"), Path(folder, "taken")
        if isinstance(source, bytes):
            given.write_bytes(source)
        else:
            given = source
        try:
            answer = ask(Path(sys.executable), CHILD, what, str(given), str(taken), str(most), deadline_s=DEADLINE_S)
            return taken.read_bytes(), json.loads(answer.splitlines()[-1])
        except (NoAnswer, ValueError, IndexError) as error:
            raise InvalidInput(Message("quantize.text.packed", {"name": name, "error": str(error)}, FIELD)) from error
