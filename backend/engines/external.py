"""A server that runs already, here or elsewhere, with an OpenAI-compatible address. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from backend.engines import checks
from backend.engines.base import Environment, Machine, ServeConfig
from backend.errors import Message
from backend.models.checkpoint import ModelInfo


@dataclass(frozen=True)
class External:
    """Nothing is started; the address is watched and can be chatted with."""

    name: str = "external"
    fields: frozenset[str] = frozenset({"address", "api_key", "model_name"})

    def choices(self, environment: Environment | None) -> Mapping[str, tuple[str, ...]]:
        """None of its fields has a choice."""
        return {}

    def unavailable(self, machine: Machine) -> Message | None:
        """It needs nothing of this machine."""
        return None

    def refuses(self, model: ModelInfo) -> Message | None:
        """It takes no model: the server has its own."""
        return None

    def check(self, config: ServeConfig, model: ModelInfo | None, machine: Machine) -> tuple[Message, ...]:
        """The address, and the key, which goes into a header."""
        messages = list(checks.check_address(config.address))
        if checks.CONTROL.search(config.api_key) or not config.api_key.isascii():
            messages.append(Message("engines.external.bad-key", field="deploy-api-key"))
        return tuple(messages)

    def command(
        self, config: ServeConfig, model: ModelInfo | None, environment: Environment, port: int, key_file: Path
    ) -> None:
        """Nothing is started."""
        return None

    def model_id(self, config: ServeConfig, model: ModelInfo | None) -> str:
        """The given name; "" = what the server's model list says first."""
        return config.model_name


def base_url(address: str) -> str:
    """The address up to and with "/v1": "http://gpu:23333" and "http://gpu:23333/v1/" → "http://gpu:23333/v1".

    Raises ValueError for an address that checks.check_address refuses.
    """
    if checks.check_address(address):
        raise ValueError(address)
    parts = urlsplit(address.strip())
    path = parts.path.rstrip("/")
    for end in ("/chat/completions", "/models"):
        path = path.removesuffix(end)
    if not path.endswith("/v1"):
        path += "/v1"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
