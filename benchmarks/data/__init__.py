"""Test lanes, resets, leases and snapshots under load, each on its own instance: `python -m benchmarks.data PART`."""
