/**
 * Real name servers as plain processes on addresses of this machine: BIND and Knot from Debian,
 * with dynamic, signed zones. All listen on port 53, as delegations have no other.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askServer } from "../../src/dns/ask.ts";
import type { TsigAlgorithm, TsigKey } from "../../src/dns/tsig.ts";
import { missingPackages } from "../lab/packages.ts";
import { run, tryRun } from "../lab/run.ts";
import { nameServerPackages } from "./suite-packages.ts";
import { patienceMs, until } from "./until.ts";

/** Why they can't run here; undefined where they can. */
export function nameServersAreMissing(): string | undefined {
  const missing = missingPackages(nameServerPackages);
  return missing.length === 0 || process.env.REQUIRE_ALL === "1"
    ? undefined
    : `these packages are not installed: ${missing.join(" ")}`;
}

/** One that may write, one that may only read. */
export interface Keys {
  writer: TsigKey;
  reader: TsigKey;
}

export const newKey = (name: string, algorithm: TsigAlgorithm = "hmac-sha256"): TsigKey => ({
  name,
  algorithm,
  secret: randomBytes(32),
});

export interface RealZone {
  name: string;
  /** In the form of a zone file, below SOA and NS. */
  records?: string;
  /** Names of its servers, with the dot at the end; by default one. */
  servers?: readonly string[];
  signed?: boolean;
  serial?: number;
  /** Address of the primary that this is a copy of. */
  copyOf?: string;
}

export interface RealServer {
  address: string;
  /** What it has logged. */
  log: () => string;
  /** The record by which a zone above vouches for the keys of a signed zone. */
  ds: (zone: string) => Promise<string>;
  /** Ends the process; what its zones hold stays. */
  down: () => Promise<void>;
  /** Starts it again after `down`. */
  up: () => Promise<void>;
  stop: () => Promise<void>;
}

interface StartOptions {
  address: string;
  zones: readonly RealZone[];
  keys?: Keys;
}

const head = ({ servers = ["ns1.servers.test."], serial = 1 }: RealZone) =>
  [
    "$TTL 60",
    `@ IN SOA ${servers[0]} root.servers.test. ${serial} 3600 3600 86400 1`,
    ...servers.map((server) => `@ IN NS ${server}`),
  ].join("\n");

const base64 = ({ secret }: TsigKey) => secret.toString("base64");

/** `resolver`: it also resolves for others, from this address of the root. */
export async function startBind(
  options: StartOptions & { resolver?: { root: string; trusts?: readonly string[] } },
): Promise<RealServer> {
  const { address, zones, keys, resolver } = options;
  const folder = mkdtempSync(join(tmpdir(), "chatmail-bind-"));
  const file = (name: string) => join(folder, name);
  const keyTexts = keys
    ? Object.values(keys).map(
        (key: TsigKey) => `key "${key.name}" { algorithm ${key.algorithm}; secret "${base64(key)}"; };`,
      )
    : [];
  const zoneTexts = zones.map((zone) => {
    const named = zone.name === "" ? "." : zone.name;
    const path = file(`zone-${zone.name || "root"}`);
    if (zone.copyOf)
      return `zone "${named}" { type secondary; file "${path}"; primaries { ${zone.copyOf}; }; masterfile-format text; };`;
    writeFileSync(path, `${head(zone)}\n${zone.records ?? ""}\n`);
    const signing = zone.signed ? "dnssec-policy default;" : "";
    const updates = keys ? `allow-update { key "${keys.writer.name}"; };` : "";
    return `zone "${named}" { type primary; file "${path}"; ${updates} ${signing} allow-transfer { any; }; };`;
  });
  if (resolver) {
    writeFileSync(file("hints"), `. 60 IN NS root-server.test.\nroot-server.test. 60 IN A ${resolver.root}\n`);
    zoneTexts.push(`zone "." { type hint; file "${file("hints")}"; };`);
  }
  const anchors = (resolver?.trusts ?? []).map((anchor) => `  ${anchor};`);
  writeFileSync(
    file("named.conf"),
    `options {
  directory "${folder}"; key-directory "${folder}"; pid-file none; session-keyfile "${file("session.key")}";
  managed-keys-directory "${folder}"; listen-on { ${address}; }; listen-on-v6 { none; };
  query-source address ${address}; transfer-source ${address};
  recursion ${resolver ? "yes" : "no"}; allow-query { any; }; ${resolver ? "allow-recursion { any; };" : ""}
  dnssec-validation ${anchors.length > 0 ? "yes" : "no"}; empty-zones-enable no; notify no; check-names primary ignore;
  servfail-ttl 0; max-cache-ttl 1; max-ncache-ttl 1; qname-minimization off;
};
controls { };
${keyTexts.join("\n")}
${anchors.length > 0 ? `trust-anchors {\n${anchors.join("\n")}\n};` : ""}
${zoneTexts.join("\n")}
`,
  );
  // BIND listens only on addresses that an interface has
  await tryRun(["ip", "address", "replace", `${address}/32`, "dev", "lo"]);
  const launch = () => start(folder, "/usr/sbin/named", ["-g", "-n", "1", "-c", file("named.conf")]);
  const ds = (zone: string) => run(["sh", "-c", `dnssec-dsfromkey -2 ${folder}/K${zone}.+*.key`]);
  const server = await whenServing({ address, folder, launch, zones, ds });
  const stop = async () => {
    await server.stop();
    await tryRun(["ip", "address", "del", `${address}/32`, "dev", "lo"]);
  };
  return { ...server, stop };
}

