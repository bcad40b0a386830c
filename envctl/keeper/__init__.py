"""The keeper, its supervisor of local processes and its port forwards of Kubernetes; they use the standard library only."""
