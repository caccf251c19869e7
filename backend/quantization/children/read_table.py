"""Reads a Parquet or Arrow file's rows as JSON lines, or unpacks zstd, into a file.

usage: read_table.py table|zstd GIVEN TAKEN MOST_BYTES

Prints one JSON line: ``more`` (it was cut at MOST_BYTES) and ``total`` (rows). The last line of stderr is the cause of
a failure.
"""

import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MEMORY_BYTES = 8 << 30  # a small file may unpack to anything
_LONGEST = 1_000_000  # characters of one value
_ROWS = 1_000


def main(what: str, given: str, taken: str, most: str) -> None:
    """Do what is asked for."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    work = {"table": _rows, "zstd": _unpack}[what]
    answer = work(given, Path(taken), int(most))
    print(json.dumps(answer))


def _unpack(given: str, taken: Path, most: int) -> dict[str, Any]:
    import pyarrow  # type: ignore[import-untyped]

    with pyarrow.CompressedInputStream(pyarrow.OSFile(given), "zstd") as stream, taken.open("wb") as output:
        left = most
        while left > 0 and (piece := stream.read(min(left, 1 << 20))):
            left -= output.write(piece)
        return {"more": left <= 0}


def _rows(given: str, taken: Path, most: int) -> dict[str, Any]:
    count, left = 0, most
    total, batches = _batches(given)
    with taken.open("wb") as output:
        for batch in batches:
            for row in batch.to_pylist():
                line = json.dumps(_plain(row), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
                if len(line) > left:
                    return {"more": True, "total": total}
                left -= output.write(line)
                count += 1
    return {"more": False, "total": count}


def _batches(given: str) -> tuple[int, Iterator[Any]]:
    """The rows' number (0 = not known) and the rows, some at a time."""
    import pyarrow
    import pyarrow.feather  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    with open(given, "rb") as file:
        lead = file.read(6)
    if lead[:4] == b"PAR1":
        parquet = pyarrow.parquet.ParquetFile(given)
        return parquet.metadata.num_rows, parquet.iter_batches(_ROWS)
    if lead == b"ARROW1":
        reader = pyarrow.ipc.open_file(given)
        return 0, (reader.get_batch(number) for number in range(reader.num_record_batches))
    if lead[:4] == b"FEA1":
        table = pyarrow.feather.read_table(given)
        return table.num_rows, iter(table.to_batches(_ROWS))
    return 0, iter(pyarrow.ipc.open_stream(given))


def _plain(value: Any) -> Any:
    """What JSON holds; pictures and sounds in a table are left out. Some writers store text as its bytes."""
    if isinstance(value, bytes):
        value = _text(value)
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (int, float, bool)) else None


def _text(value: bytes) -> str | None:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if any(char < " " and char not in "\t\n\r\f\x1b" for char in text) else text


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # a damaged file: whatever the library raises
        print(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__, file=sys.stderr)
        sys.exit(1)
