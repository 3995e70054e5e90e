/**
 * Debian packages that tests use beside what is in the images: a browser with letters as most
 * phones show them, other people's DKIM, a proxy, and mail clients. Installed before a suite
 * starts: in the lab's network no mirror can be reached.
 */
export const browserPackages = ["chromium", "fonts-noto-core"] as const;
export const dkimPackages = ["opendkim", "python3-dkim", "python3-nacl"] as const;
export const edgePackages = ["haproxy"] as const;
export const mailClientPackages = ["curl", "swaks", "libnet-ssleay-perl", "msmtp", "python3", "openssl"] as const;
export const nameServerPackages = ["bind9", "bind9-utils", "knot"] as const;
export const prometheusPackages = ["prometheus"] as const;
