"""The dialogs of the analyst's pages send what the DAGs' own forms take: a name that one of them lacks is refused."""

import re
from pathlib import Path

import pytest

import nightglass.pages

PAGES = Path(nightglass.pages.__file__).parent


@pytest.mark.parametrize(
    ("dialog", "dag_id", "from_the_button"),
    [("retrain", "retrain_cells", set()), ("roll-back", "rollback_cells", {"version"})],
)
def test_a_dialog_has_the_fields_of_its_dag(parse, write_collections, dialog, dag_id, from_the_button):
    dag = parse(write_collections(cells="images: /data/{night}")).dags[dag_id]
    html = (PAGES / "templates/models_dialogs.html").read_text()
    (form,) = re.findall(rf'<dialog id="{dialog}".*?</dialog>', html, re.DOTALL)
    fields = set(re.findall(r' name="(\w+)"', form)) | from_the_button
    assert fields == set(dag.params)
    script = (PAGES / "static/models.js").read_text()
    assert fields <= {"reason"} | set(re.findall(r"conf\.(\w+) =", script))
    longest = re.search(r'name="reason"[^>]*maxlength="(\d+)"', form)
    assert int(longest[1]) == dag.params.get_param("reason").schema["maxLength"]
