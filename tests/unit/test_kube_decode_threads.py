"""Decoders that several threads ask for at once are built one after the other."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys, threading
from jobman.kube import decode
from jobman.kube.objects import Event, Job, Node, Pod

sys.setswitchinterval(1e-6)
body = (b'{"metadata": {}, "items": [{"metadata": {"name": "x", "labels": {"a": "b"},'
        b' "ownerReferences": [{"uid": "u"}]}, "spec": {"containers": [{"name": "m"}],'
        b' "template": {"spec": {"containers": [{"env": [{"name": "x"}]}]}}}}]}')
begin = threading.Barrier(4)

def read(model):
    begin.wait()
    decode.listing(body, model, model.__name__)

threads = [threading.Thread(target=read, args=(model,)) for model in (Job, Pod, Event, Node)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_decode_for_the_first_time_together() -> None:
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
