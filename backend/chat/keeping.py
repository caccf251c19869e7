"""For how long a class's conversations are kept: the operator's word, which outlives the console."""

from typing import Any

from backend.errors import InvalidInput, Message
from backend.store import Store

AREA, KEY = "setting", "chat.class_days"
MOST_DAYS = 3650


class Keeping:
    """``days`` None: until somebody deletes them, which is how it begins."""

    def __init__(self, store: Store) -> None:
        self._store = store
        stored = store.get_json(AREA, KEY)
        self.days: int | None = stored if isinstance(stored, int) and 1 <= stored <= MOST_DAYS else None

    def set_days(self, days: Any) -> None:
        """Raises InvalidInput, Unavailable."""
        whole = isinstance(days, int) and not isinstance(days, bool) and 1 <= days <= MOST_DAYS
        if days is not None and not whole:
            raise InvalidInput(Message("chat.error.kept_days", {"value": str(days)[:40], "most": MOST_DAYS}))
        self._store.put_json(AREA, KEY, days)
        self.days = days
