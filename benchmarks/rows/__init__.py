"""One module a row: WHAT, GOAL, and `sides(work)`."""
