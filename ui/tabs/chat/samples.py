"""What starts a first conversation: sample questions, and sample pictures with a question each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ui.i18n import Language, t

FOLDER = Path(__file__).parents[3] / "assets" / "sample_pictures"
QUESTIONS = ("chat.sample.story", "chat.sample.kv", "chat.sample.you")
TOOL_QUESTION = "chat.sample.tools"
PICTURE_QUESTIONS = ("chat.sample.see", "chat.sample.count", "chat.sample.describe")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MAX_PICTURES = 3
MOST = 4  # they stand inside of the conversation, without a scroll


@dataclass(frozen=True)
class Sample:
    """A question, with a picture or without."""

    text: str
    picture: Path | None = None


def sample_pictures() -> Sequence[Path]:
    """The pictures that come with the console."""
    found = sorted(FOLDER.iterdir()) if FOLDER.is_dir() else []
    return [path for path in found if path.suffix.lower() in SUFFIXES][:MAX_PICTURES]


def samples(language: Language, *, pictures: bool) -> Sequence[Sample]:
    """The samples in the page's language; those with pictures first, for a server that takes them."""
    plain = [Sample(t(key, language)) for key in QUESTIONS]
    if not pictures:
        return plain
    seen = [Sample(t(key, language), path) for key, path in zip(PICTURE_QUESTIONS, sample_pictures(), strict=False)]
    return [*seen, *plain][:MOST]
