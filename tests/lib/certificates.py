# SPDX-License-Identifier: BSD-3-Clause
"""Certificates for tests: each its own authority, good for two days."""

import ipaddress
import subprocess


def alternative(host):
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"


def make(directory, name="api", host="127.0.0.1"):
    """(certificate, key): files of that name in the directory. host: an address or a name, for which
    alone it is."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName={alternative(host)}", "-keyout", key, "-out",
                    certificate], check=True, stderr=subprocess.DEVNULL)
    key.chmod(0o600)
    return certificate, key
