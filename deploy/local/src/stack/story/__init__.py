"""Billing stories as data: the YAML format, its reader, and the figures it expects."""
