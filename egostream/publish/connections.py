"""How many peers may be connected to a socket at a time. libzmq takes all that come, until no file can be opened."""

from __future__ import annotations

import contextlib
import os
import socket as socket_module
import sys
import threading

import zmq
from zmq.utils.monitor import parse_monitor_message

#: Peers of a publisher, and of what receives head poses: more than any room has receivers.
MOST_PEERS = 256
#: Files that a process may open where the system lets it: the peers of its sockets, and far more than it needs itself.
FILES = 4096
#: Of a small limit, what is kept back from peers: for children that are started, logs, and connections that came
#: before they could be ended.
OWN_FILES = 192
FEWEST_PEERS = 8
ENDED = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED


def raise_file_limit() -> None:
    """Let this process and its children open FILES files, where the system lets them; many allow 1024 only."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_peers(wanted: int = MOST_PEERS) -> int:
    """How many peers a socket of this process may have: fewer where the process may open few files."""
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except ImportError:
        return wanted
    return wanted if soft == resource.RLIM_INFINITY else max(FEWEST_PEERS, min(wanted, soft - OWN_FILES))


class PeerLimit:
    """Ends each connection to a socket that is one too many; who was there before stays.

    A thread hears of connections from libzmq. It ends one by shutting the connection down, which libzmq takes for the
    peer's doing: libzmq itself has no such call. Windows has no descriptors to do so with: nothing is limited there.
    """

    def __init__(self, socket: zmq.Socket, most: int):
        self.socket, self.most = socket, most
        self.peers: set[int] = set()  # descriptors
        self.refused = 0
        self.thread: threading.Thread | None = None
        if sys.platform != "win32":
            events = socket.get_monitor_socket(zmq.EVENT_ACCEPTED | ENDED | zmq.EVENT_MONITOR_STOPPED)
            self.thread = threading.Thread(target=self.watch, args=(events,), name="peers", daemon=True)
            self.thread.start()

    def watch(self, events: zmq.Socket) -> None:
        """Take note of who comes and goes, until the socket is no longer watched."""
        try:
            while (event := parse_monitor_message(events.recv_multipart()))["event"] != zmq.EVENT_MONITOR_STOPPED:
                self.take(event["event"], event["value"])
        except zmq.ZMQError:
            pass  # the context ends
        finally:
            events.close()  # else the context would never end

    def take(self, event: int, descriptor: int) -> None:
        """Take note of one who came or went, and end the connection of one too many."""
        if event != zmq.EVENT_ACCEPTED:
            self.peers.discard(descriptor)
        elif len(self.peers) < self.most:
            self.peers.add(descriptor)
        else:
            self.refused += 1
            end_connection(descriptor)

    def close(self) -> None:
        """Watch the socket no longer. To be called before the socket is closed."""
        if self.thread is not None:
            self.socket.disable_monitor()
            self.thread.join()


def end_connection(descriptor: int) -> None:
    """Shut a connection down, whose owner then closes it. A descriptor that is no connection stays as it is."""
    with contextlib.suppress(OSError):
        with socket_module.socket(fileno=os.dup(descriptor)) as connection:
            connection.getpeername()  # not one that listens
            connection.shutdown(socket_module.SHUT_RDWR)
