/** The TLS certificate. */
import { z } from "zod";
import { neededWhen, onlyWhen, withRules } from "../rules.ts";
import { objectName } from "../schema.ts";

export const Certificate = withRules(
  z.object({
    source: z
      .enum(["Auto", "SelfSigned", "Secret"])
      .default("Auto")
      .describe(
        "Where the certificate comes from. Auto: self-signed for _ names and IP addresses; other names need a Secret in this version.",
      ),
    secret: z
      .object({
        name: objectName("name").describe(
          "Name of the Secret. tls.crt: the certificate, then the intermediate certificates, each signed by the next. tls.key: the private key of the certificate.",
        ),
      })
      .optional()
      .describe("The Secret of type kubernetes.io/tls to serve, if source is Secret."),
    caBundle: z
      .object({
        configMapName: objectName("configMapName").describe("Name of the ConfigMap."),
        key: z
          .string()
          .min(1)
          .max(253)
          .regex(/^[-._a-zA-Z0-9]+$/)
          .default("ca.crt")
          .describe("Key in the ConfigMap that holds the certificates in PEM format."),
      })
      .optional()
      .describe(
        "Additional certificate authorities that may have signed the certificate. Only for an organisation in which all clients and relays trust them: others reject such a certificate.",
      ),
  }),
  neededWhen("secret", "source", "Secret"),
  onlyWhen("secret", "source", "Secret", "Auto"),
  onlyWhen("caBundle", "source", "Secret", "Auto"),
).describe("The TLS certificate of the relay.");
