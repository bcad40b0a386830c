"""The rows of the table; each is a module with WHAT, GOAL, and `sides(work)`."""
