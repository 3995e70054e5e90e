/**
 * DNSSEC in the lab: zones signed by BIND's own tools, for publishZone, and a resolver that
 * validates them, or others.
 */
import { randomBytes } from "node:crypto";
import { Resolver } from "node:dns/promises";
import { docker, tryDocker } from "../lab/docker.ts";
import { nameServer } from "../lab/names.ts";
import { labName } from "../lab/place.ts";
import { patienceMs, until } from "./until.ts";

export interface SignedZones {
  /** Address of a resolver that trusts the keys of these zones. */
  resolver: string;
  /** The signed text of a zone for publishZone. */
  sign(zone: string, records: string): Promise<string>;
  /**
   * What the resolver has to say of the certificate of a host's port 25; undefined where it says
   * nothing, as of a record whose signature is wrong.
   */
  tlsa(host: string): Promise<string | undefined>;
  remove(): Promise<void>;
}

const makeKeys = `
set -e
mkdir -p /zones /keys; cd /zones
for zone; do dnssec-keygen -q -a ECDSAP256SHA256 -f KSK -K /keys "$zone" >/dev/null; done
grep -h DNSKEY /keys/*.key
`;

/** One key signs all. Text on standard input; the signed zone on standard output. */
const signZone = `
set -e
cat > "/zones/$1"
dnssec-signzone -q -S -z -O full -K /keys -o "$1" -f "/zones/$1.signed" "/zones/$1" >&2
cat "/zones/$1.signed"
`;

/** Answers are forgotten at once, as zones change while tests run. */
const configuration = (anchors: readonly string[]) => `
options {
  directory "/var/cache/bind";
  listen-on { any; };
  recursion yes;
  allow-recursion { any; };
  forward only;
  forwarders { ${nameServer}; };
  dnssec-validation yes;
  empty-zones-enable no;
  servfail-ttl 0;
  max-ncache-ttl 1;
};
trust-anchors {
${anchors.map((anchor) => `  ${anchor};`).join("\n")}
};
`;

interface Box {
  run: (script: string, args: readonly string[], input?: string) => Promise<string>;
  address: string;
  remove: () => Promise<void>;
}

/** A container with BIND's programs, of which none runs yet. */
async function startBox(): Promise<Box> {
  const name = `signed-zones-${randomBytes(4).toString("hex")}`;
  const image = await docker(["inspect", "--format", "{{.Config.Image}}", `${labName}-names`]);
  await docker(["run", "-d", "--name", name, "--network", labName, "--entrypoint", "sleep", image, "infinity"]);
  const address = `{{(index .NetworkSettings.Networks "${labName}").IPAddress}}`;
  return {
    address: await docker(["inspect", "--format", address, name]),
    run: async (script, args, input = "") => {
      const command = ["exec", "-i", name, "sh", "-c", script, "run", ...args];
      const { code, stdout, stderr } = await tryDocker(command, { input });
      if (code !== 0) throw new Error(`${name}: ${stderr}`);
      return stdout;
    },
    remove: async () => {
      await tryDocker(["rm", "-f", "-v", name]);
    },
  };
}

/** Makes it a resolver that trusts these keys: in named's words. */
async function startResolver({ run }: Box, anchors: readonly string[]): Promise<void> {
  await run("cat > /etc/bind/named.conf && chmod 644 /etc/bind/named.conf", [], configuration(anchors));
  await run("named -u bind -c /etc/bind/named.conf", []);
  await until("the resolver", () => run("rndc status >/dev/null && echo yes || true", []), {
    patienceMs: patienceMs.client,
  });
}

/** A resolver that validates what these keys vouch for. */
export async function startValidatingResolver(anchors: readonly string[]): Promise<Pick<Box, "address" | "remove">> {
  const box = await startBox();
  try {
    await startResolver(box, anchors);
    return box;
  } catch (thrown) {
    await box.remove();
    throw thrown;
  }
}

export async function startSignedZones(zones: readonly string[]): Promise<SignedZones> {
  const box = await startBox();
  const { run, address: resolver, remove } = box;
  const anchors = (await run(makeKeys, zones)).trim().split("\n").map(anchorOf);
  await startResolver(box, anchors);
  let serial = Math.floor(Date.now() / 1000);
  return {
    resolver,
    sign: (zone, records) => {
      serial++;
      const head = `$TTL 1\n@ IN SOA names.test. hostmaster.test. ${serial} 60 60 60 0\n@ IN NS names.test.\n`;
      return run(signZone, [zone], `${head}${records}\n`);
    },
    tlsa: async (host) => {
      const asking = new Resolver({ tries: 1 });
      asking.setServers([resolver]);
      const [found] = await asking.resolveTlsa(`_25._tcp.${host}`).catch(() => []);
      return found && `${found.certUsage} ${found.selector} ${found.match} ${Buffer.from(found.data).toString("hex")}`;
    },
    remove,
  };
}

/** From the record in a key file to named's words for what it trusts. */
function anchorOf(record: string): string {
  const [, zone, flags, protocol, algorithm, key = ""] =
    /^(\S+)\. (?:\d+ )?IN DNSKEY (\d+) (\d+) (\d+) (.+)$/.exec(record) ?? [];
  return `"${zone}" static-key ${flags} ${protocol} ${algorithm} "${key.replaceAll(" ", "")}"`;
}
