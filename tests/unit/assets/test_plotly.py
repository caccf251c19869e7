"""The plotly.js that the page draws with: the file that the package's authors made, of plotly.py's own version."""

import hashlib
import importlib.util
import re
from pathlib import Path

import brotli  # type: ignore[import-untyped]

from ui.web.asset_files import PLOTLY, PLOTLY_PACKED

ABOUT = (PLOTLY.parent / "README.md").read_text(encoding="utf-8")


def version(script: Path) -> str:
    """What plotly.js says of itself in its first lines."""
    with script.open(encoding="utf-8") as file:
        found = re.search(r"plotly\.js .*?v(\d+\.\d+\.\d+)", file.read(200))
    assert found
    return found[1]


def test_it_is_of_the_version_that_plotly_py_carries() -> None:
    package = importlib.util.find_spec("plotly")
    assert package is not None
    assert package.origin is not None
    whole = Path(package.origin).parent / "package_data" / "plotly.min.js"
    assert version(PLOTLY) == version(whole)
    assert f"version {version(PLOTLY)}," in ABOUT
    assert PLOTLY.stat().st_size * 3 < whole.stat().st_size


def test_it_is_the_file_as_it_came_with_its_license() -> None:
    assert hashlib.sha256(PLOTLY.read_bytes()).hexdigest() in ABOUT
    assert (PLOTLY.parent / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


def test_what_is_compressed_is_the_same() -> None:
    assert brotli.decompress(PLOTLY_PACKED.read_bytes()) == PLOTLY.read_bytes()
