"""Encrypted connections work; others leave this machine only when that is asked for."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed.security import Security

from tests.end_to_end.program import Place
from tests.end_to_end.servers import Servers
from tests.faults.harness import Faults

pytestmark = pytest.mark.cluster
FLAGS = {"ca-file": "ca", "cert": "cert", "key": "key"}


def certificate(folder: Path) -> dict[str, str]:
    """Make a certificate that is its own authority; return the ``security`` section."""
    folder.mkdir()
    cert, key = folder / "cert.pem", folder / "key.pem"
    if shutil.which("openssl"):
        made = ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=gmm-dask-test")
        files = ("-keyout", str(key), "-out", str(cert))
        subprocess.run(["openssl", "req", "-x509", *made, *files], check=True, capture_output=True)
    else:
        pytest.importorskip("cryptography", reason="neither openssl nor cryptography is there")
        temporary = Security.temporary()
        cert.write_text(temporary.tls_client_cert)
        key.write_text(temporary.tls_client_key)
    return {"ca": str(cert), "cert": str(cert), "key": str(key)}


@pytest.fixture(scope="module")
def security(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return certificate(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def encrypted(
    tmp_path_factory: pytest.TempPathFactory, security: dict[str, str]
) -> Iterator[Servers]:
    """A scheduler and a worker that speak TLS only."""
    words = [f"--tls-{name}={security[key]}" for name, key in FLAGS.items()]
    servers = Servers(tmp_path_factory.mktemp("encrypted"), "--protocol", "tls", *words)
    try:
        servers.add(1)
        yield servers
    finally:
        servers.close()


def test_an_encrypted_cluster_gives_the_same_bits(
    place: Place, encrypted: Servers, security: dict[str, str], undisturbed: tuple[str, str]
) -> None:
    assert encrypted.address.startswith("tls://")
    by_address: dict[str, Any] = {"type": "address", "address": encrypted.address}
    section = {**by_address, "timeout": "60s", "security": security}
    done = place.ask("run", place.config("tls", cluster=section))
    assert done.exit_code == 0, done.stderr
    assert place.bits("tls") == undisturbed
    by_file = encrypted.section(security=security)
    labels = place.ask(
        *("predict", "runs/tls", "rows.npy", "--out", "tls-labels"),
        *("--set", f"cluster={json.dumps(by_file)}"),
    )
    assert labels.exit_code == 0, labels.stderr


def test_without_the_right_certificate_nobody_is_let_in(
    place: Place, encrypted: Servers, security: dict[str, str], tmp_path: Path, faults: Faults
) -> None:
    plain = encrypted.address.replace("tls://", "tcp://")
    theirs = certificate(tmp_path / "theirs")
    mixed = {**security, "key": theirs["key"]}
    tries: dict[str, tuple[str, dict[str, Any], int, str]] = {
        "none": (encrypted.address, {}, 2, "cluster.security names no files"),
        "mixed": (encrypted.address, {"security": mixed}, 2, "certificate and key cannot be used"),
        "another": (encrypted.address, {"security": theirs}, 4, "no scheduler answers at tls://"),
        "plain": (plain, {}, 4, "no scheduler answers at tcp://"),
    }
    for name, (address, settings, code, words) in tries.items():
        section = {"type": "address", "address": address, "timeout": "2s", **settings}
        began = time.monotonic()
        done = place.ask("run", place.config(f"tls-{name}", cluster=section))
        assert time.monotonic() - began < 30, name
        faults.add(f"certificate: {name}")
        assert done.exit_code == code, (name, done.stderr)
        assert words in done.stderr, name
        assert "Traceback" not in done.stderr


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody who listens under this machine's name, and would notice a connection."""
    with socket.create_server(("", 0)) as server:
        server.settimeout(0.2)
        yield server


@pytest.mark.parametrize("by", ["address", "scheduler_file"])
def test_an_open_connection_elsewhere_is_refused_before_it_is_made(
    place: Place, listener: socket.socket, tmp_path: Path, by: str, faults: Faults
) -> None:
    """A name counts as elsewhere: what it stands for may change between asking and connecting."""
    address = f"tcp://{socket.gethostname()}:{listener.getsockname()[1]}"
    named = {"address": address, "scheduler_file": str(tmp_path / "scheduler.json")}
    (tmp_path / "scheduler.json").write_text(json.dumps({"address": address}))
    section = {"type": "address", by: named[by], "timeout": "2s"}
    done = place.ask("run", place.config("open", cluster=section))
    faults.add("open connection")
    assert done.exit_code == 2, done.stderr
    assert "not encrypted" in done.stderr
    assert "Use tls:// with cluster.security, or say cluster.allow_insecure: true" in done.stderr
    with pytest.raises(TimeoutError):
        listener.accept()
    allowed = {**section, "allow_insecure": True}
    done = place.ask("run", place.config("open", cluster=allowed))
    assert done.exit_code == 4, done.stderr
    assert "something accepts connections there and does not answer" in done.stderr
    listener.accept()[0].close()
