"""What programs read: cells.csv, comparisons.csv, provenance.json."""
