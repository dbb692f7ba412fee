"""Every SQL statement of invoicing, next to the rows it reads and writes.

Locks are taken in one order: contract, run, invoice, number sequence; the outbox and the audit
chain come after them.
"""
