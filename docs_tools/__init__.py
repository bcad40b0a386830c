"""What writes and checks the pages of docs/: the generated parts (`python -m docs_tools.generate`), the picture, the site."""
