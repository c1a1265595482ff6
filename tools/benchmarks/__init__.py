"""What the data, a cell and the report cost, each beside a peer (make bench-data, bench-sweep, bench-report)."""
