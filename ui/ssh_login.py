"""The login command that a person gave, remembered in the store: every ssh line on every tab is made from it."""

from backend.store import Store
from ui.ssh import SshLogin, parse_login

AREA, KEY = "setting", "ssh_login"


def login_text(store: Store) -> str:
    """The login as it was typed; "" where none was."""
    value = store.get_json(AREA, KEY)
    return value if isinstance(value, str) else ""


def load_login(store: Store) -> SshLogin | None:
    """The login, read; None where none was given."""
    return parse_login(login_text(store))


def save_login(store: Store, text: str) -> SshLogin | None:
    """Remember the login; an empty text forgets it. Raises InvalidInput, and stores nothing, where it has no host."""
    login = parse_login(text)
    store.put_json(AREA, KEY, text.strip())
    return login
