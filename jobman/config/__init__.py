"""Settings and flavors: layers, merging, validation."""
