"""Drawn photographs, one fitted detector and a webhook, shared by all tests."""

import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

from tests.forked import FORKS
from tests.order import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: F401 - hooks

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = "from nightglass.cli import main; main()"
# The same examples each time: a run that fails can be run again.
hypothesis.settings.register_profile("nightglass", derandomize=True, deadline=None)
hypothesis.settings.load_profile("nightglass")


def draw_panel(seed: int, *, is_defect: bool = False, size: int = 120) -> Image.Image:
    """A grey panel with a grid of dark lines, like a solar cell; a defect is a bright scratch and a dark spot."""
    random = np.random.default_rng(seed)
    pixels = np.full((size, size), 120.0) + random.normal(0, 5, (size, size)) + random.uniform(-8, 8)
    pixels[:: size // 6] -= 50
    pixels[:, size // 2] -= 40
    if is_defect:
        x, y = random.integers(10, size - 60, 2)
        pixels[y : y + 45, x : x + 45] -= 60
        for i in range(50):
            pixels[y + i % 45, min(x + i, size - 1)] = 250
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def write_panels(folder: Path, seeds: range, *, defects: int = 0, suffix: str = ".png") -> Path:
    """Write one panel a seed into ``folder``; the last ``defects`` of them are defect."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, seed in enumerate(seeds):
        is_defect = place >= len(seeds) - defects
        name = f"{'defect' if is_defect else 'good'}-{seed:05d}{suffix}"
        draw_panel(seed, is_defect=is_defect).save(folder / name)
    return folder


def png_with_size(width: int, height: int) -> bytes:
    """A small PNG file whose header claims any size: a decompression bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


SmallDisk = Callable[[str], Path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Mount a file system in memory with the given options; only root may."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False)
        if done.returncode:
            pytest.skip("only root may mount the small file system that this test needs")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(autouse=True)
def _new_connections() -> None:
    """Let no test have a connection to S3 that another one made from its own environment: fsspec keeps them."""
    if module := sys.modules.get("nightglass.s3_store"):
        module.S3Store.clear_instance_cache()


@dataclass
class Webhook:
    """What was posted to the address ``url``, an Apprise JSON address."""

    url: str
    messages: list[dict[str, str]] = field(default_factory=list)

    def about(self, word: str) -> list[str]:
        """The titles of the messages with ``word`` in their title."""
        return [message["title"] for message in self.messages if word in message["title"]]


@pytest.fixture(scope="session")
def webhook() -> Iterator[Webhook]:
    """A server that keeps what is posted to it, for alerts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Webhook(f"json://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield hook
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def nightglass() -> Run:
    """Run the command line in a process of its own, which has imported the libraries already."""

    def run(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return FORKS.run(COMMAND, arguments, env)

    return run


@pytest.fixture(scope="session")
def fresh_nightglass() -> Run:
    """Run the command line as a user does, in a process that has imported nothing yet."""

    def run(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | (env or {}),
        )

    return run


@pytest.fixture(scope="session")
def good_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty good panels."""
    return write_panels(tmp_path_factory.mktemp("good"), range(40))


@pytest.fixture(scope="session")
def unquantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a collection with defaults but for int8, which costs a fit some seconds and is tested by itself."""
    file = tmp_path_factory.mktemp("collection") / "adhoc.yaml"
    file.write_text("images: '{night}'\nschedule: null\ndetector: {precision: auto}\n")
    return file


@pytest.fixture(scope="session")
def model(
    good_images: Path, unquantized: Path, tmp_path_factory: pytest.TempPathFactory, fresh_nightglass: Run
) -> Path:
    """A detector folder, fitted on the good panels through the command line."""
    out = tmp_path_factory.mktemp("model") / "detector"
    done = fresh_nightglass("fit", "--images", good_images, "--out", out, "--collection", unquantized, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fitted"] == 40
    return out
