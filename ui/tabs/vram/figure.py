"""The VRAM tab's figure: its traces and axes, without data. Pure; plain JSON as plotly.js takes it.

chart.js fills the traces from samples, by each trace's ``meta``: ``gpu`` is a place in a row's GPUs (-1: the
machine's memory), ``owner`` a number from rows.py, ``kind`` what is drawn: "share", "cache" (the part of a share that
is KV cache and empty), "others", "utilization".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.units import GIB
from ui.i18n import Language, t

HOST = -1
ONE_ROW_PIXELS, ROW_PIXELS, GAP = 270, 200, 0.09
# Okabe and Ito's colours, which people with any colour vision tell apart; the same in light and dark.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a800", "#7e6bc4")
OTHERS = "#94a3b8"
UTILIZATION = "#64748b"


@dataclass(frozen=True)
class Row:
    """One row of the figure: a GPU, or the machine's memory (``gpu`` HOST)."""

    gpu: int
    title: str
    total_bytes: int
    owners: tuple[int, ...]
    has_cache: frozenset[int] = frozenset()
    utilization: bool = True


def color_of(owner: int) -> str:
    """An owner's colour, for ever the same."""
    return PALETTE[owner % len(PALETTE)]


def figure(rows: Sequence[Row], names: Mapping[int, str], language: Language) -> dict[str, Any]:
    """Traces and layout: one row below the other with one time axis, memory in GiB against its total."""
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "uirevision": "keep",
        "hovermode": "x",
        "height": 100 + (ONE_ROW_PIXELS if len(rows) < 2 else ROW_PIXELS * len(rows)),
        "margin": {"l": 56, "r": 52, "t": 30, "b": 36},
        "legend": {"orientation": "h", "y": -0.13 / max(1, len(rows)), "x": 0, "yanchor": "top"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12},
        "annotations": [],
        "shapes": [],
    }
    named: set[str] = set()
    for index, row in enumerate(rows):
        traces += _row_traces(row, index, names, language, named)
        layout |= _axes(row, index, len(rows))
        layout["annotations"].append(_title(row, index))
    return {"data": traces, "layout": layout}


def _row_traces(
    row: Row, index: int, names: Mapping[int, str], language: Language, named: set[str]
) -> list[dict[str, Any]]:
    traces = [
        _area(row, index, OTHERS, t("vram.others", language), {"gpu": row.gpu, "owner": -1, "kind": "others"}, named)
    ]
    for owner in row.owners:
        color, name = color_of(owner), names[owner]
        traces.append(_area(row, index, color, name, {"gpu": row.gpu, "owner": owner, "kind": "share"}, named))
        if owner in row.has_cache:
            empty = _area(
                row,
                index,
                color,
                t("vram.cache-empty", language, {"name": name}),
                {"gpu": row.gpu, "owner": owner, "kind": "cache"},
                named,
            )
            empty["fillpattern"] = {
                "shape": "/",
                "fgcolor": color,
                "bgcolor": "rgba(0,0,0,0)",
                "size": 6,
                "solidity": 0.25,
            }
            empty["fillcolor"] = color
            traces.append(empty)
    if row.utilization and row.gpu != HOST:
        name = t("vram.utilization", language)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "legendgroup": "utilization",
                "showlegend": _first(name, named),
                "visible": "legendonly",
                "x": [],
                "y": [],
                "xaxis": _axis("x", index),
                "yaxis": f"y{index + 1}0",
                "line": {"width": 1.2, "color": UTILIZATION, "dash": "dot"},
                "hovertemplate": f"{name} %{{y:.0f}} %<extra></extra>",
                "meta": {"gpu": row.gpu, "owner": -1, "kind": "utilization"},
            }
        )
    return traces


def _area(row: Row, index: int, color: str, name: str, meta: dict[str, Any], named: set[str]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": f"{meta['owner']}-{meta['kind']}",
        "showlegend": _first(name, named),
        "stackgroup": f"row{index}",
        "stackgaps": "interpolate",
        "x": [],
        "y": [],
        "xaxis": _axis("x", index),
        "yaxis": _axis("y", index),
        "line": {"width": 0, "color": color},
        "fillcolor": color + "b3",
        "hovertemplate": f"{_plain(name)} %{{y:.2f}} GiB<extra></extra>",
        "meta": meta,
    }


def _axes(row: Row, index: int, count: int) -> dict[str, Any]:
    """A row's axes; the time axes move together, and only the lowest shows its times."""
    height = (1 - GAP * (count - 1)) / count
    top = 1 - index * (height + GAP)
    total = row.total_bytes / GIB
    axis_x, axis_y = _axis("xaxis", index), _axis("yaxis", index)
    axes: dict[str, Any] = {
        axis_x: {
            "type": "date",
            "anchor": _axis("y", index),
            "showticklabels": index == count - 1,
            "tickformat": "%H:%M:%S",
            "hoverformat": "%H:%M:%S",
            "zeroline": False,
            "fixedrange": False,
        },
        axis_y: {
            "domain": [max(0.0, top - height), top],
            "anchor": _axis("x", index),
            "range": [0, total * 1.001],
            "ticksuffix": " GiB" if index == 0 else "",
            "rangemode": "tozero",
            "zeroline": False,
            "nticks": 6,
        },
        f"yaxis{index + 1}0": {
            "overlaying": _axis("y", index),
            "side": "right",
            "anchor": _axis("x", index),
            "range": [0, 100],
            "ticksuffix": " %",
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "tickvals": [0, 50, 100],
            "visible": False,  # until the utilization is asked for in the legend
        },
    }
    if index > 0:
        axes[axis_x]["matches"] = "x"
    if row.gpu == HOST:
        del axes[f"yaxis{index + 1}0"]
    return axes


def _title(row: Row, index: int) -> dict[str, Any]:
    return {
        "name": "title",
        "text": _plain(row.title),
        "xref": "paper",
        "x": 0,
        "xanchor": "left",
        "yref": f"{_axis('y', index)} domain",
        "y": 1,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 12},
    }


def _axis(name: str, index: int) -> str:
    """plotly's names: x, x2, x3, …"""
    return name if index == 0 else f"{name}{index + 1}"


def _first(name: str, named: set[str]) -> bool:
    """Whether this is the name's first trace, which stands for all of them in the legend."""
    if name in named:
        return False
    named.add(name)
    return True


def _plain(text: str) -> str:
    """Text for plotly, which takes some tags and %{…} for its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")
