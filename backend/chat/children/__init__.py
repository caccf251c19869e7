"""Programs that the chat starts: what reads files from outside with libraries that may crash on them."""
