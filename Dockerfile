# The two images of Chatmail Operator. The build context is what scripts/build.ts leaves in dist/,
# and image/.
#   npm run images            builds both, with Docker or without
#   docker build --target relay -t chatmail-relay:dev .
# Source maps lie beside the bundles and are not loaded: that would take 37 MB at rest. To read a
# stack trace with them: NODE_OPTIONS=--enable-source-maps.
# The base is pinned by digest, so that the same commit starts from the same bytes (the index of all
# architectures, as Docker Hub had it for debian:trixie-slim in October 2026). Newer: docker buildx
# imagetools inspect debian:trixie-slim
ARG BASE=debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f

# For another processor than that of the machine that builds: what compilers run on there, so that they are not
# emulated, and the processor's name
ARG TOOLS=${BASE}
ARG PROCESSOR

# --- the shims and the plugin for Dovecot and Postfix, the addons of node, libraries in the place of unused ones,
# Lua that a linter has seen, and node without its symbols
FROM ${TOOLS} AS tools
ARG PROCESSOR
RUN own=$(dpkg --print-architecture) && arch=${PROCESSOR:-$own} \
 && case $arch in amd64) machine=x86_64 ;; arm64) machine=aarch64 ;; *) echo "no compiler is known for $arch" >&2; exit 1 ;; esac \
 && mkdir /build && echo "$machine-linux-gnu" > /build/machine \
 && if [ "$arch" != "$own" ]; then dpkg --add-architecture "$arch"; fi \
 && apt-get update --error-on=any \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      "gcc-$(tr _ - < /build/machine)" binutils libc6-dev:$arch libcrypt-dev:$arch lua-check \
 # its headers alone: the package depends on Dovecot
 && cd /tmp && apt-get download -o APT::Sandbox::User=root dovecot-dev:$arch && dpkg-deb -x dovecot-dev_*.deb /build/dovecot && rm dovecot-dev_*.deb \
 # which ICU it is that Dovecot links
 && apt-cache depends dovecot-core:$arch | sed -n 's/.*Depends: libicu\([0-9]*\).*/\1/p' > /build/icu-version \
 && rm -rf /var/lib/apt/lists/*
COPY image/nodelay.c image/no-nagle.c image/close-in-background.c image/unused-libraries /build/
RUN compile="$(cat /build/machine)-gcc -O2 -Wall -Wextra -Werror -shared -fPIC -Wl,-z,relro,-z,now" \
 && for name in nodelay no-nagle close-in-background; do $compile -o /build/$name.so /build/$name.c || exit 1; done \
 && icu=$(cat /build/icu-version) && test -n "$icu" \
 && CC=$(cat /build/machine)-gcc sh /build/unused-libraries /build/unused "$icu"
COPY image/crypt.c image/trim.c /build/
COPY dist/node-api /build/node-api
# what it takes from node is found when node loads it
RUN compile="$(cat /build/machine)-gcc -O2 -Wall -Wextra -Werror -shared -fPIC -Wl,-z,relro,-z,now -I/build/node-api" \
 && $compile -o /build/crypt.node /build/crypt.c -lcrypt \
 && $compile -o /build/trim.node /build/trim.c
# what it takes from Dovecot is found when Dovecot loads it
COPY image/delivered.c /build/
RUN $(cat /build/machine)-gcc -O2 -Wall -Wextra -Werror -shared -fPIC -Wl,-z,relro,-z,now -DHAVE_CONFIG_H \
      -isystem /build/dovecot/usr/include/dovecot -include config.h -o /build/lib25_delivered_plugin.so /build/delivered.c
COPY image/auth.lua image/luacheckrc /build/lua/
RUN luacheck --no-color --config /build/lua/luacheckrc /build/lua/auth.lua
COPY dist/node /build/node
RUN $(cat /build/machine)-strip --strip-unneeded /build/node

# --- Debian with its fixes. No program has a setuid or setgid bit: containers run with no_new_privs,
# where these bits mean nothing
FROM ${BASE} AS debian
RUN printf 'path-exclude=/usr/share/%s/*\n' doc man info locale lintian bash-completion > /etc/dpkg/dpkg.cfg.d/lean \
 # licences stay with what they are about
 && echo 'path-include=/usr/share/doc/*/copyright' >> /etc/dpkg/dpkg.cfg.d/lean \
 && apt-get update --error-on=any \
 && DEBIAN_FRONTEND=noninteractive apt-get upgrade -y \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/*

