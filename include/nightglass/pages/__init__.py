"""The analyst's pages: a FastAPI app that Airflow's UI shows; who may see what comes from whoever mounts it."""
