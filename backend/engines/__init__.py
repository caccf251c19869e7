"""Ways to serve a model. A new engine is one module and one line here."""

from backend.engines.base import Engine
from backend.engines.external import External
from backend.engines.proxy import Proxy
from backend.engines.pytorch import PyTorch
from backend.engines.transformers import Transformers
from backend.engines.turbomind import TurboMind

ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (TurboMind(), PyTorch(), Transformers(), External(), Proxy())
}
