from pathlib import Path

import pyarrow as pa
import pytest

from nightglass.errors import InputError
from nightglass.images.labels import count_unknown_labels, read_labels
from nightglass.images.manifest import SCHEMA, Manifest


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    return path


def manifest(*paths: str) -> Manifest:
    rows = [{"path": path, "reason": "truncated" if path.startswith("broken") else None} for path in paths]
    return Manifest(pa.Table.from_pylist(rows, schema=SCHEMA), 0, "")


def test_labels_are_read_whatever_the_order_of_the_columns(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, "label,path\ndefect,./a.png\nnormal,b/c.png\n"))
    assert labels == {"a.png": "defect", "b/c.png": "normal"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path\na.png\n", "expected the header path,label, got path"),
        ("", "got an empty file"),
        ("path,label\na.png,broken\n", "line 2: expected the label defect or normal, got 'broken'"),
        ("path,label\na.png\n", "line 2: expected the label defect or normal, got None"),
        ("label,path\ndefect\n", "line 2: expected a path and a label, got no path"),
        ("path,label\na.png,defect\na.png,normal\n", "line 3: expected one label a path"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        read_labels(write(tmp_path, text))


def test_labels_of_no_image_are_counted_and_those_of_quarantined_ones_are_known() -> None:
    assert count_unknown_labels({"a.png": "defect", "gone.png": "normal"}, manifest("a.png"), None) == 1
    assert count_unknown_labels({"broken.png": "defect"}, manifest("a.png", "broken.png"), None) == 0
    assert count_unknown_labels({}, manifest("a.png"), None) == 0


def test_labels_that_are_all_of_no_image_are_refused() -> None:
    with pytest.raises(InputError, match=r"labels.csv: expected paths relative to .* such as 'x/a.png'"):
        count_unknown_labels({"x/a.png": "defect"}, manifest("a.png"), Path("labels.csv"))
