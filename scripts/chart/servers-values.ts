/** Values of the chart chatmail-servers: ChatmailServers and ChatmailFleets by name. */
import { type Kind, kinds } from "../../src/api/kinds.ts";
import { chatmailFleet, chatmailServer } from "../../src/api/names.ts";
import { partOf, specSchema } from "./spec-schema.ts";
import { type JsonSchema, leaf, schemas, type Values } from "./value.ts";

const kindOf = (name: string): Kind => {
  const found = kinds.find(({ kind }) => kind === name);
  if (!found) throw new Error(`no kind ${name}`);
  return found;
};
const server = kindOf(chatmailServer.kind);
const fleet = kindOf(chatmailFleet.kind);

const named = (pattern: string, spec: JsonSchema): JsonSchema => ({
  type: "object",
  propertyNames: { pattern },
  additionalProperties: {
    type: "object",
    additionalProperties: false,
    properties: { labels: schemas.texts, annotations: schemas.texts, spec },
  },
});

/** `defaults` may have what a server's own spec leaves out, so nothing is required of it. */
const { required: _, ...serverSpec } = specSchema(server);

export const serversValues: Values = {
  global: leaf("For charts that have this one as a part.", {}, schemas.object),
  servers: leaf(
    "ChatmailServers by name: labels, annotations, and a spec with at least a domain, such as nine: { spec: { domain: nine.example.org } }.",
    {},
    named("^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$", { ...serverSpec, required: ["domain"] }),
  ),
  fleets: leaf(
    "ChatmailFleets by name: labels, annotations, spec. Servers join by spec.fleetRef.",
    {},
    named("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", specSchema(fleet)),
  ),
  defaults: leaf(
    "What all of these servers have in their specs, unless their own says otherwise. Helm writes it into each; a fleet's defaults stay outside of the specs.",
    {},
    partOf(server, "domain"),
  ),
  keep: leaf(
    "Servers and fleets stay when the release is removed, or when they are no longer in its values: a deletion takes mailboxes and keys with it as spec.storage.reclaimPolicy says. Delete them with kubectl, or set this to false first.",
    true,
    schemas.flag,
  ),
  commonLabels: leaf("On every object of the chart.", {}, schemas.texts),
  extraObjects: leaf(
    "Further objects of the release, such as Secrets that the specs name, as maps or as text. Both may hold templates.",
    [],
    { type: "array", items: { type: ["object", "string"] } },
  ),
};
