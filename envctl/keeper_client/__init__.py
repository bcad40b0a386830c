"""How commands start an instance's keeper, hold it and ask it."""
