import type { ChatmailServer, ChatmailServerStatus } from "../../../api/chatmail-server.ts";
import { dkimFingerprint, type PublicDkimKey } from "../../../dns/dkim-key.ts";
import { type DnsRecord, dkimRecord, recordsOf } from "../../../dns/records.ts";
import { presentIn } from "../../identity/read.ts";
import { addressesOf, bySide } from "../addresses.ts";
import { isAccepted, isLost, isToStay } from "../losses.ts";
import type { Seen } from "../seen.ts";

/** A key that is not yet in the cluster is not for the DNS. */
export function recordsIn(server: ChatmailServer, seen: Seen): Pick<ChatmailServerStatus, "dkim" | "dns"> {
  const { domain } = server.spec;
  const found = seen.identity.dkim;
  const isUnknown = found !== undefined && found.state !== "present" && !isAccepted("dkim", server);
  // what is published is the record of the key that was; also a Secret that is broken is not
  // forgotten
  if (isLost("dkim", server, seen) || (isUnknown && server.status?.dkim)) {
    const { dkim, dns } = server.status ?? {};
    return { ...(dkim && { dkim }), ...(dns && { dns }) };
  }
  const published = presentIn(found)?.published ?? [];
  const stays = found?.state === "present" && isToStay(server, found.secret);
  const addresses = bySide(server, addressesOf(server, seen)).outside.map(({ value }) => value);
  const records = recordSets(recordsOf({ domain, addresses, keys: published }));
  const keys = published.map(({ selector, key }) => {
    const { name, value } = dkimRecord({ domain, selector, key });
    const fingerprint = stays ? { fingerprint: dkimFingerprint(key) } : {};
    return { selector, algorithm: keyAlgorithms[key.type], ...fingerprint, record: { name, value } };
  });
  return { ...(keys.length > 0 && { dkim: { keys } }), ...(records.length > 0 && { dns: { records } }) };
}

const keyAlgorithms = { rsa: "RSA", ed25519: "Ed25519" } as const satisfies Record<PublicDkimKey["type"], string>;

/** All values of one name and type together, as the DNS has them. */
function recordSets(records: readonly DnsRecord[]): NonNullable<NonNullable<ChatmailServerStatus["dns"]>["records"]> {
  const sets = Map.groupBy(records, ({ name, type }) => `${name} ${type}`);
  return [...sets.values()].flatMap((set) =>
    set.slice(0, 1).map(({ name, type }) => ({
      name,
      type,
      values: set.map(({ value }) => value),
      need: set.some(({ required }) => required) ? ("Required" as const) : ("Recommended" as const),
    })),
  );
}
