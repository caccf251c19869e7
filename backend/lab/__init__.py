"""The Lab: every start as a row that stays, benchmarks, lessons."""
