"""A pull request's environment on a cluster: whose it is, who may change it now, and what is said of it."""
