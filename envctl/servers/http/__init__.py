"""HTTP/1.1 for programs of ours that run by themselves: the keeper, the stub and the mail server.

Standard library only, and Python 3.9 or newer; plain classes, as the first NamedTuple of a process costs a quarter of a megabyte.
`http.server` reads no chunked bodies, and takes 9 MB and half of a stub's start-up time.
"""
