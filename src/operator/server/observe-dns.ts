/** How the records of a domain are published, and what is known of them. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { dkimFingerprint } from "../../dns/dkim-key.ts";
import type { TsigAlgorithm, TsigKey } from "../../dns/tsig.ts";
import { resources } from "../../kube/kinds.ts";
import { keyOf } from "../../kube/object.ts";
import { presentIn } from "../identity/read.ts";
import { isOurs, textsIn } from "../identity/secret.ts";
import type { Problem } from "../problem.ts";
import type { WantedNames, WantedUpdate } from "../tasks/dns.ts";
import { domainRecords } from "./domain-records.ts";
import { readOthers } from "./read-others.ts";
import type { Seen, SeenDns } from "./seen.ts";
import type { World } from "./world.ts";

/** Undefined where nobody looks after the records. */
export async function observeDns(
  server: ChatmailServer,
  world: World,
  signal: AbortSignal,
): Promise<SeenDns | undefined> {
  const { mode, rfc2136 } = server.spec.dns;
  if (mode === "None") return undefined;
  const status = world.names.of(keyOf(server));
  if (mode === "Manual" || !rfc2136) return { status };
  return { status, tsig: await tsigKey(server, rfc2136.tsig, world, signal) };
}

const algorithms = {
  HMACSHA256: "hmac-sha256",
  HMACSHA384: "hmac-sha384",
  HMACSHA512: "hmac-sha512",
} as const satisfies Record<string, TsigAlgorithm>;

async function tsigKey(
  { metadata: { namespace } }: ChatmailServer,
  tsig: NonNullable<ChatmailServer["spec"]["dns"]["rfc2136"]>["tsig"],
  world: World,
  signal: AbortSignal,
): Promise<TsigKey | { problem: Problem }> {
  const { name, key } = tsig.secretRef;
  const wrong = (message: string) => ({ problem: { reason: "TsigSecretMissing", message } as const });
  const secret = await readOthers(
    resources.secret,
    { namespace, name },
    { watched: world.otherSecrets, client: world.client, signal },
  );
  if (!secret)
    return wrong(`there is no Secret ${name}, which dns.rfc2136.tsig.secretRef names, in namespace ${namespace}`);
  if (isOurs(secret))
    return wrong(
      `Secret ${name} was created by the operator for a ChatmailServer: use another Secret for the TSIG key`,
    );
  const text = textsIn(secret)[key]?.trim();
  if (!text) return wrong(`Secret ${name} has no key ${key}, which dns.rfc2136.tsig.secretRef names`);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text))
    return wrong(`${key} in Secret ${name} is not base64: put the secret there as tsig-keygen prints it`);
  return { name: tsig.keyName, algorithm: algorithms[tsig.algorithm], secret: Buffer.from(text, "base64") };
}

/** What the task is to do. Pure. */
export function wantedNames(server: ChatmailServer, seen: Seen): WantedNames | undefined {
  const records = domainRecords(server, seen);
  if (!seen.dns || !records || records.sets.length === 0 || seen.identity.dkim?.state !== "present") return undefined;
  const { domain, network } = server.spec;
  const { sets, reverse } = records;
  const families = ["A", "AAAA"] as const;
  const has = (type: (typeof families)[number]) => sets.some((set) => set.type === type);
  // mail would also go to an address that is not the relay's
  const unwanted = families
    .filter((type) => families.some(has) && !has(type))
    .map((type) => ({ name: `${domain}.`, type, values: [], need: "Required" }) as const);
  const update = records.addressed ? wantedUpdate(server, seen, sets) : undefined;
  return {
    domain,
    sets: [...sets, ...unwanted],
    reverse,
    ...(seen.certificate.issuer && { issuer: seen.certificate.issuer }),
    ...(network.dnssecResolvers && { validators: network.dnssecResolvers }),
    ...(update && { update }),
  };
}

/** Where the operator may write records of the domain. Pure. */
export function wantedRecords(server: ChatmailServer, seen: Seen): Omit<WantedUpdate, "records"> | undefined {
  const { records: _, ...update } = wantedUpdate(server, seen, []) ?? {};
  return "domain" in update ? update : undefined;
}

/** A fingerprint that marks records in a zone. */
const ownerOf = (fingerprint: string) => fingerprint.slice(0, 32);

/**
 * Where the records of a server that ends are, and by which key they are removed; undefined where
 * none can be ours. Pure.
 */
export function removalTarget(
  { spec, status }: Pick<ChatmailServer, "spec" | "status">,
  { dns: seenDns, identity }: Seen,
): Omit<WantedUpdate, "records"> | { problem: Problem } | undefined {
  const now = (presentIn(identity.dkim)?.published ?? []).map(({ key }) => dkimFingerprint(key));
  // a key that was deleted with its server has marked them all the same
  const before = (status?.dkim?.keys ?? []).flatMap(({ fingerprint }) => fingerprint ?? []);
  const [first, ...others] = [...new Set([...now, ...before].map(ownerOf))];
  const [server, ...servers] = spec.dns.rfc2136?.servers ?? [];
  const tsig = seenDns?.tsig;
  if (!tsig || first === undefined || server === undefined) return undefined;
  if ("problem" in tsig) {
    const wasPublished = (status?.dns?.records ?? []).some(({ state }) => state === "Published");
    return wasPublished ? tsig : undefined;
  }
  return { ...placeOf(spec, [server, ...servers]), owners: [first, ...others], key: tsig };
}

const placeOf = ({ domain, dns }: ChatmailServer["spec"], servers: WantedUpdate["servers"]) => ({
  domain,
  servers,
  ttlSeconds: dns.ttlSeconds,
  ...(dns.rfc2136?.zone && { zone: dns.rfc2136.zone }),
});

/** Records are ours that were written for one of the domain's keys: also in a restored cluster. */
function wantedUpdate(
  { spec }: ChatmailServer,
  { dns: seenDns, identity }: Seen,
  sets: WantedUpdate["records"],
): WantedUpdate | undefined {
  const { dns } = spec;
  const tsig = seenDns?.tsig;
  const [first, ...others] = (presentIn(identity.dkim)?.published ?? []).map(({ key }) =>
    ownerOf(dkimFingerprint(key)),
  );
  const [server, ...servers] = dns.rfc2136?.servers ?? [];
  if (!tsig || "problem" in tsig || first === undefined || server === undefined) return undefined;
  return {
    ...placeOf(spec, [server, ...servers]),
    owners: [first, ...others],
    key: tsig,
    records: sets.filter(({ need }) => need === "Required" || dns.records === "Recommended"),
  };
}
