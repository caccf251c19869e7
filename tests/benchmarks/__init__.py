"""Speed, as ratios within one run: `python -m tests.benchmarks.start`, `python -m tests.benchmarks.pages`."""
