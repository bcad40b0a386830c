"""Port forwards into a cluster: one fixed local port for each port of a service, whichever pod is behind it."""
