/**
 * The reference page of a kind, written from its schema: docs/reference/chatmailserver.md and its
 * like.
 */
import type { Structural } from "./crd.ts";
import { structuralOf, valueText } from "./crd.ts";
import type { Kind } from "./kinds.ts";
import { apiVersion } from "./names.ts";
import { deadlineMs, isAside, isStalled, type Reason, reasons, whoActs } from "./reasons.ts";
import { celKeyword } from "./schema.ts";

interface Field {
  path: string;
  schema: Structural;
  required: boolean;
}

/** Every field below a schema, parents before children. */
function fieldsOf(schema: Structural, path: string): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const here = path ? `${path}.${name}` : name;
    const inner = property.items ?? property;
    return [
      {
        path: property.items ? `${here}[]` : here,
        schema: property,
        required: schema.required?.includes(name) ?? false,
      },
      ...fieldsOf(inner, property.items ? `${here}[]` : here),
    ];
  });
}

function typeOf(schema: Structural): string {
  if (schema["x-kubernetes-int-or-string"]) return "integer, or text";
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema.items) return `list of ${typeOf(schema.items)}`;
  if (schema["x-kubernetes-preserve-unknown-fields"]) return "object, as in Kubernetes";
  if (schema.additionalProperties) return "map of text";
  return schema.type === "string" ? (schema.format ?? "text") : (schema.type ?? "");
}

function defaultOf({ schema, required }: Field): string {
  if (required) return "required";
  if (schema.default === undefined || schema.properties) return "";
  return `\`${valueText(schema.default)}\``;
}

function boundsOf(schema: Structural): string {
  const range = (low: number | undefined, high: number | undefined, unit: string) => {
    if (low === undefined && high === undefined) return [];
    if (low === undefined || (low === 0 && unit !== "")) return high === undefined ? [] : [`up to ${high}${unit}`];
    return [high === undefined ? `from ${low}${unit}` : `${low} to ${high}${unit}`];
  };
  const rules = (schema[celKeyword] ?? []).map((rule) => rule.message);
  const size = schema[celKeyword] ? [] : range(schema.minLength, schema.maxLength, " characters");
  return [
    ...range(schema.minimum, schema.maximum === Number.MAX_SAFE_INTEGER ? undefined : schema.maximum, ""),
    ...size,
    ...range(schema.minItems, schema.maxItems, " items"),
    ...range(undefined, schema.maxProperties, " entries"),
    ...rules,
  ].join("; ");
}

/**
 * Edits that replace the pod, and with it every session: what only a pod's template can hold. All
 * others take effect in the pod that runs. By the field, or the group that it is in; a unit test
 * holds this against the template.
 */
const replacesPod: Readonly<Record<string, string>> = {
  "accounts.invitesSecretName": "yes",
  "messages.maxSize": "past a power of two",
  "website.configMapName": "yes",
  "services.turn": "yes",
  "services.appVersions": "yes",
  "certificate.source": "another Secret",
  "certificate.secret": "yes",
  "network.exposure": "to or from HostPort",
  "network.web.mode": "yes",
  "network.addresses": "with TURN, another first IPv4 address",
  "network.dnssecResolvers": "yes",
  "network.connections.imap": "yes",
  "network.connections.submission": "yes",
  "resources.expiry": "",
  "resources.backup": "",
  resources: "yes",
  scheduling: "yes",
  bootstrap: "yes",
  image: "yes",
  pod: "yes",
};

/** Empty where an edit leaves the pod as it is. */
export function podReplacement(path: string): string {
  const bare = path.replaceAll("[]", "");
  const found = Object.entries(replacesPod).find(([field]) => bare === field || bare.startsWith(`${field}.`));
  return found?.[1] ?? "";
}

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function specTable(schema: Structural, { elsewhere = {}, hasPod }: Pick<Kind, "elsewhere" | "hasPod">): string {
  const isElsewhere = ({ path }: Field) => Object.keys(elsewhere).some((group) => path.startsWith(`${group}.`));
  return table(
    ["Field", "Type", "Built-in value", "Bounds and rules", ...(hasPod ? ["Replaces the pod"] : []), "What it does"],
    fieldsOf(schema, "")
      .filter((field) => !isElsewhere(field))
      .map((field) => [
        `\`${field.path}\``,
        typeOf(field.schema),
        defaultOf(field),
        boundsOf(field.schema),
        ...(hasPod ? [field.schema.properties ? "" : podReplacement(field.path)] : []),
        [field.schema.description, ...fieldPage(elsewhere[field.path])].join(" "),
      ]),
  );
}

const fieldPage = (page: string | undefined) => (page === undefined ? [] : [`[Its fields](${page}.md#spec).`]);

function statusTable(schema: Structural): string {
  return table(
    ["Field", "Type", "What it says"],
    fieldsOf(schema, "").map(({ path, schema: field }) => [`\`${path}\``, typeOf(field), field.description ?? ""]),
  );
}

function stalledText(reason: Reason): string {
  if (isAside(reason)) return "beside";
  if (isStalled(reason)) return "at once";
  const limitMs = deadlineMs(reason);
  return limitMs === undefined ? "" : `after ${limitMs / 60_000} minutes`;
}

/** Where nobody has to act there is nothing to read on. */
const reasonLink = (reason: Reason) =>
  whoActs(reason) ? `[\`${reason}\`](../troubleshooting.md#${reason.toLowerCase()})` : `\`${reason}\``;

const reasonNames = Object.keys(reasons) as Reason[];

/** Of all kinds; one page lists them. */
const reasonsText = (): string => `
## Reasons

The word in \`reason\` of a condition is the same in events and logs. \`Ready\` shows the first thing that is wrong, in the
order in which a person would put it right.

Who must act so that it passes, and how tools that wait for a resource see it ([GitOps](../gitops/README.md)):

- \`moving\`: nobody, the operator or the cluster is at it; \`passing\`: nobody at once, an error outside that is tried again. \`Reconciling\` is
  True until the time in the table is over; from then on \`Stalled\` is True, because it did not pass.
- \`needs edit\`: whoever writes the spec; \`needs person\`: somebody, outside the spec. \`Stalled\` is True at once: time alone will not help.
- *beside*: told in a condition of its own; \`Ready\`, \`Reconciling\` and \`Stalled\` do not follow it.

${table(
  ["Reason", "Meaning", "Who must act", "Stalled"],
  reasonNames.map((reason) => [
    reasonLink(reason),
    reasons[reason].meaning,
    whoActs(reason) ?? "nobody",
    stalledText(reason),
  ]),
)}
`;

export function referenceOf(of: Kind): string {
  const {
    kind,
    shortNames: [short],
    name,
    example,
    spec,
    status,
    about,
    listsReasons,
  } = of;
  return `<!-- Written by npm run generate from src/api; edit there. -->

# ${kind}

\`${apiVersion}\`, namespaced, short name \`${short}\`. The smallest complete one:

\`\`\`yaml
${example}\`\`\`

\`kubectl explain ${short}.spec\` says the same as this page. ${name.says}

## spec

${about}

${specTable(structuralOf(spec), of)}

## status

${statusTable(structuralOf(status))}
${listsReasons ? reasonsText() : "\nReasons of conditions: [all of them](chatmailserver.md#reasons).\n"}`;
}
