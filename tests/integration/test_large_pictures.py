"""Pictures of many megapixels: their memory, their time, and who waits for whom. Seconds of real work each."""

import asyncio
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.chat.images import check_picture
from backend.chat.pictures import Pictures

ROOT = Path(__file__).parents[2]


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


PEAK = """
import sys, threading
from backend.chat.images import check_picture
data = open(sys.argv[1], "rb").read()
def check():
    check_picture(data, "a.png")
threads = [threading.Thread(target=check) for _ in range(int(sys.argv[2]))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
[kilobytes] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(kilobytes) // 1024)
"""  # getrusage would give the largest of the process that started it, too


def test_many_large_pictures_at_once_take_the_memory_of_one(tmp_path: Path) -> None:
    """64 megapixels with transparency, three at the same time: twice that where all were decoded together."""
    large = Image.new("P", (8_000, 8_000), 3)
    large.putpalette([200, 10, 10] * 256)
    (tmp_path / "large.png").write_bytes(encoded(large, "PNG", transparency=0, compress_level=1))

    def peak(count: int) -> int:
        argv = [sys.executable, "-c", PEAK, str(tmp_path / "large.png"), str(count)]
        child = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=140, cwd=ROOT)
        return int(child.stdout)

    one = peak(1)
    assert one < 1200
    assert peak(3) < one + 200


def test_a_large_picture_keeps_no_small_one_waiting(tmp_path: Path) -> None:
    """Large ones have a thread of their own; here it is held up by one that takes long."""
    (tmp_path / "large.png").write_bytes(encoded(Image.new("L", (7_000, 7_000)), "PNG"))
    (tmp_path / "small.png").write_bytes(encoded(Image.new("RGB", (40, 30)), "PNG"))
    pictures = Pictures(tmp_path / "kept")

    async def run() -> list[str]:
        done = []

        async def keep(name: str) -> None:
            await pictures.keep_in_turn("v", tmp_path / name, name)
            done.append(name)

        await asyncio.gather(*(keep("large.png") for _ in range(4)), *(keep("small.png") for _ in range(4)))
        return done

    try:
        done = asyncio.run(run())
    finally:
        pictures.close()
    assert done[-3:] == ["large.png"] * 3
    assert done.count("small.png") == 4


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_photo_of_108_megapixels_is_taken() -> None:
    photo = Image.new("RGB", (12_000, 9_000), (10, 200, 30))
    checked = check_picture(encoded(photo, "JPEG"), "phone.jpg")
    assert (checked.width, checked.height) == (2048, 1536)
