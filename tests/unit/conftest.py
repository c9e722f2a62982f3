"""Fixtures at the outermost boundary: scripted servers, and clients of them."""

from plugins.command_line import run
from plugins.job_world import world
from plugins.kube import client, make_client, write_kubeconfig
from plugins.local_registry import registry
from plugins.map_cluster import map_client, map_kubeconfig
from plugins.queue_world import cluster
from plugins.scripted_server import certificate, scripted_https, scripted_server

__all__ = [
    "certificate",
    "client",
    "cluster",
    "make_client",
    "map_client",
    "map_kubeconfig",
    "registry",
    "run",
    "scripted_https",
    "scripted_server",
    "world",
    "write_kubeconfig",
]
