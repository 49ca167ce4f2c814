# syntax=docker/dockerfile:1
# One image for every process: by itself it runs all of them (`flask up`), else the one that is named
# (`flask worker`). What builds stays in the first stage.

FROM python:3.13-slim-trixie AS build
# pg_dump, pg_restore and psql, for backups of PostgreSQL.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-client-17
WORKDIR /build
RUN python -m venv --without-pip /opt/taskapi
COPY requirements.txt ./
RUN pip --python /opt/taskapi/bin/python install --no-cache-dir --requirement requirements.txt
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY migrations ./migrations
COPY taskapi ./taskapi
# Of the AWS client only S3 is used, and what it asks for a machine's credentials: the rest is most of its size.
RUN pip --python /opt/taskapi/bin/python install --no-cache-dir --no-deps . \
    && find /opt/taskapi/lib/python3.13/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name 'sso*' ! -name signin -exec rm -r {} +

FROM python:3.13-slim-trixie
ARG VERSION=development
LABEL org.opencontainers.image.title="taskapi" \
    org.opencontainers.image.description="Self-hosted task automation API: tasks, schedules, and a ledger of due times" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}"
# tini, as the first process of a container has to bury what others leave, and gets no signal it does not ask for.
# The libraries are those of pg_dump and psql. Debian keeps one version of each for a release, so there is none to pin.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libpq5 libreadline8t64 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin taskapi \
    && install --directory --owner taskapi --group taskapi --mode 0750 /data
COPY --from=build /usr/lib/postgresql/17/bin/pg_dump /usr/lib/postgresql/17/bin/pg_restore \
    /usr/lib/postgresql/17/bin/psql /usr/local/bin/
COPY --from=build /opt/taskapi /opt/taskapi
WORKDIR /app
COPY Procfile wsgi.py ./
ENV PATH=/opt/taskapi/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    DATA_DIR=/data \
    HOST=0.0.0.0
# By number: an orchestrator that refuses root can tell that this is not root.
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of the web process, which `flask up` runs too; a container that runs another one asks for that.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["flask", "healthcheck", "web"]
ENTRYPOINT ["tini", "--"]
CMD ["flask", "up"]
