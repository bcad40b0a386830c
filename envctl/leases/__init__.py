"""Leases: a unit of a server for one test, from a pool that is kept ready. It runs as a helper of the keeper, with the drivers in it.

`python -m envctl.leases FOLDER DESCRIPTOR`: requests come as JSON lines over the descriptor, and answers go back (see `__main__`).
"""
