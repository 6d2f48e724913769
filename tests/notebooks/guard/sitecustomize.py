"""Python starts with this module in a guarded kernel and in every process that it starts.

Nothing leaves the machine: a socket that is not on loopback raises. What is written outside the
allowed folders is noted in a file.
"""

from __future__ import annotations

import os
import sys

_ALLOWED = tuple(os.environ["GUARD_ALLOWED"].split(os.pathsep))
_NOTES = os.environ["GUARD_NOTES"]
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_LOOPBACK = {"127.0.0.1", "::1", "localhost", "", None}
_REACHES = {"socket.connect": 1, "socket.bind": 1, "socket.sendto": 1}
_CHANGES = {"os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1, "os.truncate": 0}


def _watch(event, args):
    if event in _REACHES:
        address = args[_REACHES[event]]
        if isinstance(address, tuple):
            _refuse_far(address[0])
    elif event == "socket.getaddrinfo":
        _refuse_far(args[0])
    elif event == "open" and isinstance(args[2], int) and args[2] & _WRITES:
        _note_outside(args[0])
    elif event in _CHANGES:
        _note_outside(args[_CHANGES[event]])


def _refuse_far(host):
    name = host.decode() if isinstance(host, bytes) else host
    if name not in _LOOPBACK:
        message = f"blocked: {host!r} is not this machine"
        raise OSError(message)


def _note_outside(path):
    if not isinstance(path, (str, bytes)):
        return  # a number: the file is open already
    full = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 -- resolve() would open files itself
    if not full.startswith(_ALLOWED):
        notes = os.open(_NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(notes, f"{full}\n".encode())
        os.close(notes)


sys.addaudithook(_watch)
