"""Gradio, imported in half the time: without the type stubs that it writes for editors.

At each import Gradio parses the source of its eighty component classes, and renders and rewrites a .pyi file beside
each: a second of every start, for files that nobody here reads. What is changed here was seen in Gradio 6.31.0.
Where an upgrade has no such step, Gradio is imported as it is.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType

MODULE = "gradio.component_meta"
STEP = "create_or_modify_pyi"


def import_gradio() -> None:
    """Import it; does nothing where it is imported already. The environment must be as Gradio shall find it."""
    if "gradio" in sys.modules:
        return
    finder = _WithoutStubs()
    sys.meta_path.insert(0, finder)
    try:
        import gradio  # noqa: F401
    finally:
        sys.meta_path.remove(finder)


class _WithoutStubs:
    """Finds that one module, as Python would, and has it loaded without the step."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        found = PathFinder.find_spec(name, path) if name == MODULE else None
        if found is None or not isinstance(found.loader, SourceFileLoader):
            return None
        return spec_from_file_location(name, found.origin, loader=_Loader(name, found.loader.path))


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if hasattr(module, STEP):
            vars(module)[STEP] = lambda *_: None
