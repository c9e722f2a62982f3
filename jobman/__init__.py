"""jobman: share a Kubernetes GPU cluster from the command line."""

__version__ = "0.1.0"
