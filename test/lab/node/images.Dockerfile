# The images that a node brings along: one target each, one program each.
ARG BASE
FROM $BASE AS debian
# nft with the libraries it asks for; the helper of local-path-provisioner needs a shell, mkdir and rm
RUN set -e; mkdir -p /nft /helper/bin; \
    cp --parents -L /usr/sbin/nft $(ldd /usr/sbin/nft | grep -o '/[^ ]*') /nft; \
    cp /bin/busybox /helper/bin/; for name in sh mkdir rm chmod; do ln -s busybox /helper/bin/$name; done

FROM scratch AS kube-apiserver
COPY kube-apiserver /usr/local/bin/
FROM scratch AS kube-controller-manager
COPY kube-controller-manager /usr/local/bin/
FROM scratch AS kube-scheduler
COPY kube-scheduler /usr/local/bin/
FROM scratch AS kube-proxy
COPY --from=debian /nft/ /
COPY kube-proxy /usr/local/bin/
FROM scratch AS etcd
COPY etcd /usr/local/bin/
FROM scratch AS coredns
COPY coredns /
ENTRYPOINT ["/coredns"]
FROM scratch AS pause
COPY pause /
ENTRYPOINT ["/pause"]
FROM scratch AS local-path-provisioner
COPY local-path-provisioner /usr/bin/
FROM scratch AS helper
COPY --from=debian /helper/ /
ENV PATH=/bin
