"""How a cell runs, one module per model."""
