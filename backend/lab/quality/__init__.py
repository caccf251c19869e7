"""Answers of several servers to the same questions, and what they say of a text: scored and compared."""
