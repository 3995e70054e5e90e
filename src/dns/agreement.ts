/** Whether a name server has what the domain needs. Pure. */
import { parseKeyRecord } from "../dkim/key-record.ts";
import type { CaaIssuer, PublishedType, RecordSet, Values } from "./records.ts";
import { valueText, valueTexts } from "./zone-text.ts";

export type Agreement = "Published" | "Missing" | "Different";

/** `seen`: the values of the set's name and type, as they are. */
export function agreementOf(set: RecordSet, seen: readonly Values[PublishedType][], domain: string): Agreement {
  const values = relevantTo(set, seen, domain);
  if (values.length === 0) return set.values.length === 0 ? "Published" : "Missing";
  if (set.type === "TXT") {
    const [text, ...others] = textsIn(values);
    return text !== undefined && others.length === 0 && saysTheSame(set, text) ? "Published" : "Different";
  }
  const have = new Set(values.map((value) => valueText(set.type as never, value as never)));
  const want = valueTexts(set);
  const has = want.every((text) => have.has(text));
  // each authority and each key is for itself; of all else there may be no others
  const isAlone = set.type === "CAA" || set.type === "TLSA" || have.size === want.length;
  return has && isAlone ? "Published" : "Different";
}

/** Many write TXT records at the name of a domain, and only one of them is for SPF. */
function relevantTo(set: RecordSet, seen: readonly Values[PublishedType][], domain: string) {
  if (set.type !== "TXT" || set.name !== `${domain}.`) return seen;
  return textsIn(seen).filter((text) => /^v=spf1(\s|$)/i.test(text));
}

const textsIn = (values: readonly Values[PublishedType][]) => values.filter((value) => typeof value === "string");

const isDkimKey = ({ name }: RecordSet) => /^[^.]+\._domainkey\./.test(name) && !name.startsWith("_adsp.");

function saysTheSame(set: RecordSet, text: string): boolean {
  const [want = ""] = set.values as readonly string[];
  if (want === text) return true;
  // others may add where else mail leaves from
  if (/^v=spf1\s/i.test(want)) return /\s[+]?(a|mx)(\s|$)/i.test(text);
  if (isDkimKey(set)) {
    const [ours, theirs] = [parseKeyRecord(want), parseKeyRecord(text)];
    return "key" in ours && "key" in theirs && ours.key.key.equals(theirs.key.key) && !theirs.key.testing;
  }
  return tagsOf(want) === tagsOf(text);
}

/** Space around the tags of a list says nothing. */
const tagsOf = (text: string) =>
  text
    .split(";")
    .map((tag) => tag.trim().replace(/\s*=\s*/, "="))
    .filter((tag) => tag !== "")
    .join(";");

/**
 * Whether the CAA records of a name, or of the next one above that has some, let an authority issue
 * (RFC 8659 §4). An account that is named has to be ours (RFC 8657 §3), where ours is known.
 */
export function permitsIssuer(records: readonly Values["CAA"][], issuer: CaaIssuer): boolean {
  const unknown = records.some(({ critical, tag }) => critical && !["issue", "issuewild", "iodef"].includes(tag));
  if (unknown) return false;
  const issue = records.filter(({ tag }) => tag === "issue");
  return issue.length === 0 || issue.some(({ value }) => isFor(value, issuer));
}

function isFor(value: string, { domain, accountURI }: CaaIssuer): boolean {
  const [name = "", ...parameters] = value.split(";").map((each) => each.trim());
  if (name.toLowerCase().replace(/\.$/, "") !== domain.toLowerCase()) return false;
  const accounts = parameters.flatMap((each) => /^accounturi\s*=\s*(.*)$/i.exec(each)?.[1] ?? []);
  if (accounts.length > 1) return false;
  return accounts.length === 0 || accountURI === undefined || accounts[0] === accountURI;
}
