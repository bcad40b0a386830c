"""The shop's tests in the tools that teams use, and the program that runs them all."""
