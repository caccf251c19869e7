"""The training network computes what transformers computes from the checkpoint that the export writes."""

import random
import warnings
from pathlib import Path

TOKENIZER = Path(__file__).parents[2] / "assets" / "demo_model" / "tokenizer.json"


def test_export_and_network_agree_with_transformers(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other libraries say at their import
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        from assets.demo_model.train import dialogue, export, raster
        from assets.demo_model.train.network import TINY, Network

        torch.manual_seed(1)
        network = Network(TINY).eval()
        state = {name: tensor.to(torch.bfloat16).float() for name, tensor in network.state_dict().items()}
        network.load_state_dict(state)
        export.write_weights(state, tmp_path)
        export.write_rest(TINY, TOKENIZER, tmp_path)
        theirs = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.float32).eval()
        processor = AutoProcessor.from_pretrained(tmp_path)
        encoder = dialogue.Encoder(tmp_path / "tokenizer.json")
        batch = dialogue.batch("two", 3, encoder, seed=5)
        drawn = raster.drawings(batch["shapes"], batch["pictures"], random.Random(1))
        pixels, content = raster.render(
            {name: torch.tensor(rows) for name, rows in drawn.items()}, torch.Generator().manual_seed(2)
        )
        ids = torch.tensor(batch["ids"]).long()
        with torch.no_grad():
            images = network.image_tokens(network.vision_tower(pixels))
            ours = network.logits(network(ids, images, torch.tensor(batch["places"])))
            expected = theirs(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids)).logits
        assert torch.allclose(ours, expected, atol=1e-4)
        assert tuple(content.shape) == (6, 3, 256)
        # Their tokenizer cuts text as training did.
        text = dialogue.render(dialogue.short(random.Random(4)).turns)[0][1]
        assert processor.tokenizer(text)["input_ids"] == encoder.exact.encode(text, add_special_tokens=False).ids


def test_int4_rounding_keeps_sixteen_levels() -> None:
    import torch

    from assets.demo_model.train.network import fake_int4

    rounded = fake_int4(torch.randn(3, 128))
    assert all(len(row.mul(1e4).round().unique()) <= 16 for row in rounded)
