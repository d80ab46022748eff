"""Names of hosts: noted where they are looked up, and told instead of addresses."""

from __future__ import annotations

import _socket
import socket
import traceback
from collections.abc import Iterator

import pytest

from concmagic.recording import hosts
from concmagic.recording.hosts import HostRecorder, named


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_names", {})


@pytest.fixture
def recorder() -> Iterator[HostRecorder]:
    recorder = HostRecorder()
    recorder.start()
    yield recorder
    recorder.stop()


def test_a_host_that_was_asked_for_by_name_is_told_by_it(recorder: HostRecorder) -> None:
    assert named("127.0.0.1:80") == "127.0.0.1:80"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("localhost", port)).close()
    assert named(f"127.0.0.1:{port}") == f"localhost:{port}"
    recorder.stop()
    assert named("127.0.0.1:80") == "localhost:80"  # of a connection that a later cell uses


def test_an_address_with_two_names_keeps_to_itself(recorder: HostRecorder) -> None:
    socket.getaddrinfo("localhost", 80, socket.AF_INET)
    socket.getaddrinfo("127.0.0.1", 80)
    socket.getaddrinfo(b"localhost", 80, socket.AF_INET)
    assert named("127.0.0.1:80") == "127.0.0.1:80"


@pytest.mark.parametrize("words", ["", "port 80", "data.csv", "pipe", "[::1]:80", "C:\\data.csv"])
def test_what_is_no_known_address_is_told_as_it_is(recorder: HostRecorder, words: str) -> None:
    socket.getaddrinfo("localhost", 80, socket.AF_INET)
    assert named(words) == words


def test_an_error_shows_no_frame_of_the_recorder(recorder: HostRecorder) -> None:
    with pytest.raises(socket.gaierror) as caught:
        socket.getaddrinfo("localhost", "no such service")
    assert [frame.name for frame in traceback.extract_tb(caught.tb)][1:] == ["getaddrinfo"]


def test_what_a_cell_may_import_is_pythons_own_and_the_rest_is_put_back() -> None:
    public, private = socket.getaddrinfo, _socket.getaddrinfo
    recorder = HostRecorder()
    recorder.start()
    assert socket.getaddrinfo is public
    assert socket.getaddrinfo(host="localhost", port=None)
    recorder.stop()
    assert _socket.getaddrinfo is private


def test_what_somebody_else_put_there_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_socket, "getaddrinfo", _socket.getaddrinfo)
    recorder = HostRecorder()
    recorder.start()
    theirs = lambda *args: [("not", "what", "Python", "returns")]  # noqa: E731
    _socket.getaddrinfo = theirs  # type: ignore[assignment]
    recorder.stop()
    assert _socket.getaddrinfo is theirs


def test_a_user_function_of_another_shape_underneath_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_socket, "getaddrinfo", lambda *args: 42)
    recorder = HostRecorder()
    recorder.start()
    assert _socket.getaddrinfo("localhost", 80) == 42  # type: ignore[comparison-overlap]
    recorder.stop()
