/**
 * How authorities with ACME name themselves in CAA records, by the host of their directory, as
 * their documentation has it. Others are asked for nothing: a CAA record with a wrong name keeps
 * the right authority from issuing.
 */
const byHost: Readonly<Record<string, string>> = {
  "acme-v02.api.letsencrypt.org": "letsencrypt.org",
  "acme-staging-v02.api.letsencrypt.org": "letsencrypt.org",
  "acme.zerossl.com": "sectigo.com",
  "dv.acme-v02.api.pki.goog": "pki.goog",
  "acme.ssl.com": "ssl.com",
};

export function caaDomainOf(directoryURL: string): string | undefined {
  return URL.canParse(directoryURL) ? byHost[new URL(directoryURL).hostname] : undefined;
}
