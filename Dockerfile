# syntax=docker/dockerfile:1
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY constraints.txt pyproject.toml README.md ./
RUN python -m venv /opt/octoflow \
    && /opt/octoflow/bin/pip install --constraint constraints.txt setuptools
COPY engine engine
COPY functions functions
# Wheels first: what goes into the environment is what was built, with the versions of constraints.txt and no others.
RUN /opt/octoflow/bin/pip wheel --no-build-isolation --constraint constraints.txt --wheel-dir /wheels '.[postgres,mysql]' \
    && /opt/octoflow/bin/pip install --no-index --find-links /wheels --compile 'octoflow[postgres,mysql]' \
    && /opt/octoflow/bin/pip uninstall --yes pip setuptools

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/octoflow /opt/octoflow
# A number, so that Kubernetes can see that it is not root.
RUN install -d -o 65532 -g 65532 /data
USER 65532:65532
ENV PATH=/opt/octoflow/bin:$PATH \
    DATA_PATH=/data \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# Not /data: what flows write there must never be where Python looks for modules.
WORKDIR /
VOLUME /data
EXPOSE 5000
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["python", "-P", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('API_PORT', '5000')}/healthz\", timeout=4)"]
CMD ["octoflow", "serve"]
