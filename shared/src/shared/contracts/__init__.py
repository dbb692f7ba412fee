"""What services may know of each other: one module per producing service; imports kernel only."""
