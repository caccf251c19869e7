"""A tutorial's block of commands, as a person copies it, read into settings. Pure: nothing is run, nothing looked up.

characters.py    what editors and chat programs made of dashes, quotes and blanks
lines.py         lines that go on, fences, prompts
words.py         words, operators, redirections and comments of a shell's line
account.py       what became of each word: taken, translated, or left out and why
flags.py         a program's words into values, flag by flag
lmdeploy.py      the flags of `lmdeploy serve` and `lite`, of every version from 0.1 to 0.18
neighbours.py    the flags of vLLM, SGLang and others: what of them LMDeploy has
programs.py      which program a word calls
block.py         what a block said so far
surroundings.py  what stands before a command: variables, wrappers, a container's options
commands.py      LMDeploy's own commands
others.py        its neighbours' commands, and those that serve no model
reading.py       the block as a whole
"""
