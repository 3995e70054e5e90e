import type { ChatmailServer, ChatmailServerStatus } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import { dkimFingerprint, type PublicDkimKey } from "../../../dns/dkim-key.ts";
import { dkimRecord } from "../../../dns/records.ts";
import { valueTexts } from "../../../dns/zone-text.ts";
import { presentIn } from "../../identity/read.ts";
import { domainRecords } from "../domain-records.ts";
import { isToStay } from "../losses.ts";
import type { Seen, SeenDns } from "../seen.ts";
import { knownSets, publishedOf } from "./dns.ts";

/** A key that is not yet in the cluster is not for the DNS. `now`: as Kubernetes writes times. */
export function recordsIn(server: ChatmailServer, seen: Seen, now: string): Pick<ChatmailServerStatus, "dkim" | "dns"> {
  const wanted = domainRecords(server, seen);
  if (!wanted) {
    const { dkim, dns } = server.status ?? {};
    return { ...(dkim && { dkim }), ...(dns && { dns }) };
  }
  const { domain } = server.spec;
  const found = seen.identity.dkim;
  const stays = found?.state === "present" && isToStay(server, found.secret);
  const keys = (presentIn(found)?.published ?? []).map(({ selector, key }) => {
    const set = dkimRecord({ domain, selector, key });
    const fingerprint = stays ? { fingerprint: dkimFingerprint(key) } : {};
    const record = { name: set.name, value: valueTexts(set).join() };
    return { selector, algorithm: keyAlgorithms[key.type], ...fingerprint, record };
  });
  const { dns: seenDns } = seen;
  const known = knownSets(server, seen);
  const states = new Map(known?.map((set) => [`${set.name} ${set.type}`, set]));
  const before = new Map(server.status?.dns?.records?.map((each) => [`${each.name} ${each.type}`, each]));
  const unwanted = (known ?? []).filter(
    ({ name, type }) => !wanted.sets.some((set) => set.name === name && set.type === type),
  );
  const texts = [
    ...wanted.sets.map((set) => ({ name: set.name, type: set.type, values: valueTexts(set), need: set.need })),
    ...unwanted.map(({ name, type, need }) => ({ name, type, values: [], need })),
  ];
  const records = texts.map((each) => {
    const is = states.get(`${each.name} ${each.type}`);
    if (!is) return each;
    const was = before.get(`${each.name} ${each.type}`);
    const since = was?.state === is.state && was.since !== undefined ? was.since : now;
    const seenTexts = is.seen.slice(0, 16).map((text) => text.slice(0, 2_000));
    return {
      ...each,
      state: is.state,
      ...(seenTexts.length > 0 && { seen: seenTexts }),
      ...(is.at.length > 0 && { at: is.at.slice(0, 16) }),
      since,
    };
  });
  const zone = seenDns && zoneStatus(server, seenDns);
  const configMapName = seen.dnsConfigMap && childNames(server.metadata.name).dnsConfigMap;
  return {
    ...(keys.length > 0 && { dkim: { keys } }),
    ...(records.length > 0 && {
      dns: {
        records,
        ...(configMapName && { configMapName }),
        ...(known && { required: publishedOf(known, "Required"), recommended: publishedOf(known, "Recommended") }),
        ...zone,
      },
    }),
  };
}

/** Until this operator has looked itself, what the status remembers. */
function zoneStatus({ status: before }: ChatmailServer, { status }: SeenDns): ChatmailServerStatus["dns"] {
  if (!status) {
    const { zone, nameServers, dnssec, reverse } = before?.dns ?? {};
    return {
      ...(zone !== undefined && { zone }),
      ...(nameServers && { nameServers }),
      ...(dnssec && { dnssec }),
      ...(reverse && { reverse }),
    };
  }
  const { verification } = status;
  if ("unknown" in verification) return {};
  const { zone, nameServers, dnssec, reverse } = verification;
  return {
    zone,
    nameServers: nameServers.slice(0, 16),
    dnssec,
    ...(reverse.length > 0 && { reverse: reverse.slice(0, 16) }),
  };
}

const keyAlgorithms = { rsa: "RSA", ed25519: "Ed25519" } as const satisfies Record<PublicDkimKey["type"], string>;
