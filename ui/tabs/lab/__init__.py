"""The Lab tab: every start as a row, benchmarks, and the tutorials as lessons that check themselves."""

from ui.tabs.base import TabSpec
from ui.tabs.lab.binding import bind
from ui.tabs.lab.form import build
from ui.tabs.lab.routes import routes

TAB = TabSpec("lab", build, bind, routes, for_class=True)
