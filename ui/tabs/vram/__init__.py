"""The VRAM tab: the live chart of every GPU, whose memory it is, and the plan held against what was measured."""

from ui.tabs.base import TabSpec
from ui.tabs.vram.layout import bind, build
from ui.tabs.vram.routes import routes

TAB = TabSpec("vram", build, bind, routes)
