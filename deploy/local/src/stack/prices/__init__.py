"""`tieout prices`: customer prices as files that are reviewed before they are applied."""
