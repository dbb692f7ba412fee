"""Everything that touches the world, once: database, bus, HTTP, processes, telemetry."""
