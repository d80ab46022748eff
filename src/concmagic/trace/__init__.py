"""What was recorded, as plain data."""
