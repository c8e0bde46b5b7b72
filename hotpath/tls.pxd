"""What other compiled modules may call of hotpath.tls."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

# A TLS connection whose handshake is over; holds references.
cdef struct Tls:
    void* sock               # ssl.SSLSocket, non-blocking
    void* pending            # bytes that OpenSSL has taken and the kernel has not; NULL: none

cdef Tls* tls_hold(object sock) except NULL
cdef Py_ssize_t tls_recv(Tls* tls, uint8_t* data, size_t size) noexcept with gil
cdef Py_ssize_t tls_send(Tls* tls, const uint8_t* data, size_t size, bint* full) noexcept with gil
cdef void tls_shut(Tls* tls) noexcept with gil
cdef void tls_close(Tls* tls) noexcept with gil
