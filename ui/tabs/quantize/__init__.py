"""The Quantize tab: from a form to a finished 4-bit model."""

from ui.tabs.base import TabSpec
from ui.tabs.quantize.binding import bind
from ui.tabs.quantize.form import build
from ui.tabs.quantize.paste import paste
from ui.tabs.quantize.routes import routes

TAB = TabSpec(name="quantize", build=build, bind=bind, routes=routes, paste=paste)
