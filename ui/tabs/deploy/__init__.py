"""The Deploy tab: from a form to a running model server."""

from ui.tabs.base import TabSpec
from ui.tabs.deploy.binding import bind
from ui.tabs.deploy.form import build
from ui.tabs.deploy.paste import paste
from ui.tabs.deploy.routes import routes

TAB = TabSpec("deploy", build, bind, routes, paste)
