"""Every SQL statement of rating, by what it reads and writes."""
