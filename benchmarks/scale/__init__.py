"""Tables larger than memory, rows on many devices, readers."""
