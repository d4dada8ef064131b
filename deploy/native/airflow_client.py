"""Airflow's REST API on the stack, as one of its users."""

from collections.abc import Callable
from pathlib import Path

import httpx

from demo.airflow_processes import Airflow, AirflowError


class StackAirflow(Airflow):
    """The demo's client, signed in at FAB with a user's password.

    Args:
        home: Where the logs of the stack are.
        url: Address of the API server.
        user: Who signs in.
        password: The password.
        check: Raises when a process of the stack has ended.
    """

    def __init__(self, home: Path, url: str, user: str, password: str, check: Callable[[], None]) -> None:
        super().__init__(home, url)
        self._user, self._password, self._check = user, password, check

    @property
    def password(self) -> str:
        """The password that the user signs in with."""
        return self._password

    def log_in(self) -> None:
        """Ask for a token and send it with every later request.

        Raises:
            AirflowError: The API server refuses.
        """
        answer = httpx.post(
            f"{self.url}/auth/token", json={"username": self._user, "password": self._password}, timeout=60
        )
        if answer.is_error:
            raise AirflowError(f"sign-in of {self._user}: expected a token, got {answer.status_code}")
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        self.client.close()
        self.client = httpx.Client(base_url=f"{self.url}/api/v2", headers=headers, timeout=60)

    def check_alive(self) -> None:
        """Raise an error when a process of the stack has ended by itself."""
        self._check()
