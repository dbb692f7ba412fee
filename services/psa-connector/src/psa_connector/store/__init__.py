"""What psa-connector remembers: connections, mappings, sources, intents and who may write now."""
