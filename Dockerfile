# Another base image with Python 3.11 or later may be named: docker build --build-arg PYTHON_IMAGE=... .
ARG PYTHON_IMAGE=docker.io/library/python:3.12-slim

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
# Where the service listens is told by API_PORT, else by PORT, as Knative and Cloud Run do.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["python", "-P", "-c", "import http.client, os, sys; port = os.environ.get('API_PORT') or os.environ.get('PORT') or 5000; service = http.client.HTTPConnection('127.0.0.1', int(port), timeout=4); service.request('GET', '/healthz'); sys.exit(service.getresponse().status != 200)"]
CMD ["octoflow", "serve"]
