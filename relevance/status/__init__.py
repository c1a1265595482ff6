"""Where a sweep stands: MLflow's runs → a table of its cells, live while they train."""
