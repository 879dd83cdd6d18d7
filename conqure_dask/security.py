"""TLS for a cluster on one machine.

A Dask scheduler runs whatever it is sent. On a login node that many people share, a port without TLS would let every
one of them run code as you, so `cluster` encrypts and authenticates by default. Certificates live in memory, for as
long as the cluster. `distributed.Security.temporary` does the same with RSA keys, which take 0.1 to 0.6 s to make;
these take a millisecond.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from distributed import Security

from qpu_executors import MissingPackage

_ROLES = ("client", "scheduler", "worker")


def temporary_security() -> Security:
    """Certificates for one cluster; who does not have them can't connect."""
    certificate, key = _self_signed()
    files = {f"tls_{role}_{what}": text for role in _ROLES for what, text in (("cert", certificate), ("key", key))}
    return Security(require_encryption=True, tls_ca_file=certificate, **files)


def write_keys(security: Security, folder: Path) -> dict[str, str]:
    """What workers in jobs need to prove who they are, as options of `dask worker`: each names a file.

    Certificates that live in memory are written to ``folder``, which nobody else can read. A command line everybody
    can.
    """
    options = {}
    for role, value in security.get_tls_config_for_role("worker").items():
        name = f"tls-{role.replace('_', '-')}"
        if value is None or role == "ciphers":  # `dask worker` has no option for those
            continue
        options[name] = str(folder / f"{name}.pem") if "\n" in value else value
        if "\n" in value:
            with open(os.open(options[name], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(value)
    return options


def _self_signed() -> tuple[str, str]:
    """A certificate and its key, as PEM."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    except ImportError:
        raise MissingPackage(
            "an encrypted Dask cluster needs the package 'cryptography': pip install 'conqure[dask]'. "
            "On a machine that is yours alone, cluster(site, security=False) does without."
        ) from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "conqure-dask")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks of two machines differ
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return certificate.public_bytes(Encoding.PEM).decode(), pem
