"""Snapshots: data that was made once and is kept for the next instance. Their keys, and the list of a user's snapshots."""
