import pytest

from nightglass.connections import storage_options
from nightglass.errors import ConfigurationError


def test_keys_endpoint_and_region_become_fsspec_options() -> None:
    extra = {"endpoint_url": "http://store:9000", "region_name": "eu-1", "aws_session_token": "t"}
    assert storage_options("aws", "key", "secret", extra=extra) == {
        "key": "key",
        "secret": "secret",
        "token": "t",
        "endpoint_url": "http://store:9000",
        "client_kwargs": {"region_name": "eu-1"},
    }


@pytest.mark.parametrize(
    ("host", "port", "endpoint"),
    [("store", 9000, "http://store:9000"), ("https://store", None, "https://store"), (None, None, None)],
)
def test_the_host_is_the_endpoint(host: str | None, port: int | None, endpoint: str | None) -> None:
    assert storage_options("s3", "k", "s", host, port).get("endpoint_url") == endpoint


def test_no_login_leaves_it_to_the_environment() -> None:
    assert storage_options("aws", None, None) == {}


def test_other_types_and_half_a_login_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected type aws or s3, got 'http'"):
        storage_options("http", "k", "s")
    with pytest.raises(ConfigurationError, match="both login"):
        storage_options("aws", "k", None)
