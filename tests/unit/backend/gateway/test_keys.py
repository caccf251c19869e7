"""Keys of the API address: made, matched, withdrawn, kept as hashes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.errors import InvalidInput, NotFound
from backend.gateway.keys import KeyRing, Limits, offered_keys
from backend.store import Store

TOKENS = {"operator": "o" * 32, "class": "c" * 32}
ME = "a" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


def test_a_named_key_is_shown_once_and_kept_as_a_hash(store: Store, tmp_path: Path) -> None:
    secret, key = KeyRing(store, TOKENS).make("  Class   3b ", Limits(10, 1000, ("qwen",)))
    again = KeyRing(store, TOKENS)  # after a restart
    grant = again.match(secret)
    assert grant is not None
    assert (grant.name, grant.holder, grant.limits) == ("Class 3b", "key", Limits(10, 1000, ("qwen",)))
    assert again.all() == (key,)
    store.close()
    assert not [path for path in tmp_path.glob("*.sqlite3*") if secret.encode() in path.read_bytes()]


def test_a_withdrawn_key_opens_nothing(store: Store) -> None:
    ring = KeyRing(store, TOKENS)
    secret, key = ring.make("a", Limits())
    ring.withdraw(key.id)
    assert ring.match(secret) is None
    assert KeyRing(store, TOKENS).match(secret) is None
    with pytest.raises(NotFound):
        ring.withdraw(key.id)


def test_the_operators_token_is_a_key_and_the_classs_is_none(store: Store) -> None:
    ring = KeyRing(store, TOKENS)
    grant = ring.match(TOKENS["operator"])
    assert grant is not None
    assert grant.holder == "operator"
    assert ring.match(TOKENS["class"]) is None


def test_page_keys_last_and_end_with_the_token(store: Store) -> None:
    first = KeyRing(store, TOKENS).page_key("class", ME)
    ring = KeyRing(store, TOKENS)
    assert ring.page_key("class", ME) == first
    grant = ring.match(first)
    assert grant is not None
    assert (grant.holder, grant.visitor, grant.limits) == ("class", ME, Limits())
    other = ring.match(ring.page_key("class", "b" * 32))
    assert other is not None
    assert other.id != grant.id
    assert KeyRing(store, {**TOKENS, "class": "d" * 32}).match(first) is None
    assert TOKENS["class"] not in first


def test_the_token_alone_makes_no_page_key(tmp_path: Path, store: Store) -> None:
    """A whole class has it: with another's id each could use what is theirs."""
    other = Store(tmp_path / "other")
    made = KeyRing(other, TOKENS).page_key("class", ME)
    other.close()
    assert KeyRing(store, TOKENS).match(made) is None


def test_keys_that_are_wrong(store: Store) -> None:
    ring = KeyRing(store, TOKENS)
    secret, _ = ring.make("a", Limits())
    page = ring.page_key("class", ME)
    wrong = [
        "", "x", secret[:-1], secret + "x", secret.upper(), page[:-1], page.replace("class", "operator"),
        page.replace(ME, "b" * 32), "lm-page-", "lm-page-class-", "lm-page-operator--", "lm-page-root-a-b", "密钥",
        "\ud800", "x" * 100_000,
    ]  # fmt: skip
    assert [key for key in wrong if ring.match(key) is not None] == []


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\x07b"])
def test_names_that_cannot_be(store: Store, name: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        KeyRing(store, TOKENS).make(name, Limits())
    assert wrong.value.messages[0].key == "gateway.key-name"


@pytest.mark.parametrize("limits", [Limits(0), Limits(None, 0), Limits(-3)])
def test_limits_that_cannot_be(store: Store, limits: Limits) -> None:
    with pytest.raises(InvalidInput):
        KeyRing(store, TOKENS).make("a", limits)


def test_two_keys_have_two_names(store: Store) -> None:
    ring = KeyRing(store, TOKENS)
    ring.make("a", Limits())
    with pytest.raises(InvalidInput):
        ring.make("a", Limits())


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (("Bearer k",), ["k"]), (("bearer   k",), ["k"]), (("Bearer\tk",), ["k"]), (("Bearer: k",), ["k"]),
        (("k",), ["k"]), (("Bearer Bearer k",), ["k"]), (('Bearer "k"',), ["k"]), (("Bearer <k>",), ["k"]),
        (("Token k",), ["k"]), (("ApiKey k",), ["k"]), (("Api-Key k",), ["k"]), (("Bearer k,",), ["k"]),
        (("", "k"), ["k"]), (("", "", "k"), ["k"]), (("Bearer", "k"), ["k"]), (("Bearer null", "k"), ["k"]),
        (("Bearer undefined", "", ""), []), (("Bearer ", ""), []), (("Basic eDp5", "k"), ["k"]), (("Basic eDp5",), []),
        (("Bearer wrong", "k"), ["wrong", "k"]), (("bearerkey",), ["bearerkey"]), (("Bearer token-k",), ["token-k"]),
    ],
)  # fmt: skip
def test_keys_as_clients_send_them(headers: tuple[str, ...], found: list[str]) -> None:
    assert offered_keys(headers) == found
