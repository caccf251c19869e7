"""What this console's own help says of something: the README's sections and the guide, searched for the words."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ui.i18n import Language, texts

ROOT = Path(__file__).parents[3]
READMES: Mapping[Language, str] = {"en": "README.md", "zh": "README_zh.md"}
MOST = 3  # sections
LENGTH = 1_800  # characters of one
NOTHING = "The help says nothing of that. Its subjects are: {subjects}"

_HAN = re.compile("[\u4e00-\u9fff]")
_WORD = re.compile(r"[a-z0-9][\w.+-]+|[\u4e00-\u9fff]+")
_COMMON = frozenset(
    ("a", "an", "and", "are", "can", "do", "does", "for", "how", "in", "is", "it", "my", "of", "the", "to", "what")
)


def help_text(given: Mapping[str, Any]) -> str:
    """The sections that fit the query best, in its language."""
    query = str(given.get("query") or "")[:500]
    language: Language = "zh" if _HAN.search(query) else "en"
    wanted = terms(query)
    scored = [
        (_score(wanted, heading, text), -place, heading, text)
        for place, (heading, text) in enumerate(sections(language))
    ]
    best = sorted((one for one in scored if one[0] > 0), reverse=True)[:MOST]
    if not best:
        subjects = "; ".join(heading for heading, _ in sections(language) if heading)
        return NOTHING.format(subjects=subjects)
    return "\n\n".join(f"## {heading}\n{text[:LENGTH]}" for _, _, heading, text in best)


@cache
def sections(language: Language) -> tuple[tuple[str, str], ...]:
    """All that there is: a heading and a text each."""
    found: list[tuple[str, str]] = []
    try:
        readme = (ROOT / READMES[language]).read_text(encoding="utf-8")
    except OSError:
        readme = ""
    for part in re.split(r"^#{1,4} +", readme, flags=re.MULTILINE):
        heading, _, text = part.partition("\n")
        if text.strip():
            found.append((heading.strip(), text.strip()))
    guide = {key: value[language] for key, value in texts().items() if key.startswith("guide.")}
    for key, heading in guide.items():
        steps = [text for name, text in guide.items() if re.fullmatch(rf"{re.escape(key)}\.\d+", name)]
        if steps:
            found.append((heading, "\n".join(steps)))
    return tuple(found)


def terms(text: str) -> frozenset[str]:
    """The words of a text; of Chinese each pair of characters, since nothing stands between words."""
    found = set[str]()
    for word in _WORD.findall(text.lower()):
        if _HAN.match(word):
            found |= {word[at : at + 2] for at in range(max(len(word) - 1, 1))}
        elif word not in _COMMON:
            found.add(word.rstrip("."))
    return frozenset(found)


def _score(wanted: frozenset[str], heading: str, text: str) -> float:
    in_heading, in_text = heading.lower(), text.lower()
    return sum(3.0 * (word in in_heading) + min(in_text.count(word), 3) for word in wanted) / (1 + len(text) / 20_000)
