"""Every SQL statement of payments: attempts, and what they are about."""
