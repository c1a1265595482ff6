"""A fault campaign: real sweeps of real cells, disturbed in every way the project claims to survive (make chaos)."""
