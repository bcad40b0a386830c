"""Test results of one run, merged: what is red, slow or flaky, and what was the environment's fault."""
