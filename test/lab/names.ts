/**
 * The lab's name server: BIND at one fixed address, the internet of every pod and of `lab exec`. It
 * knows the zones that tests publish and answers NXDOMAIN at once for everything else.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { docker, lines, tryDocker } from "./docker.ts";
import { findProvider } from "./engine.ts";
import { addresses, labName, statePath } from "./place.ts";
import { LabError } from "./run.ts";

/** Address of the name server, for clients that want to ask it directly. */
export const nameServer = addresses.names;

const container = `${labName}-names`;
const folder = statePath("names");
const keyFile = join(folder, "update.key");

/** TSIG key that zones published with `updates: true` accept in RFC 2136 updates and transfers. */
export interface UpdateKey {
  name: string;
  algorithm: "hmac-sha256";
  secret: string;
}

/** The key for dynamic updates of this lab; throws when the lab is down. */
export function updateKey(): UpdateKey {
  return { name: "lab", algorithm: "hmac-sha256", secret: readFileSync(keyFile, "utf8").trim() };
}

/**
 * Publishes a zone (`_nine.test`, `113.0.203.in-addr.arpa` …) from master-file text, instead of the
 * one that was there. Without an SOA in the text, SOA, NS and a TTL of 1 s are added; host names
 * with underscores are fine. Resolves when the new text is served. `signed`: takes updates, and
 * BIND signs it.
 */
export async function publishZone(
  zone: string,
  text: string,
  options: { updates?: boolean; signed?: boolean } = {},
): Promise<void> {
  await findProvider();
  const kind = options.signed ? "signed" : options.updates ? "updates" : "";
  const args = ["exec", "-i", "-u", "bind", container, "sh", "-c", publishScript, "publish", zoneName(zone), kind];
  const { code, stdout, stderr } = await tryDocker(args, { input: completeZone(text) });
  if (code !== 0) throw new LabError(`zone ${zone} was not published: ${(stdout + stderr).trim()}`);
}

/** Takes a zone away again; its names become NXDOMAIN. No error when it was not there. */
export async function removeZone(zone: string): Promise<void> {
  await findProvider();
  const script = `rm -f ${zoneFolder}/"$1".zone* ${keyFolder}/K"$1".+*; rndc delzone "$1"`;
  const asBind = ["exec", "-u", "bind", container, "sh", "-c"];
  const { code, stderr } = await tryDocker([...asBind, script, "remove", zoneName(zone)]);
  if (code !== 0 && !/not found|no matching zone/.test(stderr)) {
    throw new LabError(`zone ${zone} was not removed: ${stderr.trim()}`);
  }
}

/** The record by which a zone above vouches for the keys of a signed zone. */
export async function delegationSigner(zone: string): Promise<string> {
  await findProvider();
  const script = `dnssec-dsfromkey -2 ${keyFolder}/K"$1".+*.key`;
  const { code, stdout, stderr } = await tryDocker(["exec", container, "sh", "-c", script, "ds", zoneName(zone)]);
  if (code !== 0) throw new LabError(`zone ${zone} has no keys: ${stderr.trim()}`);
  return stdout.trim();
}

/** Published zones. */
export async function publishedZones(): Promise<string[]> {
  const { stdout } = await tryDocker(["exec", container, "sh", "-c", `cd ${zoneFolder} 2>/dev/null && ls`]);
  return lines(stdout).flatMap((file) => (file.endsWith(".zone") ? file.slice(0, -".zone".length) : []));
}

/** A zone as BIND and a shell can take it; not the root, which is the lab's own. Pure. */
export function zoneName(zone: string): string {
  const name = zone.toLowerCase().replace(/\.$/, "");
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name)) throw new LabError(`"${zone}" is not the name of a zone`);
  return name;
}

/**
 * The text with the head that a zone needs, if it has none; the serial is filled in where the last
 * one is known. Pure.
 */
export function completeZone(text: string): string {
  if (/^[^;\n]*\sSOA\s/im.test(text)) return `${text}\n`;
  return `$TTL 1\n@ IN SOA names.test. hostmaster.test. @SERIAL@ 60 60 60 0\n@ IN NS names.test.\n${text}\n`;
}

