"""Leases: each gives one test a unit of a server, from a pool of prepared units. The program is a helper process of the keeper.

`python -m envctl.leases FOLDER DESCRIPTOR` reads requests as JSON lines from the descriptor, and writes answers to it (see `__main__`).
"""
