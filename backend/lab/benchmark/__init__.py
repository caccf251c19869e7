"""Benchmarks: a server under 1, 2, 4 … users at once, measured by a child that outlives the page and the console."""