/** How a resolver trusts the keys of a zone, from its DS record. */
export function anchorOf(ds: string): string {
  const [, zone, tag, algorithm, digest] = /^(\S+?)\.? (?:\d+ )?IN DS (\d+) (\d+) 2 ([0-9A-Fa-f ]+)/m.exec(ds) ?? [];
  return `"${zone}" static-ds ${tag} ${algorithm} 2 "${digest?.replaceAll(" ", "")}"`;
}

export async function startKnot({ address, zones, keys }: StartOptions): Promise<RealServer> {
  const folder = mkdtempSync(join(tmpdir(), "chatmail-knot-"));
  const file = (name: string) => join(folder, name);
  for (const zone of zones) writeFileSync(file(`zone-${zone.name}`), `${head(zone)}\n${zone.records ?? ""}\n`);
  mkdirSync(file("db"));
  const keyTexts = keys
    ? Object.values(keys).map(
        (key: TsigKey) => `  - id: ${key.name}\n    algorithm: ${key.algorithm}\n    secret: ${base64(key)}`,
      )
    : [];
  writeFileSync(
    file("knot.conf"),
    `server:
    rundir: "${folder}"
    listen: ${address}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "${file("db")}"
log:
  - target: stderr
    any: info
${keyTexts.length > 0 ? `key:\n${keyTexts.join("\n")}` : ""}
acl:
${keys ? `  - id: write\n    key: ${keys.writer.name}\n    action: [update, query]\n  - id: read\n    key: ${keys.reader.name}\n    action: query` : "  - id: none\n    deny: on"}
template:
  - id: default
    storage: "${folder}"
    journal-content: changes
    zonefile-sync: -1
zone:
${zones.map((zone) => `  - domain: ${zone.name}\n    file: "zone-${zone.name}"\n    ${keys ? "acl: [write, read]" : ""}\n    dnssec-signing: ${zone.signed ? "on" : "off"}`).join("\n")}
`,
  );
  const launch = () => start(folder, "/usr/sbin/knotd", ["-c", file("knot.conf")]);
  const ds = async (zone: string) => {
    const text = await run(["keymgr", "-c", file("knot.conf"), zone, "ds"]);
    return text.split("\n").find((line) => / 2 [0-9A-Fa-f]{64}/.test(line)) ?? "";
  };
  return whenServing({ address, folder, launch, zones, ds });
}

/** It ends with us, however we end. */
function start(folder: string, program: string, args: readonly string[]): ChildProcess {
  const log = openSync(join(folder, "log"), "a");
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", program, ...args], { stdio: ["ignore", log, log] });
  closeSync(log);
  return child;
}

async function whenServing(of: {
  address: string;
  folder: string;
  launch: () => ChildProcess;
  zones: readonly RealZone[];
  ds: RealServer["ds"];
}): Promise<RealServer> {
  const { address, folder, launch, zones, ds } = of;
  let child = launch();
  const log = () => readFileSync(join(folder, "log"), "utf8");
  const down = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
  };
  const stop = async () => {
    await down();
    rmSync(folder, { recursive: true, force: true });
  };
  const answers = async () => {
    if (child.exitCode !== null) throw new Error("it has ended");
    for (const { name } of zones.length > 0 ? zones : [{ name: "" }]) {
      const asked = await askServer(
        { host: address, port: 53 },
        { name: `${name}.`, type: "SOA", recursive: zones.length === 0 },
        { random: (below) => Math.floor(Math.random() * below), timeoutMs: 1_000, tries: 1 },
      );
      if (!("reply" in asked) || asked.reply.answers.length === 0) return false;
    }
    return true;
  };
  const serves = () =>
    until(`the name server at ${address}`, answers, { patienceMs: patienceMs.client, everyMs: 50 }).catch(
      async (cause) => {
        const said = log();
        await stop();
        throw new Error(`${String(cause)}\n${said.slice(-3_000)}`, { cause });
      },
    );
  await serves();
  const up = async () => {
    child = launch();
    await serves();
  };
  return { address, log, ds, down, up, stop };
}
