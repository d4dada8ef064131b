"""Who asks, and what they may do; Airflow answers in production."""

from typing import Annotated, Protocol

from fastapi import Depends, HTTPException, Request

from nightglass.collections import NAME_PATTERN

#: A page's script sends it with every write; another site's page cannot without being asked first.
WRITE_HEADER = "X-Nightglass"
_OWN_SITE = frozenset({None, "same-origin", "none"})


class Rights(Protocol):
    """One person, and what they may do."""

    user_name: str

    def may_read(self, collection: str) -> bool:
        """Tell whether they may see the collection: its nightly DAG."""
        ...

    def may_change(self, collection: str) -> bool:
        """Tell whether they may start the collection's nightly DAG; then they may also give verdicts."""
        ...

    def may_start(self, dag_id: str) -> bool:
        """Tell whether they may start a DAG of Airflow, such as ``retrain_<collection>``."""
        ...


def rights_of(request: Request) -> Rights:
    """Return the rights of whoever sent the request; the app's guard put them there."""
    rights: Rights = request.state.rights
    return rights


RightsDep = Annotated[Rights, Depends(rights_of)]


def check_reader(collection: str, rights: RightsDep) -> str:
    """Let only those in who may see the collection of the address.

    Raises:
        HTTPException: 403; also where there is no such collection, so that nobody learns which exist.
    """
    if not NAME_PATTERN.fullmatch(collection) or not rights.may_read(collection):
        raise HTTPException(403, f"expected the right to read nightly_{collection[:63]}, got none")
    return collection


def check_writer(collection: Annotated[str, Depends(check_reader)], rights: RightsDep, request: Request) -> str:
    """Let only those in who may change the collection, and only from these pages.

    Raises:
        HTTPException: 403.
    """
    if not rights.may_change(collection):
        raise HTTPException(403, f"expected the right to start nightly_{collection}, got none")
    # The session's cookie comes along by itself; a header of one's own needs the browser's leave on another site.
    if request.headers.get(WRITE_HEADER) != "1" or request.headers.get("Sec-Fetch-Site") not in _OWN_SITE:
        raise HTTPException(403, f"expected a request of Nightglass's own pages with the header {WRITE_HEADER}: 1")
    return collection


ReadableCollection = Annotated[str, Depends(check_reader)]
WritableCollection = Annotated[str, Depends(check_writer)]
