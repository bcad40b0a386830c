"""What writes the generated parts of this folder: `python -m docs.generate`."""
