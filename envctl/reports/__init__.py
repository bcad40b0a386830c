"""The test results of one run, merged: which tests are red, slow or flaky, and which failed because of the environment."""
