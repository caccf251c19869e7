"""Opening the browser: the token stands in a private file, never on a command line."""

import os
import stat
import webbrowser
from pathlib import Path

import pytest

from backend.console.browser import PREFIX, BrowserOpener, browsers_folders, write_page
from tests.support.waiting import wait_for

ADDRESS = "http://127.0.0.1:8300/?token=abc&x='\"</script>"


def test_the_page_is_private_and_leads_on(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = write_page(tmp_path, ADDRESS)
    finally:
        os.umask(before)
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "token=abc&amp;x=&#x27;&quot;&lt;/script&gt;" in text
    assert text.count("</script>") == 1
    assert write_page(tmp_path / "no", ADDRESS) is None


def test_downloads_come_first_then_home_then_the_state_folder(own_folders: Path, tmp_path: Path) -> None:
    assert browsers_folders(tmp_path)[-2:] == (own_folders, tmp_path)
    assert "Downloads" in str(browsers_folders(tmp_path)[0])


@pytest.mark.parametrize("downloads", [True, False])
def test_a_browser_gets_a_file(
    own_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, downloads: bool
) -> None:
    told = tmp_path / "told"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$*" > {told}.part\ncp "${{1#file://}}" {told}.page\nmv {told}.part {told}\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.setattr(webbrowser, "_tryorder", None)  # it reads BROWSER once
    folder = own_folders / "Downloads" if downloads else own_folders
    folder.mkdir(exist_ok=True)
    stale = folder / f"{PREFIX}old.html"
    stale.write_text("of a console that was killed")
    opener = BrowserOpener(browsers_folders(tmp_path))
    opener.open(ADDRESS)
    wait_for("the browser", told.exists, 30)
    assert "abc" not in told.read_text()
    assert told.read_text().startswith(f"file://{folder}/{PREFIX}")
    assert "token=abc" in Path(f"{told}.page").read_text()
    assert not stale.exists()
    opener.close()
    assert not list(folder.glob(f"{PREFIX}*"))
