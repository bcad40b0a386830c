"""The shop's tests in common test tools, and the program that runs them all."""
