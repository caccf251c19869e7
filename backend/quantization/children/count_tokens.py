"""Counts the tokens of a calibration text as auto_awq will see it, with the model's own tokenizer.

usage: count_tokens.py MODEL TEXT [--trust-remote-code]

Prints one JSON line: ``{"tokens": N, "whole": true}``; of a long text only the beginning is counted (``whole`` false).
"""

import json
import sys
from pathlib import Path

MOST_CHARACTERS = 2_000_000  # some 500,000 tokens: 128 samples of 2,048 tokens twice over


def main(model: str, text_file: str, *flags: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code="--trust-remote-code" in flags)
    with Path(text_file).open(encoding="utf-8") as file:
        text = file.read(MOST_CHARACTERS)
        whole = not file.read(1)
    # auto_awq reads the file line by line and joins the lines again with empty ones between.
    tokens = len(tokenizer("\n\n".join(text.splitlines()))["input_ids"])
    print(json.dumps({"tokens": tokens, "whole": whole}))


if __name__ == "__main__":
    main(*sys.argv[1:])
