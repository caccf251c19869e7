"""How the demo model was made: data generators, tokenizer, training, evaluation and export. The console never imports it."""
