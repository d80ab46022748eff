"""What the recorded facts amount to: numbers and findings."""
