"""The VRAM tab: the live chart of every GPU, whose memory it is, and the plan held against what was measured."""

from ui.tabs.base import TabSpec
from ui.tabs.vram.binding import bind
from ui.tabs.vram.form import build
from ui.tabs.vram.paste import paste
from ui.tabs.vram.routes import routes

TAB = TabSpec("vram", build, bind, routes, paste, for_class=True)
