"""Figures as a person reads them: GiB from bytes, billions of parameters, tokens. Pure."""

GIB = 1 << 30


def gib(size_bytes: int) -> str:
    """Bytes → "14.4 GiB"; two decimals below 10 GiB, three below 0.1."""
    value = size_bytes / GIB
    digits = 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:.{digits}f} GiB"


def parameters(count: int) -> str:
    """7736000000 → "7.74 B", 14900000 → "14.9 M"; "" for 0."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count) if count else ""


def tokens(count: int) -> str:
    """32768 → "32,768"."""
    return f"{count:,}"
