"""An instance on disk: who it is, what is known of it, and who works on it. One folder each, below the state folder."""
