"""Samples as a CSV file, for a spreadsheet. Pure."""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from backend.memory.readings import Sample


def samples_csv(samples: Sequence[Sample], epoch_offset: float, name_of: Callable[[str], str]) -> str:
    """One line a sample: time (UTC), the machine's memory, every GPU's figures and every owner's share, in bytes.

    A figure that couldn't be read is empty.
    """
    gpus = list(dict.fromkeys(gpu.reading.id for sample in samples for gpu in sample.gpus))
    shares = list(dict.fromkeys((g.reading.id, owner) for s in samples for g in s.gpus for owner in g.shares))
    residents = list(dict.fromkeys(owner for sample in samples for owner in sample.resident))
    servers = list(dict.fromkeys(server for sample in samples for server in sample.caches))
    out = io.StringIO()
    writer = csv.writer(out)
    figures = ("used_bytes", "free_bytes", "total_bytes", "utilization_percent", "power_watts", "temperature_celsius")
    writer.writerow(
        _cells(
            [
                "time",
                "machine_used_bytes",
                "machine_total_bytes",
                *(f"gpu{gpu}_{figure}" for gpu in gpus for figure in figures),
                *(f"gpu{gpu}_{name_of(owner)}_bytes" for gpu, owner in shares),
                *(f"machine_{name_of(owner)}_rss_bytes" for owner in residents),
                *(f"{name_of(server)}_kv_cache_usage" for server in servers),
            ]
        )
    )
    for sample in samples:
        by_id = {gpu.reading.id: gpu for gpu in sample.gpus}
        row: list[object] = [
            datetime.fromtimestamp(sample.at + epoch_offset, UTC).isoformat(timespec="milliseconds"),
            sample.host.used_bytes,
            sample.host.total_bytes,
        ]
        for gpu in gpus:
            row += [getattr(by_id[gpu].reading, figure) if gpu in by_id else None for figure in figures]
        row += [by_id[gpu].shares.get(owner) if gpu in by_id else None for gpu, owner in shares]
        row += [sample.resident.get(owner) for owner in residents]
        row += [sample.caches[server].usage if server in sample.caches else None for server in servers]
        writer.writerow(_cells(row))
    return out.getvalue()


def _cells(values: Sequence[object]) -> list[str]:
    """Text for each; a name that a spreadsheet would take for a formula gets an apostrophe before it."""
    texts = ["" if value is None else str(value) for value in values]
    return [f"'{text}" if text[:1] in ("=", "+", "-", "@") and not _is_number(text) else text for text in texts]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
