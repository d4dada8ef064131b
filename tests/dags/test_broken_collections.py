"""A broken collection's file is loud, and alone: its own DAG says what is wrong, the others do not notice."""

import pytest

from nightglass.errors import ConfigurationError

SOUND = "images: /data/{night}"


def nightly(bag) -> set[str]:
    """The DAGs that stand for the files; every sound one has more."""
    return {dag_id for dag_id in bag.dags if dag_id.startswith("nightly_")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imges: /data/{night}", "did you mean 'images'?"),
        ("images: [", "syntax error at line"),
        ("just words", "expected a mapping"),
        ("images: /data", "expected {night}"),
        (SOUND + "\ntimezone: Europe/Atlantis", "IANA time zone"),
        (SOUND + "\nschedule: 0 25 * * *", "expected a cron expression"),
        (SOUND + "\nschedule: '@sometimes'", "expected a cron expression"),
        (SOUND + "\nschedule: 0 0 2 * * *", "of five fields"),
        (SOUND + "\nname: sound", "expected one file a collection"),
    ],
)
def test_a_broken_file_has_a_dag_that_says_so(parse, write_collections, text, message):
    bag = parse(write_collections(sound=SOUND, wrong=text))

    assert bag.import_errors == {}
    assert nightly(bag) == {"nightly_sound", "nightly_wrong"}
    assert "broken" not in bag.dags["nightly_sound"].tags
    broken = bag.dags["nightly_wrong"]
    assert "broken" in broken.tags
    assert message in broken.doc_md
    (task,) = broken.tasks
    with pytest.raises(ConfigurationError) as caught:
        task.python_callable(*task.op_args, **task.op_kwargs)
    assert message in str(caught.value)
    assert "wrong.yaml" in str(caught.value)


def test_a_broken_dag_is_red_every_day(parse, write_collections):
    broken = parse(write_collections(wrong="imges: x")).dags["nightly_wrong"]

    assert broken.timetable.can_be_scheduled
    assert not broken.catchup


def test_broken_files_never_take_the_name_of_a_sound_one(parse, write_collections):
    folder = write_collections(a=SOUND + "\nname: b", b="imges: x")
    (folder / "odd name é.yml").write_text("imges: x")

    bag = parse(folder)

    assert nightly(bag) == {"nightly_b", "nightly_b_", "nightly_odd_name__"}
    assert "broken" not in bag.dags["nightly_b"].tags


def test_a_missing_folder_is_an_import_error(parse, tmp_path):
    bag = parse(tmp_path / "nowhere")

    assert bag.dags == {}
    assert "nowhere: expected the folder" in str(bag.import_errors)


def test_a_name_that_changes_to_a_taken_one_is_caught_in_either_order(parse, write_collections):
    bag = parse(write_collections(a=SOUND + "\nname: z", z=SOUND))

    assert nightly(bag) == {"nightly_z", "nightly_z_"}
    assert "a.yaml too" in bag.dags["nightly_z_"].doc_md
