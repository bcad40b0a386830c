"""A stand-in for Mailpit where no container runs and no `mailpit` is installed: SMTP, and a part of Mailpit's HTTP API.

It reads Mailpit's own variables (`MP_SMTP_BIND_ADDR`, `MP_UI_AUTH_FILE`, ...), so that the kind describes both in one way.
"""
