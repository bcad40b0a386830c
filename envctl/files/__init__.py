"""Files: those of the package."""
