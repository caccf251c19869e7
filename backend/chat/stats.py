"""How fast an answer came: pure arithmetic on the times of its chunks."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class AnswerStats:
    """The figures of one answer. None = not known (yet). Times are milliseconds, rates tokens per second.

    ``ttft_ms`` is the time to first token: from the moment the request was sent to the first piece of text; the wait
    in the console's own queue (``queued_ms``) isn't in it. ``tokens_per_s`` is the decoding speed: the tokens after
    the first, over the time from the first to the last.
    ``approximate``: the server sent no usage, so each chunk was counted as one token.
    """

    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    ttft_ms: float | None = None
    tokens_per_s: float | None = None
    queued_ms: float | None = None
    total_ms: float | None = None
    approximate: bool = False

    @property
    def tokens(self) -> int:
        """Question and answer together, as far as they are known."""
        return (self.prompt_tokens or 0) + (self.answer_tokens or 0)


@dataclass
class Meter:
    """Adds up one answer's figures; one request, or several where the model called tools in between.

    All times are seconds of one monotonic clock.
    """

    queued_at: float
    sent_at: float = 0.0
    first_sent_at: float = 0.0
    first_token_at: float = 0.0
    last_token_at: float = 0.0
    chunks: int = 0
    decoding_s: float = 0.0
    decoded: int = 0
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    approximate: bool = False
    ttft_s: float | None = None
    _done_tokens: int = field(default=0, repr=False)

    def sent(self, now: float) -> None:
        """A request goes out."""
        self.sent_at = now
        self.first_sent_at = self.first_sent_at or now
        self.first_token_at = self.last_token_at = 0.0
        self.chunks = 0

    def token(self, now: float, count: int = 1) -> None:
        """So many chunks with something in them came."""
        if not self.chunks:
            self.first_token_at = now
            if self.ttft_s is None:
                self.ttft_s = now - self.sent_at
        self.chunks += count
        self.last_token_at = now

    def ended(self, prompt_tokens: int | None, answer_tokens: int | None) -> None:
        """The request is over; the counts are the server's own, None where it sent none."""
        tokens = answer_tokens if answer_tokens is not None else self.chunks
        self.approximate = self.approximate or (answer_tokens is None and self.chunks > 0)
        if prompt_tokens is not None:
            self.prompt_tokens = prompt_tokens  # of several requests the last holds the others' text
        self._done_tokens += tokens
        self.answer_tokens = self._done_tokens
        if self.chunks > 1 and tokens > 1:
            self.decoded += tokens - 1
            self.decoding_s += self.last_token_at - self.first_token_at
        self.chunks = 0

    def stats(self, now: float) -> AnswerStats:
        """The figures so far; while tokens come in, each chunk counts as one."""
        running = self.chunks
        decoded = self.decoded + max(running - 1, 0)
        seconds = self.decoding_s + (self.last_token_at - self.first_token_at if running > 1 else 0.0)
        counted = self._done_tokens + running
        return AnswerStats(
            prompt_tokens=self.prompt_tokens,
            answer_tokens=counted if counted or self.answer_tokens is not None else None,
            ttft_ms=None if self.ttft_s is None else self.ttft_s * 1000,
            tokens_per_s=decoded / seconds if decoded and seconds > 0 else None,
            queued_ms=(self.first_sent_at - self.queued_at) * 1000 if self.first_sent_at else None,
            total_ms=(now - self.queued_at) * 1000,
            approximate=self.approximate or running > 0,
        )
