"""Prints a PDF's text as one line of JSON: ``{"pages": n, "texts": [a page each], "error": ""}``.

``python pdf_text.py FILE MOST_PAGES MOST_CHARACTERS``. It ends at the page with which there are so many characters.
``error``: "password", "damaged", or "" where the file could be read. PDFium is a C++ library that reads what strangers
wrote: it has a process of its own, with bounds for memory and time.
"""

import contextlib
import json
import os
import resource
import sys

MEMORY_BYTES = 4 << 30  # of addresses
SECONDS = 100  # of a core


def texts(path: str, most_pages: int, most_characters: int) -> dict[str, object]:
    """What is printed."""
    import pypdfium2
    import pypdfium2.raw

    try:
        file = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        password = getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD
        return {"pages": 0, "texts": [], "error": "password" if password else "damaged"}
    count, found, characters = len(file), [], 0
    for number in range(min(count, most_pages)):
        try:
            text = file[number].get_textpage().get_text_bounded()
        except pypdfium2.PdfiumError:  # one page that is damaged
            text = ""
        found.append(text)
        characters += len(text)
        if characters > most_characters:
            break
    return {"pages": count, "texts": found, "error": "" if count else "damaged"}


def main() -> None:
    """Reads the arguments."""
    # Whatever the library prints is no answer.
    answer, sys.stdout = os.fdopen(os.dup(1), "w", encoding="ascii"), sys.stderr
    os.dup2(2, 1)
    for what, limit in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # a lower limit is set already
            resource.setrlimit(what, (limit, limit))
    path, most_pages, most_characters = sys.argv[1:4]
    with answer:
        json.dump(texts(path, int(most_pages), int(most_characters)), answer)


if __name__ == "__main__":
    main()
