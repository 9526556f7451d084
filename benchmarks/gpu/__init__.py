"""Every route on one accelerator."""
