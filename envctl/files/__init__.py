"""Files: those of the package, and the two doors by which files of a project are read and written."""
