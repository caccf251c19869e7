"""A checkpoint's header of real size that names more tensors than any model has."""

import struct
import time
from pathlib import Path

from backend.models.catalog import Catalog
from tests.support.tiny_models import fake_model


def test_1200000_tensors(tmp_path: Path) -> None:
    fake_model(tmp_path / "good")
    entries = ",".join(f'"t{n}":{{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}' for n in range(1_200_000))
    header = ("{" + entries + "}").encode()
    (fake_model(tmp_path / "many") / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    began = time.monotonic()
    good, many = Catalog([tmp_path]).models()
    assert good.problem is None
    assert many.problem is not None
    assert many.problem.key == "models.too-many-tensors"
    assert time.monotonic() - began < 30
