"""The Kubernetes engine: it applies the rendered manifests, service by service, to the instance's own namespace."""
