/**
 * The kinds of this API group: CRDs, reference pages and the operator's rights follow from this
 * table.
 */
import type { z } from "zod";
import { ChatmailServerSpec, ChatmailServerStatus } from "./chatmail-server.ts";
import { apiVersion, chatmailServer } from "./names.ts";
import type { CelRule } from "./schema.ts";

export interface PrinterColumn {
  name: string;
  type: "string" | "integer" | "date";
  jsonPath: string;
  /** Only shown with `-o wide`. */
  priority?: 1;
}

export interface Kind {
  kind: string;
  plural: string;
  singular: string;
  /** At least one: the reference page names it. */
  shortNames: readonly [string, ...string[]];
  description: string;
  spec: z.ZodType;
  status: z.ZodType;
  /** What a name may be, as a rule of the API server and as a sentence of the reference page. */
  name: CelRule & { says: string };
  columns: readonly PrinterColumn[];
  /**
   * Fields of the spec by which objects can be selected: `kubectl get --field-selector
   * spec.domain=…`.
   */
  selectableFields: readonly string[];
  /** The smallest complete one, as a person writes it. */
  example: string;
}

/**
 * Owned objects carry the name with endings such as -config-5d8f; a Service's name must be a DNS
 * label.
 */
const serverName = {
  rule: "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')",
  message:
    "metadata.name must have at most 40 characters: lower-case letters, digits and -, beginning with a letter: children are named after it",
  says: `The name has at most 40 characters: lower-case letters, digits
and \`-\`, beginning with a letter.`,
};

const ofReady = (field: string) => `.status.conditions[?(@.type=="Ready")].${field}`;

export const kinds: readonly Kind[] = [
  {
    ...chatmailServer,
    description: "A chatmail relay: a minimal e-mail server for Delta Chat, for one domain.",
    spec: ChatmailServerSpec,
    status: ChatmailServerStatus,
    name: serverName,
    columns: [
      { name: "Domain", type: "string", jsonPath: ".spec.domain" },
      { name: "Ready", type: "string", jsonPath: ofReady("status") },
      { name: "Reason", type: "string", jsonPath: ofReady("reason") },
      { name: "Cert-Until", type: "string", jsonPath: ".status.certificate.notAfter" },
      { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
      { name: "Address", type: "string", jsonPath: ".status.addresses[0].value", priority: 1 },
      { name: "Invite", type: "string", jsonPath: ".status.invite.link", priority: 1 },
      { name: "Message", type: "string", jsonPath: ofReady("message"), priority: 1 },
    ],
    selectableFields: ["domain"],
    example: `apiVersion: ${apiVersion}
kind: ${chatmailServer.kind}
metadata: { name: nine, namespace: chatmail }
spec:
  domain: nine.example.org
`,
  },
];
