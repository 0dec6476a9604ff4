# syntax=docker/dockerfile:1
# berth with all it runs, on Debian. Built with `docker build -t berth .` or `buildah bud -t berth .`; neither can run
# on the development machines, so CI does not build it.
#
# A node runs it privileged, in the host's namespaces, with the state shared with the host:
#   podman run --privileged --network=host --pid=host --cgroupns=host \
#     -v /run/berth:/run/berth:rshared -v /var/lib/berth:/var/lib/berth:rshared -v /var/log/pods:/var/log/pods berth

FROM debian:trixie-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates nodejs npm \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --loglevel=error && sha256sum < package-lock.json > node_modules/.berth-lock
COPY hack hack
COPY src src
RUN hack/build \
 && mkdir -p /out/lib/berth/node_modules /out/bin \
 && cp -r dist /out/lib/berth/dist \
 && cp -r node_modules/koffi node_modules/@koromix /out/lib/berth/node_modules/ \
 && cp node_modules/node-linux-*/bin/node /out/lib/berth/node \
 && printf '#!/bin/sh\nexport NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-/var/cache/berth}"\nexec /usr/local/lib/berth/node --enable-source-maps /usr/local/lib/berth/dist/berth.js "$@"\n' > /out/bin/berth \
 && chmod 755 /out/bin/berth

FROM debian:trixie-slim
ENV MALLOC_ARENA_MAX=2
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates crun runc conmon catatonit nftables iproute2 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out /usr/local
COPY manifests/crictl.yaml /etc/crictl.yaml
ENTRYPOINT ["/usr/local/bin/berth"]
CMD ["serve"]