# --- the layer that both images share, so that a small machine pulls it once
FROM scratch AS node
COPY --from=tools /build/node /usr/local/bin/node
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

FROM debian AS operator-root
COPY image/least-of-node /build/
COPY --from=tools /build/node /build/node
RUN sh /build/least-of-node /build/node /least

# --- nothing but node: no shell, no packages
FROM node AS operator
COPY --from=operator-root /least /
COPY dist/package.json dist/operator.js* /opt/chatmail/
COPY --from=tools /build/trim.node /opt/chatmail/
COPY dist/licences.txt /usr/share/doc/chatmail-operator/
USER 65532:65532
# one malloc arena for all threads: 8 MiB less after a cold start of 150 servers, and no more CPU
# time
ENV MALLOC_ARENA_MAX=1
# young objects get 4 MB: after a restart over 200 servers 93 MiB (PSS) instead of 174, and no more
# CPU time the heap may grow by two fifths between collections, not to four times what is in use:
# 158 MiB with 1,000 servers instead of 236, and no more CPU time (decision 0014); at rest garbage
# is collected (decision 0060)
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=4", "--heap-growing-percent=40", "--expose-gc", "/opt/chatmail/operator.js"]

FROM debian AS relay-root
# fixed numbers, made before the packages would take their own: files on the volume belong to them
RUN groupadd --gid 5000 vmail \
 && useradd --uid 5000 --gid 5000 --no-create-home --home-dir /var/lib/chatmail --shell /usr/sbin/nologin vmail \
 && groupadd --gid 5001 postfix \
 && groupadd --gid 5002 postdrop \
 && useradd --uid 5001 --gid 5001 --no-create-home --home-dir /var/spool/postfix --shell /usr/sbin/nologin postfix
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
 && apt-get update --error-on=any \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      postfix dovecot-core dovecot-imapd dovecot-lmtpd dovecot-auth-lua nginx libnginx-mod-stream coturn \
 # our configuration has max_headers, which Debian's nginx knows since it limits them: an older one
 # ends the build here, and not each pod
 && echo 'events {} http { max_headers 1100; }' > /tmp/nginx.conf && nginx -t -q -c /tmp/nginx.conf && rm /tmp/nginx.conf \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/* /usr/sbin/policy-rc.d \
      /etc/turnserver.conf /var/lib/turn /etc/dovecot /etc/postfix/main.cf /etc/postfix/master.cf /etc/nginx/sites-enabled /var/www /etc/ssl/private/* \
      /var/spool/postfix/* /var/lib/postfix/*
COPY image/postfix-main.cf /etc/postfix/main.cf
# nothing is chrooted, so nothing is copied into the queue
RUN touch /etc/postfix/master.cf && echo 'SYNC_CHROOT=' > /etc/default/postfix \
 && mkdir -p /etc/chatmail/postfix /etc/chatmail/dovecot /etc/chatmail/web /etc/chatmail/plan /etc/chatmail/tls \
      /srv/chatmail/pages /run/chatmail /run/dovecot /var/lib/chatmail/mail /var/lib/chatmail/plan
COPY image/slim /build/
COPY --from=tools /build/unused /build/unused
RUN bash /build/slim /build/unused && rm -rf /build /tmp/*

# --- Postfix, Dovecot, nginx and coturn with what they need (decision 0049)
FROM node AS relay
COPY --from=relay-root / /
COPY image/run-quietly image/redact.sed image/prepare-volume image/start-dovecot image/start-login image/start-postfix image/start-turn image/with-plan /opt/chatmail/
COPY --from=tools /build/nodelay.so /build/no-nagle.so /build/close-in-background.so /build/crypt.node /build/trim.node /build/lua/auth.lua /opt/chatmail/
COPY --from=tools /build/lib25_delivered_plugin.so /usr/lib/dovecot/modules/
COPY dist/package.json dist/relay*.js* dist/expire.js* dist/users.js* dist/import.js* dist/move.js* dist/backup.js* dist/render.js* /opt/chatmail/
COPY dist/licences.txt /usr/share/doc/chatmail-operator/
USER 5000:5000
ENTRYPOINT ["/usr/local/bin/node", "/opt/chatmail/relay.js"]
