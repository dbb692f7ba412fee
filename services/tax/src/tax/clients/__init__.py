"""Engines that answer how much tax a document carries."""
