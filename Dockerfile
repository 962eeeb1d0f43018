# The server on a plain Python image; with --target demo also the simulator, for trying out.
# For production name the base by digest: --build-arg BASE=docker.io/library/python@sha256:…
# No "# syntax=" line: it would pull another image, and nothing here needs one.
ARG BASE=docker.io/library/python:3.12-slim

# ---- builder: two environments, of which only /opt/venv is kept ----
FROM ${BASE} AS builder
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/tools && python -m venv --without-pip /opt/venv

# Only wheels, so that no compiler is needed; only known hashes, so that no other package gets in.
# LOCK=otel brings the extra `otel` as well, for traces; the image has it only where somebody asks for it.
ARG LOCK=run
COPY requirements/build.txt requirements/${LOCK}.txt requirements/
RUN /opt/tools/bin/pip install --only-binary :all: --require-hashes --no-deps -r requirements/build.txt \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-compile \
        --only-binary :all: --require-hashes --no-deps -r requirements/${LOCK}.txt

COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/tools/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels . \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-compile --no-deps --no-index /wheels/*.whl \
    # The root file system is read-only later: what is not compiled now would be compiled at every start.
    && /opt/venv/bin/python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

# ---- demo-builder: the same, and the simulator ----
FROM builder AS demo-builder
COPY simulator/requirements/run.txt simulator/requirements/
RUN /opt/tools/bin/pip --python /opt/venv/bin/python install --no-compile \
        --only-binary :all: --require-hashes --no-deps -r simulator/requirements/run.txt
COPY simulator simulator
RUN /opt/tools/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels/demo ./simulator \
    && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-compile --no-deps --no-index /wheels/demo/*.whl \
    && /opt/venv/bin/python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

# ---- production: the server ----
FROM ${BASE} AS production
RUN groupadd --gid 10001 m365 \
    && useradd --no-log-init --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin m365 \
    # Volumes mounted here belong to the user from the start: the store on disk, or the demo's certificates.
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/m365-mcp
COPY --from=builder /opt/venv /opt/venv
COPY --chmod=0755 deploy/probe.py /usr/local/bin/probe
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MCP_DATA_DIR=/var/lib/m365-mcp
# Official Python images come without bytecode of the standard library. Importing once compiles the part we use,
# and shows that everything can be imported.
RUN python -c "import m365_mcp.app, m365_mcp.cli, http.client"
ENV PYTHONDONTWRITEBYTECODE=1

USER 10001:10001
WORKDIR /
EXPOSE 8000 9090
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=3 CMD ["probe", "/livez"]
# The server is PID 1 and hears SIGTERM itself: it takes no new connection, gives calls in flight up to 45 seconds,
# and exits with 0 (143 under an init process). Exit code 2: the settings are wrong, and standard error says how.
# So give it more than 45 seconds to stop: docker stop --time 55.
ENTRYPOINT ["m365-mcp"]
CMD ["serve"]

# Last, because they change with every build.
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=https://example.com/m365-mcp-server
LABEL org.opencontainers.image.title="M365 MCP Server" \
      org.opencontainers.image.description="A remote MCP server that sends mail as the signed-in person, through Microsoft Graph." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# ---- demo: the server and the simulator, which lets anyone sign in as anyone; for trying out only ----
FROM production AS demo
USER 0:0
COPY --from=demo-builder /opt/venv /opt/venv
# As above, for the part of the standard library that the simulator uses.
RUN PYTHONDONTWRITEBYTECODE="" python -c "import m365_simulator.run"
USER 10001:10001
LABEL org.opencontainers.image.title="M365 MCP Server with simulator" \
      org.opencontainers.image.description="For trying out: the server, and a simulator of Entra ID and Microsoft Graph."

# ---- what is built when no target is named ----
FROM production
