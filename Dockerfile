# The image that `jobman map --detach` and `jobman queue publish` run in: jobman, and nothing else.
#   docker build -t registry.example.com/jobman:0.1 . && docker push registry.example.com/jobman:0.1
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY settings settings
COPY jobman jobman
RUN pip install --no-cache-dir --prefix /installed .

FROM ${BASE}
LABEL org.opencontainers.image.title="jobman" \
      org.opencontainers.image.description="Jobs on Kubernetes"
COPY --from=build /installed /usr/local
RUN groupadd --gid 10001 jobman \
 && useradd --uid 10001 --gid 10001 --no-log-init --create-home jobman
# a number, so that a cluster can see that it is not root's; volumes get this group
USER 10001:10001
WORKDIR /home/jobman
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["jobman"]
CMD ["--help"]
