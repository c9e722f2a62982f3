"""Images: what is on Harbor, and which image a short name means."""
