/**
 * Records as text: as they stand in a zone file (RFC 1035 §5.1), and as the forms of registrars
 * want them. Pure.
 */
import type { Need, PublishedType, RecordSet, ReverseName, Values } from "./records.ts";

/** As in a zone file. */
export function valueText<Type extends PublishedType>(type: Type, value: Values[Type]): string {
  return texts[type](value);
}

/** The values of a set, each as in a zone file. */
export const valueTexts = ({ type, values }: RecordSet): string[] =>
  (values as readonly Values[typeof type][]).map((value) => valueText(type, value));

/** The same where a form asks for the text of a TXT record: one string, without quotes. */
const formTexts = (set: RecordSet): string[] => (set.type === "TXT" ? [...set.values] : valueTexts(set));

const texts: { [Type in PublishedType]: (value: Values[Type]) => string } = {
  A: (address) => address,
  AAAA: (address) => address,
  CNAME: (host) => host,
  MX: ({ preference, host }) => `${preference} ${host}`,
  TXT: (text) => stringsOf(text).map(quoted).join(" "),
  SRV: ({ priority, weight, port, host }) => `${priority} ${weight} ${port} ${host}`,
  CAA: ({ critical, tag, value }) => `${critical ? 128 : 0} ${tag} ${quoted(value)}`,
  TLSA: ({ usage, selector, matching, data }) => `${usage} ${selector} ${matching} ${data}`,
};

/** Strings of a TXT record have 255 octets at most; readers put them together again. */
export const stringsOf = (text: string): string[] => text.match(/.{1,255}/gs) ?? [""];

const quoted = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;

export interface ZoneContents {
  domain: string;
  sets: readonly RecordSet[];
  reverse: readonly ReverseName[];
  ttlSeconds: number;
}

const headings: Readonly<Record<Need, string>> = {
  Required: "Required: without these mail is not delivered, or other servers refuse it",
  Recommended: "Recommended",
};

/** For a zone file or a provider that imports one. */
export function zoneText({ domain, sets, reverse, ttlSeconds }: ZoneContents): string {
  const width = Math.max(0, ...sets.map(({ name }) => name.length));
  const linesOf = (set: RecordSet) =>
    valueTexts(set).map((value) => `${set.name.padEnd(width)} ${ttlSeconds} IN ${set.type.padEnd(5)} ${value}`);
  const section = (need: Need) => {
    const lines = sets.filter((set) => set.need === need).flatMap(linesOf);
    return lines.length > 0 ? ["", `; ${headings[need]}`, ...lines] : [];
  };
  const wishes = reverse.map(({ name, want }) => `; ${name} IN PTR ${want}`);
  return `${[
    `; DNS records of ${domain}`,
    ...section("Required"),
    ...section("Recommended"),
    ...(wishes.length > 0 ? ["", `; ${ofTheNetwork}`, ...wishes] : []),
  ].join("\n")}\n`;
}

/** To copy into the form of a registrar, one field a line. */
export function formText({ domain, sets, reverse, ttlSeconds }: ZoneContents): string {
  const blocks = sets.flatMap((set) =>
    formTexts(set).map((value) => block({ name: set.name, type: set.type, value, ttl: String(ttlSeconds) })),
  );
  const wishes = reverse.map(({ name, want }) => block({ name, type: "PTR", value: want }));
  const intro = `DNS records of ${domain}. Some forms want the name without the zone's own, and without the dot at its end.`;
  return `${[intro, ...blocks, ...(wishes.length > 0 ? [`${ofTheNetwork}:`, ...wishes] : [])].join("\n\n")}\n`;
}

const ofTheNetwork = "Wished for: whoever provides the address sets its reverse name";

const block = (fields: Readonly<Record<string, string>>) =>
  Object.entries(fields)
    .map(([field, value]) => `${`${field}:`.padEnd(7)}${value}`)
    .join("\n");
