"""`python -m jobman`."""

from jobman.cli.app import main

try:
    main()
finally:
    # A Ctrl-C that hits code made from a string, as a dataclass's is, and is handled, has CPython
    # end `-m` by SIGINT all the same, whatever the exit code; code that ends well takes that back.
    exec("")
