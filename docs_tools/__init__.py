"""Write and check the pages of docs/: the generated parts (`python -m docs_tools.generate`), the picture and the site."""
