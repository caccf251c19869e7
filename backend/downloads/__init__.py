"""Models from the hubs: looked at before a byte of weights is loaded, then fetched as jobs that can be paused."""
