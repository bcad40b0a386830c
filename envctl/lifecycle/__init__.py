"""The life of an instance: brought up, changed, removed. `up.py` and `bring_up.py` are the main line, `api.py` is the way in."""
