"""The direct route: targets, speed, memory, starts, batches, search."""
