"""Every SQL statement of ingest, a module per thing it keeps, next to the code that runs it."""
