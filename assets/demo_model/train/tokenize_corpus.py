"""Train the tokenizer on generated conversations: a byte-level BPE that cuts text as Qwen 2's does, digits one by one."""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from . import dialogue, explain

# The cut that transformers' Qwen2Tokenizer builds in, so that class and file agree.
CUT = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
VOCABULARY = 4096


def corpus(conversations: int, seed: int) -> Iterator[str]:
    """Texts of generated conversations, and every explanation."""
    rng = random.Random(seed)
    for topic in explain.topics():
        yield from topic.answer.values()
    for i in range(conversations):
        kind = ("short", "short", "long", "one", "two")[i % 5]
        for _, text in dialogue.MAKERS[kind](rng).turns:
            yield text.replace(dialogue.PICTURE, "")


def train(path: Path, conversations: int = 40_000, seed: int = 1) -> None:
    """Write the tokenizer to ``path`` (tokenizer.json)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CUT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(dialogue.PLAIN_ADDED),
        special_tokens=list(dialogue.SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=14,
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(conversations, seed), trainer)
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in dialogue.PLAIN_ADDED])
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "tokenizer.json")
    arguments = parser.parse_args()
    train(arguments.out)
    print(f"{arguments.out}: {Tokenizer.from_file(str(arguments.out)).get_vocab_size()} tokens")
