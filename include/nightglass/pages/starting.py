"""What a page needs to start a retraining or a rollback: where Airflow's API is, which DAGs, and whether one may.

The page's script asks Airflow's own API to start the DAG, with the cookie of whoever is signed in. So the right to
start just that DAG is asked for where Airflow asks for it, for every auth manager; the form is checked by the DAG's
own params; Airflow's audit log and the run's ``triggering_user_name``, which the promotion log repeats, say who did;
and Nightglass adds no address that could start a DAG in somebody else's name. Airflow's cookie is ``SameSite=Lax``
and its API takes JSON only, which another site's page cannot send without the browser asking Airflow first.
"""

from dataclasses import dataclass

from fastapi import Request

from nightglass.pages.rights import Rights


@dataclass(frozen=True)
class Starts:
    """Both DAGs of a collection; ``api`` is the path of Airflow's API on the pages' own host."""

    api: str
    retrain: str
    roll_back: str
    may_retrain: bool
    may_roll_back: bool


def find_starts(request: Request, collection: str, rights: Rights) -> Starts:
    """Return what the reader may start; Airflow says the last word when they do."""
    retrain, roll_back = f"retrain_{collection}", f"rollback_{collection}"
    return Starts(
        api=request.app.state.airflow_api,
        retrain=retrain,
        roll_back=roll_back,
        may_retrain=rights.may_start(retrain),
        may_roll_back=rights.may_start(roll_back),
    )
