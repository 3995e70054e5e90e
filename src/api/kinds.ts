/**
 * The kinds of this API group: CRDs, reference pages and the operator's rights follow from this
 * table.
 */
import type { z } from "zod";
import { ChatmailFleetSpec, ChatmailFleetStatus } from "./chatmail-fleet.ts";
import { ChatmailServerSpec, ChatmailServerStatus } from "./chatmail-server.ts";
import { apiVersion, chatmailFleet, chatmailServer } from "./names.ts";
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
  /** How its spec is read, in the reference page. */
  about: string;
  /** Groups of the spec that another reference page describes, by the kind of that page. */
  elsewhere?: Readonly<Record<string, string>>;
  /** Whether edits may replace a pod. */
  hasPod: boolean;
  /** The page lists the reasons of all kinds. */
  listsReasons: boolean;
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

/** It is the value of a label. */
const fleetName = {
  rule: "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
  message: "metadata.name must have at most 63 characters: lower-case letters, digits and -",
  says: `The name has at most 63 characters: lower-case letters, digits
and \`-\`.`,
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
      { name: "DNS", type: "string", jsonPath: ".status.dns.required" },
      { name: "Cert-Until", type: "string", jsonPath: ".status.certificate.notAfter" },
      { name: "Version", type: "string", jsonPath: ".status.relay.version" },
      { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
      { name: "Address", type: "string", jsonPath: ".status.addresses[0].value", priority: 1 },
      { name: "Accounts", type: "integer", jsonPath: ".status.accounts", priority: 1 },
      { name: "Invite", type: "string", jsonPath: ".status.invite.link", priority: 1 },
      { name: "Node", type: "string", jsonPath: ".status.relay.node", priority: 1 },
      { name: "Message", type: "string", jsonPath: ofReady("message"), priority: 1 },
    ],
    selectableFields: ["domain", "fleetRef.name"],
    example: `apiVersion: ${apiVersion}
kind: ${chatmailServer.kind}
metadata: { name: nine, namespace: chatmail }
spec:
  domain: nine.example.org
`,
    about: `A field that is left out has the value of the [fleet](chatmailfleet.md) that \`fleetRef\` names, or that of the
operator's configuration (\`serverDefaults\` in the chart), or else the built-in value. Groups of fields are taken together field by field; a
list or a map is taken whole. The API server fills in nothing, so a spec says what a person chose.

An edit takes effect in the running pod within some ten seconds and ends no session, unless the column *Replaces the pod* says otherwise.`,
    hasPod: true,
    listsReasons: true,
  },
  {
    ...chatmailFleet,
    description: "Defaults for many ChatmailServers, and the order in which they are updated.",
    spec: ChatmailFleetSpec,
    status: ChatmailFleetStatus,
    name: fleetName,
    columns: [
      { name: "Servers", type: "integer", jsonPath: ".status.servers.total" },
      { name: "Ready", type: "integer", jsonPath: ".status.servers.ready" },
      { name: "Updated", type: "integer", jsonPath: ".status.servers.updated" },
      { name: "Wave", type: "string", jsonPath: ".status.rollout.wave" },
      { name: "Reason", type: "string", jsonPath: ofReady("reason") },
      { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
      { name: "Message", type: "string", jsonPath: ofReady("message") },
      { name: "Stalled", type: "integer", jsonPath: ".status.servers.stalled", priority: 1 },
      { name: "Paused", type: "integer", jsonPath: ".status.servers.paused", priority: 1 },
      { name: "Waiting", type: "integer", jsonPath: ".status.servers.waiting", priority: 1 },
      { name: "Failed", type: "integer", jsonPath: ".status.servers.failed", priority: 1 },
    ],
    selectableFields: [],
    example: `apiVersion: ${apiVersion}
kind: ${chatmailFleet.kind}
metadata: { name: community, namespace: chatmail }
spec:
  defaults:
    privacy: { mail: admin@example.org }
`,
    about: `The servers of a fleet are those in its namespace whose \`spec.fleetRef.name\` names it, and those that it makes from \`domains\`.
Nothing is written into a server for the sake of \`defaults\`: the operator takes their values where the server's own spec has none, so an edit
of the fleet takes effect in all of its servers as an edit of each would, and what replaces pods waits for its wave.`,
    elsewhere: { defaults: chatmailServer.singular },
    hasPod: false,
    listsReasons: false,
  },
];
