"""What exists: instances by their names, their status, reports, and the engines that work on this machine."""
