/** MTA-STS (RFC 8461): what a domain says about the certificates of its mail servers. */
import { trimSpace } from "../../lib/text.ts";

export interface StsPolicy {
  id: string;
  mode: "enforce" | "testing" | "none";
  /** Host names, or `*.` and a name: one label more. Lower-case. */
  mx: readonly string[];
  /** When it ends, in milliseconds since 1970. */
  until: number;
}

/** RFC 8461 §3.2: about a year. */
const mostSeconds = 31_557_600;
/**
 * More than a policy needs (the largest that is known has some 20 names): as a Postfix answer, and
 * for 10,000 domains, it must stay small.
 */
const mostPatternBytes = 2048;

/** The id of the one `_mta-sts` record; undefined where there is none, or more than one. */
export function stsId(texts: readonly string[]): string | undefined {
  const records = texts.filter((text) => /^v=STSv1[ \t]*;/.test(text));
  const [record] = records;
  if (record === undefined || records.length > 1) return undefined;
  return /;[ \t]*id=([A-Za-z0-9]{1,32})[ \t]*(?:;|$)/.exec(record)?.[1];
}

/** Undefined for a text that is no valid policy. */
export function parseStsPolicy(text: string, id: string, now: number): StsPolicy | undefined {
  const pairs = text.split(/\r?\n/).flatMap((line): [string, string][] => {
    const colon = line.indexOf(":");
    return colon > 0 ? [[trimSpace(line.slice(0, colon)), trimSpace(line.slice(colon + 1))]] : [];
  });
  // RFC 8461 §3.2: of repeated fields other than mx, the first counts
  const first = (name: string) => pairs.find(([key]) => key === name)?.[1];
  const mode = first("mode");
  const age = first("max_age") ?? "";
  if (first("version") !== "STSv1" || !/^[0-9]{1,10}$/.test(age)) return undefined;
  if (mode !== "enforce" && mode !== "testing" && mode !== "none") return undefined;
  const mx = pairs.filter(([key]) => key === "mx").map(([, value]) => value.toLowerCase());
  if (!mx.every(isPattern) || mx.join().length > mostPatternBytes || (mx.length === 0 && mode !== "none"))
    return undefined;
  return { id, mode, mx, until: now + Math.min(Number(age), mostSeconds) * 1000 };
}

const isPattern = (text: string) => text.length <= 253 && /^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)+$/.test(text);

/** Whether the policy lets mail go to this MX host (RFC 8461 §4.1). */
export function stsAllows(policy: StsPolicy | undefined, host: string, now: number): boolean {
  if (policy?.mode !== "enforce" || policy.until <= now) return true;
  const above = host.slice(host.indexOf(".") + 1);
  return policy.mx.some((pattern) => (pattern.startsWith("*.") ? pattern.slice(2) === above : pattern === host));
}
