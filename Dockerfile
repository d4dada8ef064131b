# One image for every service of Airflow and for MLflow. The tag names the release; the digest was not looked up.
FROM python:3.11.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
WORKDIR /opt/nightglass
COPY requirements.txt requirements-stack.txt ./
RUN /opt/venv/bin/pip install -r requirements-stack.txt
COPY requirements.in pyproject.toml README.md LICENSE ./
COPY include/nightglass include/nightglass
RUN /opt/venv/bin/pip install --no-deps -e .

# Nothing that the build stage fetched or compiled with comes along, only what it installed.
FROM python:3.11.13-slim-bookworm
RUN groupadd --gid 10001 nightglass \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin nightglass \
    # A named volume takes owner and content of the folder that it is mounted on.
    && install -d -o nightglass -g nightglass -m 0750 /opt/airflow /var/log/airflow /var/lib/nightglass /var/lib/nightglass/tmp
WORKDIR /opt/nightglass
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/nightglass /opt/nightglass
COPY include/collections include/collections
COPY sql sql
COPY dags dags
COPY plugins plugins
COPY deploy/__init__.py deploy/
COPY deploy/init deploy/init
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    AIRFLOW_HOME=/opt/airflow \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GIT_PYTHON_REFRESH=quiet
USER 10001:10001
