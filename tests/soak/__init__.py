"""Random cells under random interrupts and faults, each compared with the same cell plain: `make soak`."""
