/** The TLS certificate. */
import { z } from "zod";
import { neededWhen, onlyWhen, withRules } from "../rules.ts";
import { objectName } from "../schema.ts";

export const Certificate = withRules(
  z.strictObject({
    source: z
      .enum(["Auto", "SelfSigned", "Secret"])
      .default("Auto")
      .describe(
        "Where the certificate comes from. Auto: self-signed for _ names and IP addresses; for other names give a Secret in this version.",
      ),
    secretName: objectName("secretName")
      .optional()
      .describe(
        "The kubernetes.io/tls Secret to serve when source is Secret: tls.crt has the certificate and then the intermediate ones, each signed by the next; tls.key the key of the first.",
      ),
    caBundle: z
      .strictObject({
        configMapName: objectName("configMapName").describe("The ConfigMap."),
        key: z
          .string()
          .min(1)
          .max(253)
          .regex(/^[-._a-zA-Z0-9]+$/)
          .default("ca.crt")
          .describe("The key in it: certificates in PEM form."),
      })
      .optional()
      .describe(
        "Authorities that a given certificate may lead to, besides those that everybody knows. For an organisation whose clients and relays all know them; others refuse such a certificate.",
      ),
  }),
  neededWhen("secretName", "source", "Secret"),
  onlyWhen("secretName", "source", "Secret"),
  onlyWhen("caBundle", "source", "Secret"),
).describe("The TLS certificate of the relay.");
