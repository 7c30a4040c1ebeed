# The images of docker-compose.yaml: `airflow` with the code of the recovery plans, and `simulator` for the profile of
# that name. They contain the versions that uv.lock pins and that the tests use. Nothing is installed when a container
# starts.
FROM python:3.11-slim-bookworm AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 50000 --gid 0 --home-dir /opt/airflow --create-home airflow
ENV AIRFLOW_HOME=/opt/airflow \
    PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/airflow/plugins:/opt/airflow/checks \
    PYTHONUNBUFFERED=1
WORKDIR /opt/airflow

FROM base AS packages
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /build
COPY pyproject.toml uv.lock ./
ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_PYTHON=/usr/local/bin/python UV_LINK_MODE=copy UV_NO_CACHE=1
RUN uv sync --frozen --no-install-project --no-dev --extra distributed

FROM packages AS simulator-packages
RUN uv sync --frozen --no-install-project --no-dev --extra distributed --group simulator

FROM base AS simulator
COPY --from=simulator-packages /opt/venv /opt/venv
COPY plugins/ plugins/
COPY simulator/ simulator/
COPY include/ include/
USER airflow

FROM base AS airflow
COPY --from=packages /opt/venv /opt/venv
COPY dags/ dags/
COPY plugins/ plugins/
COPY include/ include/
COPY deploy/compose/ deploy/compose/
# A volume gets the owner of the folder on which it is mounted.
RUN mkdir checks logs evidence && chown -R airflow:0 /opt/airflow
USER airflow
