"""Servers of ours that stand in for others: each runs by itself in a plain Python."""
