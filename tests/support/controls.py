"""How a person works Gradio's controls."""

from playwright.sync_api import Page


def choose(page: Page, control: str, text: str) -> None:
    """Open the dropdown and click the first choice that contains the text.

    Typing into it and pressing Enter is no way for a test: Gradio takes back what is typed when an answer redraws it.
    """
    page.locator(f"{control} input").first.click()
    page.get_by_role("option").filter(has_text=text).first.click()


def write(page: Page, control: str, text: str) -> None:
    """Type what the dropdown doesn't list, and leave it."""
    box = page.locator(f"{control} input").first
    box.fill(text)
    box.press("Enter")
    box.blur()
