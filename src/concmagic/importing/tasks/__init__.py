"""Tasks and event loops: steps and wake-ups become tracks with states. After the cell."""
