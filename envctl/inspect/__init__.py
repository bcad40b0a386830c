"""What exists: instances by name, their status, reports, and which engines work here."""
