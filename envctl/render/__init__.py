"""Plan -> manifests: one module a target."""
