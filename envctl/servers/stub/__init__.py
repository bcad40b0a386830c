"""The HTTP stub server of `kind: stub`: WireMock mappings in, canned answers out.

Standard library only, and Python 3.9 or newer: these files and those of `servers/http` are copied into one folder of the Python
image that a stub runs in.
"""
