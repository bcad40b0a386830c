"""Previews: the instance of a pull request on a cluster, the lock for its changes, and the comment about it."""
