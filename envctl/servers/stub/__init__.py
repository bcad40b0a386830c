"""The HTTP stub server of `kind: stub`, which answers requests with the responses of WireMock mappings.

It needs only the standard library of Python 3.9 or newer, because its files and those of `servers/http` are copied into one folder of
a Python image.
"""
