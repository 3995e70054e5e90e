import { isIPv6 } from "node:net";

/** The host of a URL: an IPv6 address has brackets there (RFC 3986 §3.2.2). */
export const urlHost = (host: string): string => (isIPv6(host) ? `[${host}]` : host);
