"""Where models come from: both hubs, their mirrors, and what a person types or pastes to name a model. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from backend.errors import InvalidInput, Message
from backend.models.hubs import HUB_ID, NO_ORGANISATIONS
from backend.outside_text import clean

HUGGING_FACE = "https://huggingface.co"
MIRROR = "https://hf-mirror.com"
MODELSCOPE = "https://www.modelscope.cn"
REVISION = re.compile(r"[A-Za-z0-9][\w./+-]{0,199}", re.ASCII)
MOST_CHARACTERS = 500
# Organisations that go by another name on ModelScope.
ON_MODELSCOPE: Mapping[str, str] = {
    "internlm": "Shanghai_AI_Laboratory",
    "THUDM": "ZhipuAI",
    "zai-org": "ZhipuAI",
    "meta-llama": "LLM-Research",
    "google": "LLM-Research",
    "microsoft": "LLM-Research",
}
_HF_SITES = frozenset({"huggingface.co", "www.huggingface.co", "hf.co", "hf-mirror.com", "www.hf-mirror.com"})
_MS_SITES = frozenset({"modelscope.cn", "www.modelscope.cn", "modelscope.ai", "www.modelscope.ai"})


@dataclass(frozen=True)
class Source:
    """A hub at an address. ``kind`` is "huggingface" or "modelscope"; ``own``: a token that its library keeps for this
    user may be sent there."""

    kind: str
    endpoint: str
    own: bool = True

    @property
    def name(self) -> str:
        """How a person knows it: the address without its scheme."""
        return urlsplit(self.endpoint).netloc or self.endpoint


@dataclass(frozen=True)
class Wanted:
    """What a person typed: a repository, which kind of hub it was named on ("" for either), and a revision ("" for
    the newest); or, with ``repository`` "", a text to search for."""

    repository: str = ""
    kind: str = ""
    revision: str = ""
    search: str = ""


def known_sources(environ: Mapping[str, str]) -> tuple[Source, ...]:
    """The hubs that are asked, the usual one first. HF_ENDPOINT and MODELSCOPE_ENDPOINT stand in the place of the
    public ones: who sets them wants no other."""
    own = _endpoint(environ.get("HF_ENDPOINT", ""))
    scope = _endpoint(environ.get("MODELSCOPE_ENDPOINT", "")) or _endpoint(environ.get("MODELSCOPE_DOMAIN", ""))
    hugging_face = [own] if own else [HUGGING_FACE, MIRROR]
    return (
        *(Source("huggingface", address, own=address in (own, HUGGING_FACE)) for address in hugging_face),
        Source("modelscope", scope or MODELSCOPE),
    )


def read_wanted(text: str, sources: tuple[Source, ...] = ()) -> Wanted:
    """What the text names: ``org/name``, ``org/name@revision``, a hub's page, a line to clone it; else a search.

    Raises InvalidInput (field model) for nothing, for too much, and for a page that is no model's.
    """
    typed = text.strip().strip("\"'`")
    if not typed:
        raise InvalidInput(Message("downloads.nothing-typed", field="model"))
    if len(typed) > MOST_CHARACTERS:
        raise InvalidInput(Message("downloads.too-long", {"most": MOST_CHARACTERS}, "model"))
    for word in typed.split():
        if found := _page(word.strip("\"'`"), sources):
            return found
    if "://" in typed or typed.lower().startswith("www."):
        raise InvalidInput(Message("downloads.no-page", {"value": clean(typed)[:200]}, "model"))
    name, _, revision = typed.partition("@")
    if HUB_ID.fullmatch(name) and (not revision or REVISION.fullmatch(revision)):
        return Wanted(name, "", revision)
    return Wanted(search=clean(typed))


def name_at(source: Source, wanted: Wanted) -> str:
    """What the repository is called there: organisations have other names on ModelScope."""
    organisation, _, name = wanted.repository.partition("/")
    if source.kind == wanted.kind:
        return wanted.repository
    if source.kind == "modelscope":
        return f"{ON_MODELSCOPE.get(organisation, organisation)}/{name}"
    if wanted.kind == "modelscope":
        others = [here for here, there in ON_MODELSCOPE.items() if there == organisation]
        return f"{others[0] if organisation != 'LLM-Research' and others else organisation}/{name}"
    return wanted.repository


def _page(word: str, sources: tuple[Source, ...]) -> Wanted | None:
    """The model that a page's address names."""
    own = {source.name.lower(): source.kind for source in sources}
    text = word if "://" in word else f"https://{word}"
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2].lower()
    except ValueError:
        return None
    kind = own.get(host) or ("huggingface" if host in _HF_SITES else "modelscope" if host in _MS_SITES else "")
    path = [unquote(part) for part in parts.path.split("/") if part]
    if kind == "modelscope" and path[:1] == ["models"]:
        path = path[1:]
    if not kind or len(path) < 2 or path[0] in NO_ORGANISATIONS:
        return None
    repository = f"{path[0]}/{path[1].removesuffix('.git')}"
    revision = path[3] if len(path) > 3 and path[2] in ("tree", "blob", "resolve") else ""
    revision = "" if revision in ("main", "master") or not REVISION.fullmatch(revision) else revision
    return Wanted(repository, kind, revision) if HUB_ID.fullmatch(repository) else None


def _endpoint(text: str) -> str:
    """An address of http or https, "" for anything else."""
    typed = text.strip().rstrip("/")
    if typed and "://" not in typed:
        typed = f"https://{typed}"
    try:
        parts = urlsplit(typed)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return ""
    return typed if good else ""
