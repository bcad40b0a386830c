"""The life cycle of an instance: bring up, change, remove. `up.py` and `bring_up.py` are the main line, `api.py` is the entry point."""
