"""The life of an instance: brought up, changed, removed. `up` is the way in."""
