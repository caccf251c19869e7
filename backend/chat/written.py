"""What an answer says so far, as far as a repeated whole must be told from more. Pure."""

from backend.chat.thinking import TAGS


class Written:
    """Text and thought as they came."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.thinking: list[str] = []
        self.in_pieces = False

    def add(self, text: str, thinking: str, whole: bool) -> None:
        """A piece of the answer, or a whole message."""
        self.text.append(text)
        self.thinking.append(thinking)
        self.in_pieces = self.in_pieces or not whole

    def beyond(self, text: str, thinking: str) -> tuple[str, str]:
        """Some servers send the whole message once more at the end, or a longer one each time; trimmed, or with the
        thought taken out of the text, or put into it."""
        before, thought = "".join(self.text), "".join(self.thinking)
        own, answer = _split(before) if self.in_pieces else ("", "")
        if self.in_pieces and own and text.strip() and text.strip() == answer:
            text = ""
            thinking = "" if thinking.strip() == own else thinking
        elif self.in_pieces and thought.strip() and not own:
            said, answer = _split(text)
            text = answer if said == thought.strip() else text
        return self._beyond(before, text), self._beyond(thought, thinking)

    def _beyond(self, before: str, now: str) -> str:
        again = self.in_pieces or len(now) > max(len(before), 1)  # else it may be the same word twice
        if not (before and again):
            return now
        if now.startswith(before):
            return now[len(before) :]
        if self.in_pieces and before.strip() and now.lstrip().startswith(before.strip()):  # trimmed
            more = now.lstrip()[len(before.strip()) :]
            return more if more.strip() else ""
        return now


def _split(text: str) -> tuple[str, str]:
    """(thought, answer) of a text that holds both, without the blanks around them; ("", "") of another."""
    start = text.lstrip()
    for opening, closing in TAGS:
        if closing in start:  # the opening may have been the template's
            thought, _, answer = start.removeprefix(opening).partition(closing)
            return thought.strip(), answer.strip()
    return "", ""
