# SPDX-License-Identifier: BSD-3-Clause
"""include/millrace.h, for ctypes."""

import ctypes
import ctypes.util
import os

TEXT = 256
REPORTS = 1


class Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("receivers", ctypes.c_char_p),
        ("resolve", ctypes.c_void_p),
        ("resolve_arg", ctypes.c_void_p),
        ("key", ctypes.c_char_p),
        ("key_id", ctypes.c_uint16),
        ("cipher", ctypes.c_int),
        ("bytes_max", ctypes.c_uint64),
        ("failover_after_ms", ctypes.c_uint32),
        ("mtu", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("spool", ctypes.c_char_p),
        ("spool_bytes_max", ctypes.c_uint64),
    ]


class Report(ctypes.Structure):
    _fields_ = [("seq", ctypes.c_uint64), ("fate", ctypes.c_int)]


class Stats(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in (
        "events", "acknowledged", "bytes_kept", "sent", "again", "datagrams", "datagram_bytes",
        "answers", "lost", "timeouts", "moves", "epochs", "rtt_ns", "cwnd")] + [
        ("receiver", ctypes.c_uint32), ("open", ctypes.c_uint32),
        ("spool_bytes", ctypes.c_uint64), ("overlap", ctypes.c_uint64)]


HANDLE = ctypes.c_void_p
FUNCTIONS = {
    "open": (ctypes.c_int, [ctypes.POINTER(HANDLE), ctypes.POINTER(Options), ctypes.c_char_p]),
    "source": (ctypes.c_uint64, [HANDLE]),
    "send_wait": (ctypes.c_int, [HANDLE, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_int,
                                 ctypes.POINTER(ctypes.c_uint64)]),
    "durable": (ctypes.c_uint64, [HANDLE]),
    "spooled": (ctypes.c_uint64, [HANDLE]),
    "fd": (ctypes.c_int, [HANDLE]),
    "reports": (ctypes.c_uint, [HANDLE, ctypes.POINTER(Report), ctypes.c_uint]),
    "flush": (ctypes.c_int, [HANDLE, ctypes.c_int]),
    "stop": (ctypes.c_uint64, [HANDLE, ctypes.c_int]),
    "close": (ctypes.c_uint64, [HANDLE, ctypes.c_int]),
    "get_stats": (None, [HANDLE, ctypes.POINTER(Stats), ctypes.c_size_t]),
    "error_text": (None, [HANDLE, ctypes.c_char_p]),
    "version": (ctypes.c_char_p, []),
}


def load() -> ctypes.CDLL:
    """The shared library: the one that MILLRACE_LIBRARY names, else the system's."""
    name = os.environ.get("MILLRACE_LIBRARY") or ctypes.util.find_library("millrace")
    if name is None:
        raise ImportError("libmillrace is not installed; mend: meson install, or set "
                          "MILLRACE_LIBRARY to the path of libmillrace.so.0")
    library = ctypes.CDLL(name)
    for function, (result, arguments) in FUNCTIONS.items():
        symbol = getattr(library, f"millrace_{function}")
        symbol.restype, symbol.argtypes = result, arguments
    return library
