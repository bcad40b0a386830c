"""The Kubernetes engine: the rendered manifests, applied service by service into a namespace of the instance's own."""
