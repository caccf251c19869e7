"""Figures as a person reads them: GiB from bytes, billions of parameters, tokens. Pure.

Nothing here raises: what is no figure (endless, beyond all memory, no number) is shown as "?", and takes no page away.
"""

from backend.units import GIB

LARGEST = 10**24
UNKNOWN = "?"


def gib(size_bytes: int) -> str:
    """Bytes → "14.4 GiB"; two decimals below 10 GiB, three below 0.1."""
    if not _is_figure(size_bytes):
        return f"{UNKNOWN} GiB"
    value = size_bytes / GIB
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:.{digits}f} GiB"


def parameters(count: int) -> str:
    """7736000000 → "7.74 B", 14900000 → "14.9 M"; "" for 0."""
    if not _is_figure(count):
        return UNKNOWN
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            return f"{_three(count / size)} {unit}"
    return str(count) if count else ""


def tokens(count: int) -> str:
    """32768 → "32,768"."""
    return f"{count:,}" if _is_figure(count) else UNKNOWN


def _is_figure(value: object) -> bool:
    """A number no larger than LARGEST; not-a-number isn't one."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


def _three(value: float) -> str:
    """Three digits, never as a power of ten: 1,040 B and not 1.04e+03 B."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"
