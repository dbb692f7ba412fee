"""What a PSA must hold: operations, their keys, their order, and what counts as proof."""
