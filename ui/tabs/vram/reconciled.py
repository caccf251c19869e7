"""The plans held against what was measured, as the page shows them. Pure."""

from collections.abc import Mapping
from typing import Any

from ui.i18n import Language, t

PARTS = ("weights", "context", "kv", "work")
MOST_SHOWN = 8


def reconciled(
    records: Mapping[str, Mapping[str, Any]], names: Mapping[str, str], language: Language
) -> list[dict[str, Any]]:
    """The newest records first: planned and measured bytes of every part, and how it was measured."""
    newest = sorted(records.items(), key=lambda item: -float(item[1]["at"]))[:MOST_SHOWN]
    return [_entry(server, record, names.get(server, ""), language) for server, record in newest]


def _entry(server: str, record: Mapping[str, Any], name: str, language: Language) -> dict[str, Any]:
    planned, measured = record["planned"], record["measured"]
    parts = [
        {
            "part": part,
            "label": t(f"plan.part.{part}", language),
            "planned": planned[f"{part}_bytes"],
            "measured": measured[f"{part}_bytes"],
        }
        for part in PARTS
    ]
    parts.append(
        {
            "part": "total",
            "label": t("plan.part.total", language),
            "planned": sum(part["planned"] for part in parts),
            "measured": sum(part["measured"] for part in parts),
        }
    )
    settings = record["settings"]
    return {
        "server": server,
        "name": name or record["model"],
        "model": record["model"],
        "at": record["at"],
        "gpu": record["gpu"],
        "settings": t(
            "vram.reconciled.settings",
            language,
            {
                "engine": record["engine"],
                "ratio": settings["cache_max_entry_count"],
                "policy": settings["quant_policy"],
            },
        ),
        "how": t("vram.reconciled.log" if measured["from_log"] else "vram.reconciled.nvml", language),
        "parts": parts,
        "tokens": {"planned": record["planned_tokens"], "measured": measured["tokens"]},
    }
