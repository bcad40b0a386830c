"""An HTTP/1.1 server for envctl's separate programs: the keeper, the stub, the mail server and the web server.

It needs only the standard library of Python 3.9 or newer. It uses plain classes, because the first NamedTuple of a process costs a
quarter of a megabyte. The standard library's `http.server` cannot read chunked bodies, takes 9 MB and half of a stub's start-up time.
"""
