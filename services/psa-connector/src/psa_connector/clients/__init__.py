"""Talking to PSAs: one protocol, one folder per vendor."""
