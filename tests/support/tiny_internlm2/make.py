"""Writes a tiny InternLM2 checkpoint with random bfloat16 weights, its code beside it.

usage: make.py OUT TOKENIZER   (with the Python of an environment that has transformers 4)
"""

import json
import shutil
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
CLASSES = {
    "AutoConfig": "configuration_internlm2.InternLM2Config",
    "AutoModelForCausalLM": "modeling_internlm2.InternLM2ForCausalLM",
    "AutoModel": "modeling_internlm2.InternLM2ForCausalLM",
}
SPECIAL_TOKENS = ("eos_token", "pad_token", "bos_token", "unk_token")


def main(out: Path, tokenizer: Path) -> None:
    sys.path.insert(0, str(HERE.parent))
    from tiny_internlm2.configuration_internlm2 import InternLM2Config
    from tiny_internlm2.modeling_internlm2 import InternLM2ForCausalLM

    torch.manual_seed(0)
    vocabulary = len(json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
    model = InternLM2ForCausalLM(InternLM2Config(vocab_size=(vocabulary + 63) // 64 * 64)).to(torch.bfloat16)
    model.save_pretrained(out)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    (out / "config.json").write_text(json.dumps({**config, "auto_map": CLASSES}, indent=2), encoding="utf-8")
    for name in ("configuration_internlm2.py", "modeling_internlm2.py"):
        shutil.copy(HERE / name, out / name)
    # transformers 5 writes a class name that transformers 4 doesn't know.
    settings = json.loads((tokenizer / "tokenizer_config.json").read_text(encoding="utf-8"))
    special = {name: settings[name] for name in SPECIAL_TOKENS if settings.get(name)}
    (out / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **special}))
    shutil.copy(tokenizer / "tokenizer.json", out / "tokenizer.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
