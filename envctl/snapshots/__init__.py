"""Data that was made once and is kept for the next instance: under which key it lies, and what this user has kept."""
