"""The command line: one module per command or small family."""
