"""No secret is in the repository: no string of a form that secrets have, no random one where a secret would stand."""

import math
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
MOST_BYTES = 2_000_000

#: Forms that nothing but a secret has.
FORMS = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,})"),
    "a Slack token or webhook": re.compile(
        r"\bxox[abprs]-[\w-]{10,}|hooks\.slack\.com/services/T\w{6,}/B\w{6,}/\w{16,}"
    ),
    "a Google key": re.compile(r"\bAIza[\w-]{35}\b"),
    "a key of a paid service": re.compile(r"\b(?:sk|rk|pk)[-_](?:live|proj|ant|test)[-_][\w-]{20,}"),
    "a JSON Web Token": re.compile(r"\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,}"),
    "a Fernet key": re.compile(r"(?<![\w+/-])[\w-]{43}=(?![\w=])"),
}
#: Where a secret would stand, and what stands there.
NAMED = re.compile(
    r"""(?ix) (?:password|passwd|secret|token|api_?key|access_?key|credential)\w* ["']? \s* [:=] \s*
    ["']? (?P<value>[A-Za-z0-9+/=_.~-]{16,}) """
)
IN_ADDRESS = re.compile(r"\w+://[^/\s:@'\"{}$]+:(?P<value>[^/\s@'\"{}$<>]{12,})@")


def bits_per_character(text: str) -> float:
    """Shannon entropy: words have about 3, random letters and digits 4 and more."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def looks_random(value: str) -> bool:
    changes = len(re.findall(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", value))  # from letters to digits and back
    return changes >= 3 and bits_per_character(value) >= 3.6


def find_secrets(text: str) -> list[str]:
    found = [name for name, form in FORMS.items() if form.search(text)]
    standing = [named["value"] for pattern in (NAMED, IN_ADDRESS) for named in pattern.finditer(text)]
    return found + [
        f"a random string where a secret would stand: {each[:6]}…" for each in standing if looks_random(each)
    ]


def files_of_repository() -> list[Path]:
    """What git knows, or would take up."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [REPOSITORY / name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()]


def test_no_file_of_the_repository_holds_a_secret() -> None:
    files = files_of_repository()
    assert len(files) > 300
    found = {}
    for file in files:
        data = file.read_bytes()
        if len(data) <= MOST_BYTES and b"\0" not in data and (problems := find_secrets(data.decode(errors="replace"))):
            found[str(file.relative_to(REPOSITORY))] = problems
    assert found == {}


def test_no_file_that_keeps_secrets_is_known_to_git() -> None:
    kept = [
        file.name
        for file in files_of_repository()
        if re.fullmatch(r"\.env(\..*)?|.*\.(pem|key|p12|pfx)|id_\w+", file.name)
    ]
    assert kept == []
    ignored = subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=REPOSITORY, check=False)
    assert ignored.returncode == 0


# Put together here, so that the test above does not find them.
@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
        "FERNET=" + "uJ3v6q1KXr0bQyC8mZt5" + "nW2aEhLpS7dFgVxRi9oYkTc=",
        "password" + ": 'q7VxR2mZt5nW8aEhLp'",
        'API_SECRET_KEY="' + 'Zk3vQ9rT1xB7mN5cW2pL8sD4"',
        "postgresql://me:" + "q7VxR2mZt5nW8aEh@host/db",
        "eyJhbGciOiJIUzI1NiIsInR5" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    ],
)
def test_a_secret_is_seen(text: str) -> None:
    assert find_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "password: ${POSTGRES_PASSWORD:?run make env}",
        "metrics_token: SecretStr | None = Field(default=None, min_length=16)",
        "secret_key = read_secret_from_environment(name)",
        "sha256: " + "0a1b2c3d" * 8,
        "postgresql://nightglass:${NIGHTGLASS_DATABASE_PASSWORD}@postgres:5432/nightglass",
        "token='a-password-that-is-long-enough'",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert find_secrets(text) == []
