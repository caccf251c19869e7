"""The Chat tab: talk to a server, in text and pictures."""

from ui.tabs.base import TabSpec
from ui.tabs.chat.binding import bind
from ui.tabs.chat.form import build
from ui.tabs.chat.paste import paste
from ui.tabs.chat.routes import routes

TAB = TabSpec("chat", build, bind, routes, paste, for_class=True)
