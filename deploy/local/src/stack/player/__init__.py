"""Plays billing stories through the running services on the simulated clock."""
