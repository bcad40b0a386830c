"""Port forwards into a Kubernetes cluster: a local port for each port of a service, which stays the same when the pod is replaced."""
