"""A replacement for Mailpit without containers and without an installed `mailpit`: SMTP, and a part of Mailpit's HTTP API.

It reads Mailpit's environment variables (`MP_SMTP_BIND_ADDR`, `MP_UI_AUTH_FILE`, ...), so that the kind configures both alike.
"""
