"""A web server for files of a folder and for other servers behind the same address. It replaces nginx without containers."""
