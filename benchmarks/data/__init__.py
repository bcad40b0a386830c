"""`python -m benchmarks.data PART`: what lanes, resets, leases and snapshots must stand, each on an instance of its own."""
