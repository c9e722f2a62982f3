"""Jobs: request, manifest, state, logs."""
