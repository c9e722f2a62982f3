"""The embedded cluster: one machine that speaks the Kubernetes API."""
