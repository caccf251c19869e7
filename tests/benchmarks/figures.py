"""A figure with its limit, as benchmarks print it."""


def told(name: str, value: float, which: str, limit: float | None, form: str = ".3g") -> bool:
    """Print the figure and whether its limit is held, which is the result. ``which``: "at most" or "at least"; None:
    it has no limit."""
    held = limit is None or (value <= limit if which == "at most" else value >= limit)
    wanted = "no limit" if limit is None else f"{which} {limit:g}"
    print(f"{name}: {value:{form}} ({wanted}){'' if held else '  MISSED'}", flush=True)
    return held
