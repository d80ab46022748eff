"""What is observed while the cell runs: one module per source of evidence."""
