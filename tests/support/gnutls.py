"""A TLS client that finishes the handshake and only then says what it thinks of the certificate, as some do."""

import ctypes
import socket

LIBRARY = "libgnutls.so.30"
CLIENT, CERTIFICATE, FATAL = 2, 1, 2
ALERTS = {"bad_certificate": 42, "unknown_ca": 48}


def refuse_after_handshake(address, port, name, alert, priority="NORMAL"):
    """`priority` as GnuTLS writes it; the alert is the last that the client sends."""
    gnutls = ctypes.CDLL(LIBRARY)

    def call(function, *arguments):
        result = getattr(gnutls, function)(*arguments)
        assert result >= 0, f"{function}: {result}"

    credentials, session = ctypes.c_void_p(), ctypes.c_void_p()
    call("gnutls_certificate_allocate_credentials", ctypes.byref(credentials))
    call("gnutls_init", ctypes.byref(session), ctypes.c_uint(CLIENT))
    try:
        call("gnutls_priority_set_direct", session, priority.encode(), None)
        call("gnutls_credentials_set", session, CERTIFICATE, credentials)
        call("gnutls_server_name_set", session, 1, name.encode(), ctypes.c_size_t(len(name)))
        with socket.create_connection((address, port), timeout=20) as connection:
            connection.settimeout(None)  # the library reads by itself
            gnutls.gnutls_transport_set_int2(session, connection.fileno(), connection.fileno())
            gnutls.gnutls_handshake_set_timeout(session, 20_000)
            call("gnutls_handshake", session)
            call("gnutls_alert_send", session, FATAL, ALERTS[alert])
            connection.settimeout(20)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    finally:
        gnutls.gnutls_deinit(session)
        gnutls.gnutls_certificate_free_credentials(credentials)
