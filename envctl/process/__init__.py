"""This process: its signals, its threads, and what they have asked an engine for."""
