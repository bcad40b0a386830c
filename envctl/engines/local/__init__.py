"""The local engine: the same services as processes of this machine, no Docker, no root."""
