"""What the console's API address answers instead of a server's answer, as OpenAI's clients understand it."""

from collections.abc import Mapping
from typing import Any

from backend.errors import ConsoleError, Message


class Refusal(ConsoleError):
    """A request that isn't passed on, or an answer that broke off.

    ``status`` is the HTTP status; ``kind`` and ``code`` are OpenAI's words ("invalid_request_error",
    "model_not_found"); ``retry_after_s`` says when to try again, None = not by waiting. The message's field is the
    request's.
    """

    def __init__(
        self, status: int, code: str, message: Message, *, kind: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.kind = kind or _kind(status)
        self.retry_after_s = retry_after_s

    @property
    def message(self) -> Message:
        """What to say."""
        return self.messages[0]


def bad_request(key: str, params: Mapping[str, Any], field: str = "") -> Refusal:
    """A request that can't be taken as it is (400)."""
    return Refusal(400, key.removeprefix("gateway.").replace("-", "_"), Message(key, params, field))


def _kind(status: int) -> str:
    """OpenAI's error types by status (https://platform.openai.com/docs/guides/error-codes)."""
    if status == 401:
        return "authentication_error"
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"
