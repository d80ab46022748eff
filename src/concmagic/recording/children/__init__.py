"""Child processes: their life as the parent sees it, and what runs inside them for us."""
