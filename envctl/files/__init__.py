"""The package's own data files, and the only functions that read and write files of a project."""
