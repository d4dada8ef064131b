"""`make env` writes secrets that are strong, fresh and its owner's alone, and never takes the place of old ones."""

import base64
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from deploy.make_env import SECRETS, compose_env, write_env

SCRIPT = Path(__file__).resolve().parents[3] / "deploy" / "make_env.py"


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    # -I and -S: only the standard library, as on a machine where nothing is installed.
    command = [sys.executable, "-I", "-S", str(SCRIPT)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def read(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def test_writes(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        done = run(tmp_path)
    finally:
        os.umask(before)
    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secrets = read(file.read_text())
    assert set(secrets) == {name for name, _, _ in SECRETS}
    assert not [value for value in secrets.values() if value in done.stdout]


@pytest.mark.parametrize("kind", ["file", "link", "broken link"])
def test_refuses(tmp_path: Path, kind: str) -> None:
    file, other = tmp_path / ".env", tmp_path / "other"
    if kind == "file":
        file.write_text("FERNET_KEY=old\n")
    else:
        if kind == "link":
            other.write_text("old\n")
        file.symlink_to(other)
    before = file.read_text() if file.exists() else None
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"env: expected no \.env here, got one[^\n]*\n", done.stderr)
    assert (file.read_text() if file.exists() else None) == before
    assert other.exists() == (kind == "link")


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("deploy.make_env.compose_env", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_env(tmp_path / ".env")
    assert list(tmp_path.iterdir()) == []


def test_secrets_are_strong_and_fresh() -> None:
    first, second = read(compose_env()), read(compose_env())
    assert len(set(first.values()) | set(second.values())) == 2 * len(SECRETS)
    for name, value in first.items():
        # They stand in addresses and in a file of Compose: nothing there may need quoting.
        assert re.fullmatch(r"[A-Za-z0-9_=-]{20,}", value), name
    assert len(base64.urlsafe_b64decode(first["FERNET_KEY"])) == 32
    assert len(first["JWT_SECRET"]) >= 64
    assert len(first["METRICS_TOKEN"]) >= 16


def test_settings_are_commented_out() -> None:
    text = compose_env()
    compose = (SCRIPT.parents[1] / "docker-compose.yaml").read_text(encoding="utf-8")
    offered = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    # Compose itself reads COMPOSE_PROFILES.
    assert offered.pop("COMPOSE_PROFILES") == "monitoring"
    assert offered.pop("STATSD_ON") == "True"
    for name, default in offered.items():
        assert f"${{{name}:-{default}}}" in compose, name
