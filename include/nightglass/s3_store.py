"""S3 as s3fs knows it, with a short way for what a night asks for most: one small object after the other.

A request through s3fs costs some 2 ms of a core, nearly half of what decoding and embedding a small photograph costs.
The short way signs with botocore and sends over its kept connections, in less than half of that. What it does not get
is asked of s3fs again, which knows every kind of error, tries again where that helps, and says what is wrong.
"""

import threading
from http import HTTPStatus

import s3fs
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from botocore.utils import get_environ_proxies, percent_encode

__all__ = ["S3Store"]

#: What the short way understands of the client's options.
_KNOWN = frozenset({"endpoint_url", "region_name", "use_ssl", "verify"})
_CONNECTIONS = 32
#: Another try may succeed, or there is no such thing: says nothing about the way.
_NOT_THE_WAY = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})


class S3Store(s3fs.S3FileSystem):  # type: ignore[misc]  # s3fs has no types
    """The file system of one endpoint and one set of credentials."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self._way_lock = threading.Lock()
        self._way: _ShortWay | None = None
        self._is_way_tried = False

    def read_start(self, path: str, max_bytes: int) -> bytes:
        """Return an object ``BUCKET/KEY``, or of a longer one its first ``max_bytes``.

        Raises:
            OSError: As :meth:`cat_file` does, also where S3 refuses to give a range of an empty object.
        """
        way = self._find_way()
        if way is None:
            return bytes(self.cat_file(path, start=0, end=max_bytes))
        status, data = way.get(path, max_bytes)
        if data is not None:
            return data
        data = bytes(self.cat_file(path, start=0, end=max_bytes))
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _NOT_THE_WAY:
            self._way = None  # s3fs was given what was refused here: this store wants to be asked otherwise
        return data

    def _find_way(self) -> "_ShortWay | None":
        if not self._is_way_tried:
            with self._way_lock:
                if not self._is_way_tried:
                    self._way = _ShortWay.of(self)
                    self._is_way_tried = True
        return self._way


class _ShortWay:
    """Signed requests for the start of objects."""

    def __init__(
        self,
        credentials: Credentials | RefreshableCredentials,
        endpoint: str,
        region: str,
        connections: URLLib3Session,
    ) -> None:
        self._credentials, self._region, self._connections = credentials, region, connections
        self._endpoint = endpoint.rstrip("/")

    @classmethod
    def of(cls, store: S3Store) -> "_ShortWay | None":
        """Return the way to a store; None where its options ask for more than this knows."""
        asks_more = store.anon or store.version_aware or store.requester_pays or store.s3_additional_kwargs
        if asks_more or store.kwargs or store.client_kwargs.keys() - _KNOWN:
            return None
        session = Session()
        credentials = Credentials(store.key, store.secret, store.token) if store.key else session.get_credentials()
        client = store.s3  # has found endpoint and region in options, environment and files
        if credentials is None or not client.meta.region_name:
            return None
        verify = store.client_kwargs.get("verify", session.get_config_variable("ca_bundle"))
        config = client.meta.config
        connections = URLLib3Session(
            verify=True if verify is None else verify,
            proxies=get_environ_proxies(client.meta.endpoint_url),
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=_CONNECTIONS,
        )
        return cls(credentials, client.meta.endpoint_url, client.meta.region_name, connections)

    def get(self, path: str, max_bytes: int) -> tuple[int, bytes | None]:
        """Return the answer's status, 0 without one, and the object, None without one."""
        address = f"{self._endpoint}/{percent_encode(path, safe='/~')}"
        request = AWSRequest("GET", address, headers={"Range": f"bytes=0-{max_bytes - 1}"})
        try:
            S3SigV4Auth(self._credentials, "s3", self._region).add_auth(request)
            answer = self._connections.send(request.prepare())
        except BotoCoreError:
            return 0, None
        if answer.status_code not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            return int(answer.status_code), None
        data = bytes(answer.content)
        is_whole = answer.headers.get("Content-Length") == str(len(data))
        return int(answer.status_code), data[:max_bytes] if is_whole else None
