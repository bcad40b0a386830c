"""A cluster that others share: the rights, the admission policies and the reaper that envctl puts into it."""