const keyFolder = "/var/cache/bind";
const zoneFolder = `${keyFolder}/lab`;

/**
 * Runs in the name server's container: $1 zone, $2 "updates", "signed" or nothing, text on standard
 * input. A static zone that is there is reloaded without a gap in which its names would be missing;
 * until the serial has changed, the old text is being served.
 */
const publishScript = `
set -e
mkdir -p ${zoneFolder}; file=${zoneFolder}/$1.zone
serial() { rndc zonestatus "$1" 2>/dev/null | sed -n 's/^serial: //p'; }
add() { rndc addzone "$1" "{ type primary; file \\"$file\\"; $2 };" >/dev/null; }
old=$(serial "$1"); new=$(date +%s); [ "\${old:-0}" -lt "$new" ] || new=$((old + 1))
sed "s/@SERIAL@/$new/" > "$file.new"
named-checkzone -k ignore -i none -m ignore -M ignore -n ignore -r ignore -S ignore "$1" "$file.new" > "$file.said" 2>&1 || { cat "$file.said"; exit 1; }
dynamic=; [ -z "$2" ] || dynamic='allow-update { key lab; }; allow-transfer { key lab; };'
[ "$2" != signed ] || dynamic="$dynamic dnssec-policy default;"
was=$(cat "$file.dynamic" 2>/dev/null || true)
if [ -n "$old" ] && [ -z "$2" ] && [ -z "$was" ]; then
  mv "$file.new" "$file"; rndc reload "$1" >/dev/null
  for try in $(seq 25); do [ "$(serial "$1")" = "$old" ] || exit 0; sleep 0.02; done
fi
[ -z "$old" ] || rndc delzone "$1" >/dev/null 2>&1 || true
[ ! -e "$file.new" ] || mv "$file.new" "$file"
rm -f "$file.jnl"; printf %s "$2" > "$file.dynamic"
for try in $(seq 50); do if add "$1" "$dynamic" 2> "$file.said"; then exit 0; fi; sleep 0.05; done
cat "$file.said"; exit 1
`;

/** Configuration of the name server. */
const configuration = (secret: string) => `
options {
  directory "/var/cache/bind";
  listen-on { any; };
  listen-on-v6 { any; };
  allow-query { any; };
  recursion yes;
  allow-recursion { any; };
  dnssec-validation no;
  empty-zones-enable no;
  allow-new-zones yes;
  check-names primary ignore;
};
key "lab" { algorithm hmac-sha256; secret "${secret}"; };
zone "." { type primary; file "/etc/lab/root.zone"; };
`;

const rootZone = `$TTL 1
. IN SOA names.test. hostmaster.test. 1 60 60 60 0
. IN NS names.test.
names.test. IN A ${addresses.names}
`;

export const namesRun = async (): Promise<boolean> => (await docker(["ps", "-q", "-f", `name=^${container}$`])) !== "";

/** Starts the name server, if it does not run yet, from an image that has BIND. */
export async function startNames(image: string): Promise<void> {
  if (await namesRun()) return;
  await tryDocker(["rm", "-f", "-v", container]);
  mkdirSync(folder, { recursive: true });
  if (!existsSync(keyFile)) writeFileSync(keyFile, randomBytes(32).toString("base64"), { mode: 0o600 });
  writeFileSync(join(folder, "named.conf"), configuration(updateKey().secret));
  writeFileSync(join(folder, "root.zone"), rootZone);
  writeFileSync(statePath("resolv.conf"), `nameserver ${addresses.names}\noptions timeout:2 attempts:3\n`);
  const place = ["--network", labName, "--ip", addresses.names, "-v", `${folder}:/etc/lab:ro`];
  const program = [image, "named", "-u", "bind", "-g", "-c", "/etc/lab/named.conf"];
  await docker(["run", "-d", "--name", container, "--hostname", "names", ...place, "--entrypoint", "", ...program]);
}

/** Ends the name server and forgets its zones. */
export async function stopNames(): Promise<void> {
  await tryDocker(["rm", "-f", "-v", container]);
}
