"""Writes a Llama of InternLM2.5-1.8B's sizes with random bfloat16 weights: time, memory and sizes are a trained one's.

usage: make_llama.py OUT   (the tokenizer's files are copied by the caller)
"""

import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
torch.set_default_dtype(torch.bfloat16)
config = LlamaConfig(
    hidden_size=2048, num_hidden_layers=24, num_attention_heads=16, num_key_value_heads=8, intermediate_size=8192,
    vocab_size=92544, max_position_embeddings=32768, rope_theta=1e6, tie_word_embeddings=False,
    bos_token_id=1, eos_token_id=2, pad_token_id=0,
)  # fmt: skip
with torch.device("cuda"):
    LlamaForCausalLM(config).save_pretrained(sys.argv[1])
