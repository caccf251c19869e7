"""What of a repeated message is more than was said."""

from backend.chat.written import Written


def written(*pieces: tuple[str, str]) -> Written:
    answer = Written()
    for text, thinking in pieces:
        answer.add(text, thinking, False)
    return answer


def test_the_whole_again_with_its_thought_put_into_it() -> None:
    pieces = (("", "a"), ("Hi", ""))
    assert written(*pieces).beyond("<think>a</think>Hi", "") == ("", "")
    assert written(*pieces).beyond("<think>a</think>Hi you", "") == (" you", "")
    assert written(*pieces).beyond("<think>b</think>Hi", "") == ("<think>b</think>Hi", "")
