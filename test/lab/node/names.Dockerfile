# The lab's name server where Docker reaches Debian's mirrors; a bare machine starts it from the node image's own Debian.
ARG BASE
FROM $BASE
RUN apt-get update && apt-get install -y --no-install-recommends bind9 bind9-utils iproute2 && rm -rf /var/lib/apt/lists/*
