# The image that `jobman map --detach` and `jobman queue publish` run in: jobman, and nothing else.
#   docker build -t registry.example.com/jobman:0.1 . && docker push registry.example.com/jobman:0.1
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir --prefix /installed .

FROM python:3.12-slim
COPY --from=build /installed /usr/local
RUN useradd --create-home --uid 10001 jobman
USER 10001
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["jobman"]
