"""The way from a definition and its kinds to a plan. `make_plan` is the entry point; `model` describes a plan."""
