"""Private layers: what only one task's rows pass through, in four kinds that differ in one thing each."""
