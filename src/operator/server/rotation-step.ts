/** What a rotation of DKIM keys goes by, and what comes next of it. Pure. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { annotations } from "../../api/names.ts";
import { dkimRecord } from "../../dns/records.ts";
import { algorithmOf, type DkimKeys } from "../identity/dkim.ts";
import { presentIn } from "../identity/read.ts";
import { next, type RotationSeen, type SeenRecord, type Step } from "../identity/rotation.ts";
import { isLost } from "./losses.ts";
import type { Seen } from "./seen.ts";

/** Undefined where there are no keys, or others than the status remembers. */
export function rotationStep(server: ChatmailServer, seen: Seen, now: Date): Step | undefined {
  const keys = presentIn(seen.identity.dkim);
  if (!keys || isLost("dkim", server, seen)) return undefined;
  return next(keys.rotation, rotationSeen(server, seen, keys), now);
}

function rotationSeen(server: ChatmailServer, seen: Seen, keys: DkimKeys): RotationSeen {
  const { dns, dkim, domain } = server.spec;
  const { annotations: given = {} } = server.metadata;
  const isUpdated = dns.mode === "RFC2136" || dns.mode === "ExternalDNS";
  return {
    spec: dkim,
    ttlSeconds: dns.ttlSeconds,
    algorithms: keys.keys.filter(({ state }) => state === "Active").map(({ key }) => algorithmOf(key)),
    request: given[annotations.rotateDkim]?.slice(0, 253),
    compromised: (given[annotations.dkimCompromised] ?? "").split(/[\s,]+/).filter((each) => each !== ""),
    publisher: isUpdated ? "operator" : dns.mode === "None" ? "nobody" : "person",
    records: Object.fromEntries(keys.keys.map((each) => [each.selector, seenRecord(domain, each, seen)])),
    asOf: seen.dns?.status?.of.asOf,
    signer: signerOf(domain, seen),
  };
}

function seenRecord(domain: string, key: DkimKeys["keys"][number], { dns }: Seen): SeenRecord {
  const verification = dns?.status?.verification;
  if (!verification) return { at: "unknown" };
  if ("unknown" in verification) return { at: "unknown", says: verification.unknown };
  const { name, type } = dkimRecord({ domain, ...key });
  const is = verification.records.find((each) => each.name === name && each.type === type);
  const [fault] = verification.faults;
  switch (is?.state) {
    // it is about to be verified
    case undefined:
      return { at: "unknown" };
    case "Published":
      return fault === undefined ? { at: "all" } : { at: "answering", says: fault };
    case "Missing":
    case "Different":
    case "NotOurs": {
      const what = is.state === "Missing" ? "is missing" : "is another";
      return { at: "missing", says: `TXT ${name} ${what}${is.at.length > 0 ? ` at ${is.at.join(", ")}` : ""}` };
    }
    case "Unknown":
      return { at: "unknown", ...(fault !== undefined && { says: fault }) };
  }
}

/** Which keys the relay pod signs with. One that starts later has what the Secret says then. */
export function signerOf(domain: string, { pod, relay }: Pick<Seen, "pod" | "relay">): RotationSeen["signer"] {
  if (!pod) return "none";
  return (relay && "report" in relay ? relay.report.signing?.[domain] : undefined) ?? "unknown";
}

/** When a rotation has something to do by the passing of time alone. */
export const rotationDeadline = (server: ChatmailServer, seen: Seen, now: Date): Date | undefined =>
  rotationStep(server, seen, now)?.at;

/** What makes the records be verified once more before a new key signs. */
export function freshLook(server: ChatmailServer, seen: Seen, now: Date): { asOf?: string } {
  const asOf = rotationStep(server, seen, now)?.asOf;
  return asOf === undefined ? {} : { asOf };
}
