# The command line. Runs land in the folder that is mounted:
#   docker build --tag saccade .
#   docker run --rm --volume "$PWD/runs:/work/runs" saccade train
# torch's wheels for Linux bring CUDA with them. For a smaller image without it, name the index that torch's own page
# names for the CPU: --build-arg PIP_EXTRA_INDEX_URL=...
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL=""
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir ".[all]"

WORKDIR /work
ENTRYPOINT ["saccade"]
CMD ["--help"]
