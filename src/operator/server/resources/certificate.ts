/** What cert-manager is asked for. */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { isAddressLiteral } from "../../../api/domain.ts";
import { childNames } from "../../../api/names.ts";
import { certificateNames } from "../../../certificates/self-signed.ts";
import { type Certificate, certificates, type IssuerRef } from "../../cert-manager.ts";
import { childMeta } from "./child.ts";

/** The ACME account of the issuer is its own; the Secret belongs to cert-manager. */
export function certManagerCertificate(server: ChatmailServer, issuerRef: IssuerRef): Certificate {
  const { domain, certificate } = server.spec;
  const names = childNames(server.metadata.name);
  const { algorithm = "ECDSA", rotationPolicy = "Never" } = certificate.certManager?.privateKey ?? {};
  const wanted = certificateNames(domain);
  return {
    apiVersion: `${certificates.group}/${certificates.version}`,
    kind: certificates.kind,
    metadata: childMeta(server, names.certificate),
    spec: {
      secretName: names.issuedTlsSecret,
      ...(isAddressLiteral(domain) ? { ipAddresses: wanted } : { dnsNames: wanted }),
      issuerRef: { name: issuerRef.name, kind: issuerRef.kind, group: issuerRef.group },
      usages: ["digital signature", "key encipherment", "server auth"],
      privateKey: { algorithm, size: algorithm === "RSA" ? 2048 : 256, rotationPolicy },
    },
  };
}
