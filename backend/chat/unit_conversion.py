"""Turns a value from one unit into another: lengths, weights, bytes, times, temperatures. Pure."""

from collections.abc import Mapping

from backend.chat.calculator import NotAFormula, written

# A kind's units, each with how many of the first one it is.
KINDS: Mapping[str, Mapping[str, float]] = {
    "length": {
        "m": 1, "km": 1e3, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "nm": 1e-9, "in": 0.0254, "ft": 0.3048,
        "yd": 0.9144, "mi": 1609.344, "nmi": 1852, "里": 500, "尺": 1 / 3, "寸": 1 / 30,
    },
    "mass": {
        "kg": 1, "g": 1e-3, "mg": 1e-6, "t": 1e3, "lb": 0.45359237, "oz": 0.028349523125, "斤": 0.5, "两": 0.05,
    },
    "data": {
        "B": 1, "bit": 0.125, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15, "KiB": 2**10,
        "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "kbit": 125, "Mbit": 125e3, "Gbit": 125e6, "Tbit": 125e9,
    },
    "time": {
        "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "min": 60, "h": 3600, "d": 86400, "week": 604800,
        "year": 31557600,
    },
    "speed": {"m/s": 1, "km/h": 1 / 3.6, "mph": 0.44704, "kn": 1852 / 3600},
    "area": {"m2": 1, "m²": 1, "km2": 1e6, "cm2": 1e-4, "ha": 1e4, "acre": 4046.8564224, "ft2": 0.09290304,
             "亩": 2000 / 3},
    "volume": {"l": 1, "L": 1, "ml": 1e-3, "mL": 1e-3, "m3": 1e3, "m³": 1e3, "gal": 3.785411784, "pint": 0.473176473},
    "energy": {"J": 1, "kJ": 1e3, "MJ": 1e6, "Wh": 3600, "kWh": 3.6e6, "cal": 4.184, "kcal": 4184,
               "eV": 1.602176634e-19},
    "power": {"W": 1, "kW": 1e3, "MW": 1e6, "hp": 745.699872},
    "pressure": {"Pa": 1, "kPa": 1e3, "MPa": 1e6, "bar": 1e5, "atm": 101325, "psi": 6894.757293},
    "angle": {"rad": 1, "deg": 0.017453292519943295, "°": 0.017453292519943295},
}  # fmt: skip
TEMPERATURES: Mapping[str, tuple[float, float]] = {  # kelvins = value × factor + offset
    "K": (1.0, 0.0), "C": (1.0, 273.15), "°C": (1.0, 273.15), "F": (5 / 9, 459.67 * 5 / 9),
    "°F": (5 / 9, 459.67 * 5 / 9),
}  # fmt: skip
NAMES: Mapping[str, str] = {
    "meter": "m", "metre": "m", "kilometer": "km", "kilometre": "km", "centimeter": "cm", "millimeter": "mm",
    "inch": "in", "inches": "in", "foot": "ft", "feet": "ft", "yard": "yd", "mile": "mi", "kilogram": "kg", "gram": "g",
    "tonne": "t", "ton": "t", "pound": "lb", "ounce": "oz", "byte": "B", "kilobyte": "kB", "megabyte": "MB",
    "gigabyte": "GB", "terabyte": "TB", "kibibyte": "KiB", "mebibyte": "MiB", "gibibyte": "GiB", "tebibyte": "TiB",
    "second": "s", "millisecond": "ms", "microsecond": "us", "nanosecond": "ns", "minute": "min", "hour": "h",
    "day": "d", "liter": "l", "litre": "l", "celsius": "C", "fahrenheit": "F", "kelvin": "K", "joule": "J",
    "watt": "W", "degree": "deg", "radian": "rad", "hectare": "ha", "米": "m", "千米": "km", "公里": "km", "厘米": "cm",
    "毫米": "mm", "英里": "mi", "英寸": "in", "英尺": "ft", "千克": "kg", "公斤": "kg", "克": "g", "吨": "t",
    "磅": "lb", "字节": "B", "秒": "s", "毫秒": "ms", "分钟": "min", "小时": "h", "天": "d", "升": "l",
    "毫升": "ml", "摄氏度": "C", "华氏度": "F",
}  # fmt: skip
LARGEST = 1e30


def convert(value: float, source: str, target: str) -> str:
    """The value in the other unit, with it. Raises NotAFormula."""
    if not abs(value) <= LARGEST:
        raise NotAFormula("the value is too large, or no number")
    old, new = _unit(source), _unit(target)
    if old in TEMPERATURES and new in TEMPERATURES:
        (factor, offset), (new_factor, new_offset) = TEMPERATURES[old], TEMPERATURES[new]
        return f"{written((value * factor + offset - new_offset) / new_factor)} {new}"
    for units in KINDS.values():
        if old in units and new in units:
            return f"{written(value * units[old] / units[new])} {new}"
    raise NotAFormula(f"{old} and {new} aren't units of the same kind")


def _unit(name: str) -> str:
    name = name.strip()
    known = {unit for units in KINDS.values() for unit in units} | set(TEMPERATURES)
    if name in known:
        return name
    plain = name.lower()
    for spelling in (plain, plain.removesuffix("s")):
        if spelling in NAMES:
            return NAMES[spelling]
    alike = [unit for unit in known if unit.lower() == plain]
    if len(alike) == 1:
        return alike[0]
    raise NotAFormula(f"there is no unit {name[:40]!r}; there are: {', '.join(sorted(known))}")
