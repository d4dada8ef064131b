"""What the DAG files share: the few lines that know both Airflow and Nightglass."""
