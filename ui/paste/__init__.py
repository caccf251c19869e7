"""The paste box, which every tab has: a tutorial's block is read, what the tab has a form for fills it, and what
belongs on another tab goes there with one click. What the words mean is backend/paste's."""
