"""The Docker engine: the rendered Compose project is what runs."""
