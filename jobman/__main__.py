"""`python -m jobman`."""

from jobman.cli.app import main

main()
