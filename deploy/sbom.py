"""What the stack is made of, as a CycloneDX 1.6 list that any scanner reads: `make sbom` writes build/sbom.json.

The packages are those of the image, as pinned; the containers those of docker-compose.yaml. The same pins give the same
file, so that two releases can be compared.
"""

import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
PINNED = ("requirements.txt", "requirements-stack.txt")
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?==(?P<version>[^\s;]+)")
_FROM = re.compile(r"^FROM\s+(\S+:\S+)", re.MULTILINE)


def read_pins(folder: Path) -> dict[str, str]:
    """Return name and version of every package of the image.

    Raises:
        ValueError: A line is no pin.
    """
    pins: dict[str, str] = {}
    for name in PINNED:
        for number, line in enumerate((folder / name).read_text(encoding="utf-8").splitlines(), 1):
            text = line.partition("#")[0].strip()
            if not text or text.startswith("-r "):
                continue
            found = _PIN.match(text)
            if found is None:
                raise ValueError(f"{name}, line {number}: expected name==version, got {text!r}")
            pins[re.sub(r"[-_.]+", "-", found["name"]).lower()] = found["version"]
    return pins


def read_images(folder: Path) -> list[str]:
    """Return the images that docker-compose.yaml names, and those that the one it builds starts from."""
    compose = yaml.safe_load((folder / "docker-compose.yaml").read_text(encoding="utf-8"))
    named = {service["image"] for service in compose["services"].values() if "build" not in service}
    return sorted({*named, *_FROM.findall((folder / "Dockerfile").read_text(encoding="utf-8"))})


def build_sbom(folder: Path) -> dict[str, Any]:
    """Return the list as CycloneDX has it."""
    project = metadata.version("nightglass")
    packages = [_describe_package(name, version) for name, version in sorted(read_pins(folder).items())]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "nightglass", "version": project}},
        "components": [*packages, *map(_describe_image, read_images(folder))],
    }


def _describe_package(name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    described = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    licence = _licence_of(name)
    return described | ({"licenses": [{"license": {"name": licence}}]} if licence else {})


def _describe_image(image: str) -> dict[str, Any]:
    name, _, tag = image.rpartition(":")
    owner, _, short = name.rpartition("/")
    purl = f"pkg:docker/{f'{owner}/' if owner else ''}{short}@{tag}"
    return {"type": "container", "bom-ref": purl, "name": name, "version": tag, "purl": purl}


def _licence_of(name: str) -> str | None:
    """Return what an installed package says of its licence, in one line."""
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    classified = [line.rpartition(" :: ")[2] for line in found.get_all("Classifier", []) if line.startswith("License")]
    expression, free_text = (str(found[name]) if name in found else "" for name in ("License-Expression", "License"))
    said = expression or ", ".join(classified) or free_text
    return said.strip().splitlines()[0][:100] if said.strip() else None


def main() -> int:
    """Write build/sbom.json; return the exit code."""
    target = REPOSITORY / "build" / "sbom.json"
    try:
        sbom = build_sbom(REPOSITORY)
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(sbom, indent=1) + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"sbom: {error}\n")
        return 1
    kinds = [component["type"] for component in sbom["components"]]
    told = f"{kinds.count('library')} packages and {kinds.count('container')} container images"
    sys.stdout.write(f"Wrote {target.relative_to(REPOSITORY)}: {told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
