/** The TLS certificate. */
import * as z from "zod";
import { neededWhen, onlyWhen, unusedWhen, withRules } from "../rules.ts";
import { httpsUrl, keyIn, line, objectName, text } from "../schema.ts";

const CertManager = z
  .object({
    issuerRef: z
      .object({
        name: objectName("name").describe("Name of the issuer."),
        kind: text({
          name: "kind",
          pattern: "^[A-Z][A-Za-z0-9]*$",
          says: "the kind of an issuer, such as Issuer or ClusterIssuer",
          maxLength: 63,
        })
          .default("ClusterIssuer")
          .describe("Issuer: one of this namespace. ClusterIssuer: one of the cluster. Others: see group."),
        group: text({
          name: "group",
          pattern: "^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$",
          says: "an API group such as cert-manager.io",
          maxLength: 253,
        })
          .default("cert-manager.io")
          .describe("API group of the issuer."),
      })
      .optional()
      .describe("The issuer that signs the certificate. With source Auto, an issuer here means CertManager."),
    privateKey: z
      .object({
        algorithm: z.enum(["ECDSA", "RSA"]).default("ECDSA").describe("ECDSA: P-256. RSA: 2048 bits."),
        rotationPolicy: z
          .enum(["Never", "Always"])
          .default("Never")
          .describe("Never: a renewed certificate keeps its key, as TLSA records need it. Always: each has a new key."),
      })
      .prefault({})
      .describe("The private key."),
  })
  .describe("How cert-manager is asked for a certificate, if source is CertManager or Auto.");

const ExternalAccount = z
  .object({
    keyID: line({ maxLength: 1024 }).describe("Key identifier, as the authority gives it."),
    secretRef: z
      .object({
        name: objectName("name").describe("Name of the Secret, in the namespace of the ChatmailServer."),
        key: keyIn("secret").describe(
          "Key in the Secret that holds the HMAC key in base64url, as the authority gives it.",
        ),
      })
      .describe("The HMAC key."),
  })
  .describe("Ties the ACME account to an account that you have with the authority (external account binding).");

/** Where a spec names none. */
export const builtInAccountSecret = "chatmail-acme-account";

const Acme = z
  .object({
    directoryURL: httpsUrl("directoryURL")
      .default("https://acme-v02.api.letsencrypt.org/directory")
      .describe("Where the authority's ACME server has its directory."),
    email: text({
      name: "email",
      pattern: "^[^@ \\t\\r\\n,;:<>]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
      says: "one e-mail address",
      maxLength: 254,
    })
      .optional()
      .describe(
        "Address by which the authority reaches you. Who sets it, or termsOfServiceAgreed, agrees to the authority's terms of service; without one of the two no certificate is ordered. With source Auto, one of the two means ACME.",
      ),
    termsOfServiceAgreed: z
      .boolean()
      .optional()
      .describe("true: you agree to the authority's terms of service, without an e-mail address."),
    challenge: z
      .enum(["HTTP01", "DNS01"])
      .default("HTTP01")
      .describe(
        "How the authority verifies the domain. HTTP01: by a request to port 80 of the relay. DNS01: by a TXT record, which needs dns.mode RFC2136.",
      ),
    profile: text({
      name: "profile",
      pattern: "^[A-Za-z0-9_.-]+$",
      says: "a profile of the authority, such as tlsserver or shortlived",
      maxLength: 64,
    })
      .optional()
      .describe("Profile of the certificate, as the directory lists them. Default: the authority's own choice."),
    accountSecretName: objectName("accountSecretName")
      .default(builtInAccountSecret)
      .describe(
        "Secret with the key of the ACME account. The operator creates it where it does not exist; servers that name the same Secret share the account.",
      ),
    externalAccountBinding: ExternalAccount.optional(),
  })
  .describe("How the operator itself orders a certificate (ACME, RFC 8555), if source is ACME or Auto.");

export const Certificate = withRules(
  z.object({
    source: z
      .enum(["Auto", "CertManager", "ACME", "SelfSigned", "Secret"])
      .default("Auto")
      .describe(
        "Where the certificate comes from. Auto: self-signed for _ names and IP addresses; for other names the source of the fleet or of the operator's configuration, else CertManager if there is an issuer (certManager.issuerRef), else ACME if there is an account (acme.email or acme.termsOfServiceAgreed).",
      ),
    secret: z
      .object({
        name: objectName("name").describe(
          "Name of the Secret. tls.crt: the certificate, then the intermediate certificates, each signed by the next. tls.key: the private key of the certificate.",
        ),
      })
      .optional()
      .describe("The Secret of type kubernetes.io/tls to serve, if source is Secret."),
    certManager: CertManager.optional(),
    acme: Acme.optional(),
    caBundle: z
      .object({
        configMapName: objectName("configMapName").describe("Name of the ConfigMap."),
        key: keyIn("ca.crt").describe("Key in the ConfigMap that holds the certificates in PEM format."),
      })
      .optional()
      .describe(
        "Additional certificate authorities that may have signed the certificate, and the ACME server's own. Only for an organisation in which all clients and relays trust them: others reject such a certificate.",
      ),
  }),
  neededWhen("secret", "source", "Secret"),
  onlyWhen("secret", "source", "Secret", "Auto"),
  onlyWhen("certManager", "source", ["CertManager", "Auto"], "Auto"),
  onlyWhen("acme", "source", ["ACME", "Auto"], "Auto"),
  unusedWhen("caBundle", "source", "SelfSigned"),
).describe("The TLS certificate of the relay.");
export type Certificate = z.output<typeof Certificate>;
