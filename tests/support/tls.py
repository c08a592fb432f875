"""What an outside client sees of a TLS listener."""

import hashlib
import re
import socket
import ssl
import subprocess


def served_certificate(address, port, name=None):
    """SHA-256 of the certificate that a handshake shows, in hexadecimal; None when it fails."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((address, port), 5) as raw:
            with context.wrap_socket(raw, server_hostname=name) as connection:
                return hashlib.sha256(connection.getpeercert(binary_form=True)).hexdigest()
    except (ssl.SSLError, ConnectionError):
        return None


def fingerprint(path):
    """SHA-256 of the first certificate in a PEM file."""
    text = path.read_text()
    first = text[:text.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first[first.index("-----BEGIN"):])).hexdigest()


def alert(address, port, name=None):
    """The TLS alert that ends a handshake, as OpenSSL names it; None when it succeeds or the port is closed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((address, port), 5) as raw:
            with context.wrap_socket(raw, server_hostname=name):
                return None
    except ssl.SSLError as error:
        return error.reason


def s_client(address, port, *options, name=None, namespace=None):
    command = ["openssl", "s_client", "-connect", f"{address}:{port}", *map(str, options)]
    command += ["-servername", name] if name else ["-noservername"]
    if namespace:
        command = ["ip", "netns", "exec", namespace.name, *command]
    return subprocess.run(command, input="", capture_output=True, text=True, errors="replace", timeout=60)


def negotiated(printed, what):
    found = re.search(rf"{what}\s*(?:is|:)\s*(\S+)", printed)
    return found[1] if found else None
