"""Providers that collect money."""
