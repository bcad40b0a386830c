"""The local engine: the same services as processes of this machine, without Docker and without root."""
