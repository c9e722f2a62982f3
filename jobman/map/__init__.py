"""One pod per item of a list, and every log brought home."""
