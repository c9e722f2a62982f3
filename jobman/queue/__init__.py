"""Who waits for what, what runs, and what is free."""
