/** Where a server's certificate comes from, once `Auto` is decided. Pure. */
import type { ChatmailServerSpec } from "./chatmail-server.ts";
import { isAddressLiteral, isSelfSignedDomain } from "./domain.ts";

export type CertificateSource = "SelfSigned" | "Secret" | "CertManager" | "ACME";

/** `missing`: what a person has to set first, as one sentence. */
export type ChosenSource = { source: CertificateSource } | { source: "None"; missing: string };

/**
 * Of the resolved spec: what the operator's configuration and the fleet say of the source is in it
 * already, and `Auto` is left where nobody has named one.
 */
export function certificateSource({
  domain,
  certificate: { source, certManager, acme },
}: Pick<ChatmailServerSpec, "domain" | "certificate">): ChosenSource {
  const hasIssuer = certManager?.issuerRef !== undefined;
  const hasAccount = acme?.email !== undefined || acme?.termsOfServiceAgreed === true;
  switch (source) {
    case "SelfSigned":
    case "Secret":
      return { source };
    case "CertManager":
      return hasIssuer ? { source } : none("certificate.source is CertManager: set certificate.certManager.issuerRef");
    case "ACME":
      if (isSelfSignedDomain(domain) && !isAddressLiteral(domain))
        return none(`no authority signs a certificate for ${domain}: set certificate.source to SelfSigned`);
      return hasAccount
        ? { source }
        : none(
            "certificate.source is ACME: set certificate.acme.email, or certificate.acme.termsOfServiceAgreed to true, by which you agree to the authority's terms of service",
          );
    case "Auto":
      if (isSelfSignedDomain(domain)) return { source: "SelfSigned" };
      if (hasIssuer) return { source: "CertManager" };
      if (hasAccount) return { source: "ACME" };
      return none(
        `nothing says where a certificate for ${domain} comes from: set certificate.acme.email to order one from Let's Encrypt, certificate.certManager.issuerRef to use cert-manager, or put one into a Secret of type kubernetes.io/tls and set certificate to source: Secret with its name in secret.name; the operator's configuration (serverDefaults) can say so for all servers`,
      );
  }
}

const none = (missing: string): ChosenSource => ({ source: "None", missing });

/**
 * What a layer of defaults or a spec says of the source, for the servers of a domain: `Auto` leaves
 * it to the next layer, and what a default says of ordinary names is nothing to one that no
 * authority signs.
 */
export function isSourceOf(domain: unknown, source: unknown, isOwn: boolean): boolean {
  if (source === "Auto") return false;
  const isOrdered = source === "ACME" || source === "CertManager";
  return isOwn || !isOrdered || typeof domain !== "string" || !isSelfSignedDomain(domain);
}

/** The host of the ACME server. */
export function authorityOf({ certificate }: Pick<ChatmailServerSpec, "certificate">): string {
  const url = certificate.acme?.directoryURL ?? "";
  return URL.canParse(url) ? new URL(url).host : url;
}
