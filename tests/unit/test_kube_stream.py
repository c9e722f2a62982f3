"""A body as it arrives, cut, or closed from elsewhere."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plugins.scripted_server import Reply, ScriptedServer

from jobman.errors import UnreachableError
from jobman.kube.client import Client
from jobman.kube.logstream import LogStream

LOG = "/api/v1/namespaces/team/pods/p/log"


def test_each_chunk_is_there_when_it_is_sent(
    client: Client, scripted_server: ScriptedServer
) -> None:
    sent: list[float] = []
    taken = threading.Semaphore(0)

    def chunks() -> Iterator[bytes]:
        for number in range(20):
            sent.append(time.monotonic())
            yield b"line %d\n" % number
            taken.acquire(timeout=30)

    scripted_server.script("GET", LOG, Reply(chunks=chunks()))
    late = []
    with client.log("p", follow=True) as log:
        for _ in log:
            late.append(time.monotonic() - sent[-1])
            taken.release()
    assert len(late) == 20
    assert sorted(late)[10] < 0.02


def test_a_body_that_only_the_connection_ends_is_not_held_back(
    make_client: Callable[..., Client],
) -> None:
    seen = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst\n")
            seen.wait(30)
            connection.sendall(b"second\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with make_client(f"http://127.0.0.1:{listener.getsockname()[1]}").log("p") as log:
            chunks = iter(log)
            assert next(chunks) == b"first\n"
            assert not seen.is_set()
            seen.set()
            assert b"".join(chunks) == b"second\n"
        thread.join()


def test_a_cut_log_is_an_error_after_what_came(
    client: Client, scripted_server: ScriptedServer
) -> None:
    scripted_server.script("GET", LOG, Reply(chunks=[b"one\n", b"two\n"], cut=True))
    came = []
    with client.log("p") as log, pytest.raises(UnreachableError, match="was lost") as caught:
        came.extend(log)
    assert b"".join(came) in (b"one\n", b"one\ntwo\n")
    assert caught.value.exit_code == 5


def test_a_log_may_be_left_early(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", LOG, Reply(chunks=[b"x" * 65536] * 100))
    for _ in range(3):
        with client.log("p") as log:
            assert next(iter(log))
    assert len(scripted_server.requests) == 3


def test_another_thread_may_close_a_silent_log(
    client: Client, scripted_server: ScriptedServer
) -> None:
    over = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"one\n"
        over.wait(60)

    scripted_server.script("GET", LOG, Reply(chunks=chunks()))
    with client.log("p", follow=True) as log:
        assert next(iter(log)) == b"one\n"
        threading.Timer(0.05, log.close).start()
        began = time.monotonic()
        assert list(log) == []
        assert time.monotonic() - began < 20
    over.set()


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_reader_gets_nothing_that_was_not_sent_while_another_thread_closes(
    make_client: Callable[..., Client],
    request: pytest.FixtureRequest,
    certificate: tuple[Path, Path],
    tls: bool,
) -> None:
    server: ScriptedServer = request.getfixturevalue("scripted_https" if tls else "scripted_server")
    sent = b"".join(b"%07d\n" % number for number in range(1 << 19))
    pieces = [sent[at : at + 60000] for at in range(0, len(sent), 60000)]
    server.script("GET", LOG, Reply(chunks=pieces))
    trust = {"certificate-authority": str(certificate[0])}
    client = make_client(server, cluster=trust if tls else None)
    for amount in range(100_000, 2_500_000, 100_000):
        with client.log("p", follow=True) as log:
            flowing = threading.Event()

            def close(log: LogStream = log, flowing: threading.Event = flowing) -> None:
                flowing.wait(30)
                log.close()

            closing = threading.Thread(target=close)
            closing.start()
            came = bytearray()
            for chunk in log:
                came += chunk
                if len(came) > amount:
                    flowing.set()
            closing.join()
            assert len(came) > amount
            assert sent.startswith(came)


def test_a_log_closed_before_it_is_read(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", LOG, Reply(chunks=[b"one\n"]))
    with client.log("p") as log:
        log.close()
        log.close()
        assert list(log) == []


def test_many_threads_share_a_client(client: Client, scripted_server: ScriptedServer) -> None:
    scripted_server.script("GET", LOG, Reply(200, b"text"))
    found: list[bytes] = []

    def read() -> None:
        for _ in range(5):
            with client.log("p") as log:
                found.append(b"".join(log))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"text"] * 40
