import type { ChatmailServer, ChatmailServerStatus } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import { valueTexts } from "../../../dns/zone-text.ts";
import { domainRecords } from "../domain-records.ts";
import type { Seen, SeenDns } from "../seen.ts";
import { dkimOf } from "./dkim.ts";
import { knownSets, publishedOf } from "./dns.ts";

/** `now`: as Kubernetes writes times. */
export function recordsIn(server: ChatmailServer, seen: Seen, now: string): Pick<ChatmailServerStatus, "dkim" | "dns"> {
  const wanted = domainRecords(server, seen);
  if (!wanted) {
    const { dkim, dns } = server.status ?? {};
    return { ...(dkim && { dkim }), ...(dns && { dns }) };
  }
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
    ...dkimOf(server, seen, new Date(now)),
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
