"""Those who share one console: who is here, and what they are in the middle of."""
