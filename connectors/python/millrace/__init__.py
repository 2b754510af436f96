# SPDX-License-Identifier: BSD-3-Clause
"""Events to a Millrace receiver, none lost.

An event that was called durable is on the receiver's disk and can be forgotten. A Sender keeps every
event until it is, in memory or in a spool on disk, and sends it again where that is needed, also to
the next receiver.
"""

import ctypes
import enum
import errno
import os
from types import TracebackType
from typing import Dict, List, NamedTuple, Optional, Sequence, Type, Union

from . import _library

__all__ = ["Cipher", "Fate", "Full", "Report", "Sender", "version"]

_lib = _library.load()
_REPORTS_AT_ONCE = 1024


class Cipher(enum.IntEnum):
    """Of a pre-shared key, the same at the receivers."""

    XCHACHA20_POLY1305 = 0
    AES_256_GCM = 1


class Fate(enum.IntEnum):
    """What became of an event."""

    DURABLE = 1
    FAILED = 2  # never sent: in no receiver's log, surely
    UNCERTAIN = 3  # sent and not confirmed when the sender was stopped
    SPOOLED = 4  # the next sender with this spool sends it


class Report(NamedTuple):
    seq: int
    fate: Fate


class Full(Exception):
    """So much is kept that there was no room for the event in the time given."""


def version() -> str:
    """The library's."""
    return str(_lib.millrace_version().decode())


def _milliseconds(seconds: Optional[float]) -> int:
    return -1 if seconds is None else max(0, min(int(seconds * 1000 + 0.999), 2**31 - 1))


class Sender:
    """A handle of libmillrace. Any thread may use it at any time, but for close(), the last call.

    receivers: "HOST:PORT" or "[IPv6]:PORT", one or several; the first is used, the next when it fails.
    key: 32 bytes that the receivers have, too, with its id there. bytes_max: of events that are kept;
    0: 64 MiB. failover_after: seconds without progress; None: 10. mtu: of a datagram's payload that is
    tried at most; 0: 1472. reports: whether reports() is wanted. spool: a directory for this sender
    alone, where events are synced before they are sent; the next sender with it goes on with what was
    not durable. spool_bytes_max: on disk; 0: 1 GiB. Times are in seconds, None: without limit.
    """

    def __init__(self, receivers: Union[str, Sequence[str]], *, key: Optional[bytes] = None,
                 key_id: int = 0, cipher: Cipher = Cipher.XCHACHA20_POLY1305, bytes_max: int = 0,
                 failover_after: Optional[float] = None, mtu: int = 0,
                 reports: bool = False, spool: Union[str, "os.PathLike[str]", None] = None,
                 spool_bytes_max: int = 0) -> None:
        self._handle: Optional[ctypes.c_void_p] = None
        if key is not None and len(key) != 32:
            raise ValueError("key: must be 32 bytes")
        text = receivers if isinstance(receivers, str) else ",".join(receivers)
        options = _library.Options(
            size=ctypes.sizeof(_library.Options), receivers=text.encode(), key=key, key_id=key_id,
            cipher=int(cipher), bytes_max=bytes_max, mtu=mtu,
            failover_after_ms=0 if failover_after is None else _milliseconds(failover_after),
            flags=_library.REPORTS if reports else 0,
            spool=None if spool is None else os.fsencode(spool), spool_bytes_max=spool_bytes_max)
        handle, why = ctypes.c_void_p(), ctypes.create_string_buffer(_library.TEXT)
        err = _lib.millrace_open(ctypes.byref(handle), ctypes.byref(options), why)
        if err == -errno.EINVAL:
            raise ValueError(why.value.decode(errors="replace"))
        if err != 0:
            raise OSError(-err, why.value.decode(errors="replace"))
        self._handle = handle

    def _open(self) -> ctypes.c_void_p:
        if self._handle is None:
            raise ValueError("the sender is closed")
        return self._handle

    @property
    def source(self) -> int:
        """The id by which receivers know this sender."""
        return int(_lib.millrace_source(self._open()))

    def send(self, event: bytes, timeout: Optional[float] = 0.0) -> int:
        """Takes an event and returns its seq; waits for room so long, then raises Full."""
        seq = ctypes.c_uint64()
        err = _lib.millrace_send_wait(self._open(), event, len(event), _milliseconds(timeout),
                                      ctypes.byref(seq))
        if err == -errno.EAGAIN:
            raise Full(self.error or "too much is kept")
        if err != 0:
            raise OSError(-err, self.error or os.strerror(-err))
        return seq.value

    @property
    def durable(self) -> int:
        """All seqs below it are durable."""
        return int(_lib.millrace_durable(self._open()))

    @property
    def spooled(self) -> int:
        """All seqs below it are synced in the spool: a crash of this host doesn't lose them."""
        return int(_lib.millrace_spooled(self._open()))

    def fileno(self) -> int:
        """To be polled for reading, never read: readable when there are reports, or without them when
        'durable' has moved."""
        return int(_lib.millrace_fd(self._open()))

    def reports(self) -> List[Report]:
        """Each event once, in the order of seqs."""
        found: List[Report] = []
        room = (_library.Report * _REPORTS_AT_ONCE)()
        while True:
            count = _lib.millrace_reports(self._open(), room, _REPORTS_AT_ONCE)
            found += [Report(room[i].seq, Fate(room[i].fate)) for i in range(count)]
            if count < _REPORTS_AT_ONCE:
                return found

    def flush(self, timeout: Optional[float] = None) -> None:
        """Waits until everything given before is durable; TimeoutError when it isn't in time."""
        err = _lib.millrace_flush(self._open(), _milliseconds(timeout))
        if err == -errno.ETIMEDOUT:
            raise TimeoutError(self.error or "not everything is durable")
        if err != 0:
            raise OSError(-err, os.strerror(-err))

    def stop(self, timeout: Optional[float] = 10.0) -> int:
        """Flushes and ends the sending; returns how many events are not acknowledged. Reports can
        still be had."""
        return int(_lib.millrace_stop(self._open(), _milliseconds(timeout)))

    def close(self, timeout: Optional[float] = 10.0) -> int:
        """stop(), and frees the handle. Again: nothing, 0."""
        handle, self._handle = self._handle, None
        return int(_lib.millrace_close(handle, _milliseconds(timeout))) if handle else 0

    @property
    def error(self) -> str:
        """Why events are not durable yet; "" when nothing went wrong since some last became so."""
        text = ctypes.create_string_buffer(_library.TEXT)
        _lib.millrace_error_text(self._open(), text)
        return text.value.decode(errors="replace")

    def stats(self) -> Dict[str, int]:
        """Figures by the names of struct millrace_stats."""
        stats = _library.Stats()
        _lib.millrace_get_stats(self._open(), ctypes.byref(stats), ctypes.sizeof(stats))
        return {name: int(getattr(stats, name)) for name, *_ in _library.Stats._fields_}

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        left = self.close(10.0 if kind is None else 0.0)
        if kind is None and left > 0:
            raise TimeoutError(f"{left} events are not acknowledged")
