# cython: boundscheck=False, wraparound=False, cdivision=True
"""A TLS connection's bytes: what recv, send, shutdown and close are for a plain one.

OpenSSL encrypts, through the standard library's ssl.SSLSocket, on the very descriptor that stands in the gate's epoll
set; there is no buffer in between. Knows bytes; knows no slots. Nothing here raises. The loops that call it run
without the GIL; it is taken for TLS connections only.
"""

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free, malloc

from ssl import SSLWantReadError, SSLWantWriteError

cdef enum:
    RECORD = 16384           # bytes of one TLS record at most: RFC 8446 5.1


cdef Tls* tls_hold(object sock) except NULL:
    """Hold a socket until tls_close, which frees what is returned."""
    cdef Tls* tls = <Tls*>malloc(sizeof(Tls))
    if tls == NULL:
        raise MemoryError
    Py_INCREF(sock)
    tls.sock = <void*>sock
    tls.pending = NULL
    return tls


cdef Py_ssize_t tls_recv(Tls* tls, uint8_t* data, size_t size) noexcept with gil:
    """Read what is here, at least a whole record, since epoll does not know of what OpenSSL has read already.

    size: RECORD or more. Return the number of bytes, -1 if there are none yet, 0 at the end or after an error.
    """
    cdef size_t got = 0, n
    sock = <object>tls.sock
    try:
        while True:
            n = sock.recv_into(PyMemoryView_FromMemory(<char*>data + got, size - got, PyBUF_WRITE))
            got += n
            if n == 0 or got == size or not sock.pending():
                return <Py_ssize_t>got
    except SSLWantReadError:
        return <Py_ssize_t>got if got else -1
    except (OSError, ValueError, MemoryError):
        return <Py_ssize_t>got           # what was read counts; the next call finds the error again


cdef int _keep(Tls* tls, bytes pending) except -1:
    """Make this what OpenSSL has taken and the kernel has not."""
    old = <object>tls.pending if tls.pending != NULL else None
    if pending:
        Py_INCREF(pending)
        tls.pending = <void*>pending
    else:
        tls.pending = NULL
    if old is not None:
        Py_DECREF(old)
    return 0


cdef Py_ssize_t _send(Tls* tls, const uint8_t* data, size_t size, bint* full) except -1:
    cdef size_t taken = 0, chunk = 0
    cdef Py_ssize_t n
    cdef bytes pending
    sock = <object>tls.sock
    try:
        while tls.pending != NULL:
            pending = <bytes>tls.pending
            n = sock.send(pending)
            _keep(tls, pending[n:])
        while taken < size:
            chunk = size - taken if size - taken < RECORD else RECORD
            taken += <size_t>sock.send(PyMemoryView_FromMemory(<char*>data + taken, chunk, PyBUF_READ))
    except SSLWantWriteError:
        full[0] = True
        if chunk:
            # It is encrypted already: it can neither be taken back nor change, and must be offered again as it is.
            _keep(tls, PyBytes_FromStringAndSize(<char*>data + taken, chunk))
            taken += chunk
    return <Py_ssize_t>taken


cdef Py_ssize_t tls_send(Tls* tls, const uint8_t* data, size_t size, bint* full) noexcept with gil:
    """Send what an earlier call could not, then data, one record and system call per 16 KiB.

    Return how many bytes of data were taken, which is to say sent, sooner or later and before all others; -1 if the
    connection failed. full: set if the kernel takes no more for the moment.
    """
    try:
        return _send(tls, data, size, full)
    except (OSError, ValueError, MemoryError):
        return -1


cdef void tls_shut(Tls* tls) noexcept with gil:
    """Tell the peer that nothing more comes (RFC 8446 6.1: close_notify); best effort. Call tls_recv no more."""
    try:
        (<object>tls.sock).unwrap()
    except (OSError, ValueError, MemoryError):
        pass                             # usual: it would wait for the peer's own; or the connection is gone


cdef void tls_close(Tls* tls) noexcept with gil:
    """End the connection, close its descriptor and forget it."""
    tls_shut(tls)
    sock = <object>tls.sock
    try:
        sock.close()
    except OSError:
        pass                             # the descriptor is closed all the same
    if tls.pending != NULL:
        Py_DECREF(<object>tls.pending)
    Py_DECREF(sock)
    free(tls)
