"""Files of a folder over HTTP, and other servers behind the same address: what nginx does where there are containers."""
