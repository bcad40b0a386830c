"""HTTP/1.1 for programs of ours that run by themselves: the keeper and the stub.

Standard library only, and Python 3.9 or newer. `http.server` reads no chunked bodies, and takes 9 MB and half of a stub's start-up time.
"""
