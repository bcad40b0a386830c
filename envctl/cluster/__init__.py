"""The objects that envctl installs in a shared cluster: rights, admission policies and the reaper."""
