"""The Chat tab: talk to a server, in text and pictures."""

from ui.tabs.base import TabSpec
from ui.tabs.chat.events import bind
from ui.tabs.chat.layout import build
from ui.tabs.chat.routes import routes

TAB = TabSpec("chat", build, bind, routes)
