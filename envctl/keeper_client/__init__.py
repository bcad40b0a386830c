"""The client side of the keeper, for commands: start the keeper of an instance, own it, and send requests to it."""
