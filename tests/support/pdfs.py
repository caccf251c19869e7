"""PDFs made from nothing: pages of Latin text, locked by a password, damaged."""

from collections.abc import Sequence


def pdf(pages: Sequence[str], *, locked: bool = False) -> bytes:
    """A PDF with these pages; "" is one without text. ``locked``: nobody knows its password."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        shown = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        lines = "".join(f"({line}) Tj T* " for line in shown.split("\n")) if text else ""
        content = f"BT /F1 12 Tf 14 TL 72 720 Td {lines}ET" if text else "0 0 m 100 100 l S"
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>"
    data, places = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, start=1):
        places.append(len(data))
        data += f"{number} 0 obj\n{text}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    lock = ""
    if locked:
        lock = f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{'41' * 32}> /U <{'42' * 32}> >> /ID [<00> <00>] "
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {lock}>>\nstartxref\n{len(data)}\n%%EOF\n"
    return data + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode("latin-1")
