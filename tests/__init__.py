"""The tests: unit, integration and browser run with `make test`; gpu and benchmarks on request."""
