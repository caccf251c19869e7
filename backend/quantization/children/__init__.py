"""Programs that jobs start with the Python of the environment that quantizes, not with the console's own.

Each stands alone: the standard library, and torch, safetensors or transformers of that environment, imported when it
runs.
"""
