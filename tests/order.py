"""Which tests one worker runs together, and what begins first, where pytest-xdist shares them out among workers.

A worker makes its own session and module fixtures. So a file is one worker's, and so are all files of the shared
Airflow and all of the story of a retraining. (The mark ``xdist_group`` does nothing under pytest 9.2: xdist 3.8 writes
the group into a name that pytest no longer reads.)
"""

import pytest
from xdist.scheduler import LoadFileScheduling

#: Groups of files by the fixture that they share.
_AIRFLOW = ("alerts", "backfill", "browser", "nights", "pages", "retraining", "shadow")
_STORY = ("kills", "shadow", "shadow_kills", "story")
SHARED = {f"tests/e2e/test_{name}.py": "airflow" for name in _AIRFLOW} | {
    f"tests/integration/retraining/test_{name}.py": "story" for name in _STORY
}
#: The longest first, as one worker would else be left with one of them when the other has done everything else.
FIRST = ("airflow", "tests/e2e/test_demo_story.py", "story")


def group_of(nodeid: str) -> str:
    """Return the group of a test: that of its file, else the file."""
    file = nodeid.partition("::")[0]
    return SHARED.get(file, file)


class SharedServers(LoadFileScheduling):
    """Gives a worker whole groups of files."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> SharedServers:
    """Share the tests out by group; a hook of pytest-xdist."""
    return SharedServers(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest groups first."""

    def rank(item: pytest.Item) -> int:
        group = group_of(item.nodeid)
        return FIRST.index(group) if group in FIRST else len(FIRST)

    items.sort(key=rank)
