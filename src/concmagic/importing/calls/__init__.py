"""Function calls: events as numpy columns, and what they tell of threads. After the cell."""
