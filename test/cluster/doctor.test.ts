/**
 * What `kubectl chatmail doctor` finds of faults that were planted: around a relay that runs, and
 * on one that can't start.
 */
import { createServer, type Server } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { ports } from "../../src/mail/ports.ts";
import { apply, kubectl, kubectlJson } from "../helpers/kubectl.ts";
import { KubectlPlugin, type RunOptions } from "../helpers/kubectl-plugin.ts";
import {
  getServer,
  namespace,
  operatorIsInstalled,
  operatorRolledOut,
  removeServer,
  serverObject,
  serverReady,
  zoneText,
} from "../helpers/servers.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { publishZone, removeZone } from "../lab/names.ts";
import { addresses, privatePeers } from "../lab/place.ts";

const domain = "_sick.test";
/** Of this process: it serves something else than the relay, and not on all ports. */
const address = addresses.gateway;
const reverseZone = "100.51.198.in-addr.arpa";
/** In the lab, and of nobody. */
const nobody = "198.51.100.250";
const podSecurity = "pod-security.kubernetes.io/enforce";

let plugin: KubectlPlugin;
let inFront: Server;

beforeAll(async () => {
  plugin = await KubectlPlugin.open();
  await operatorIsInstalled();
  await Promise.all(["sick", "stuck"].map(removeServer));
  const { certificatePem: cert, keyPem: key } = await makeSelfSigned(domain, new Date());
  inFront = createServer({ cert, key }, (socket) => socket.on("error", () => undefined).end());
  await new Promise<void>((resolve) => inFront.listen(ports.imaps, address, resolve));
  await apply(
    serverObject("sick", { domain, network: { addresses: [address], privatePeers } }),
    serverObject("stuck", {
      domain: "_stuck.test",
      storage: { storageClassName: "none-such" },
      certificate: { source: "Secret", secret: { name: "none-such" } },
      network: { service: { loadBalancerClass: "example.org/none-such" } },
    }),
  );
  const server = await serverReady("sick");
  const isLeftOut = (line: string) => / MX /.test(line) || line.startsWith("_imap._tcp");
  const lines = zoneText(server).split("\n");
  await publishZone(domain, lines.filter((line) => !isLeftOut(line)).join("\n"));
  await publishZone(reverseZone, "1 PTR other.test.");
  const isSeen = async () => {
    const { records = [], reverse = [] } = (await getServer("sick")).status?.dns ?? {};
    const stateOf = (type: string) => records.find((each) => each.type === type)?.state;
    return stateOf("A") === "Published" && stateOf("MX") === "Missing" && reverse[0]?.state === "Different";
  };
  await until("the operator to have looked at the records", isSeen, { patienceMs: patienceMs.pod, everyMs: 300 });
});
afterAll(async () => {
  await kubectl(["label", "namespace", namespace, `${podSecurity}-`]);
  await kubectl(["-n", namespace, "scale", "deployment/chatmail-operator", "--replicas=1"]);
  await operatorRolledOut();
  await Promise.all(["sick", "stuck"].map(removeServer));
  await Promise.all([domain, reverseZone].map((zone) => removeZone(zone)));
  inFront?.close();
  plugin?.close();
});

interface Finding {
  check: string;
  level: string;
  says: string;
  cure?: string;
}

async function examined(name: string, words: string[] = [], options?: RunOptions) {
  const called = await plugin.call(["doctor", name, "-n", namespace, "-o", "json", ...words], options);
  expect(called.code, called.err).toBe(3);
  const { findings } = JSON.parse(called.out) as { findings: Finding[] };
  return findings.filter(({ level }) => level === "problem" || level === "warning");
}

/** Each has its line, and none has a line for something that is well. */
function expectFound(findings: readonly Finding[], faults: readonly (readonly [string, string, RegExp, RegExp])[]) {
  for (const [check, level, says, cure] of faults) {
    const found = findings.find((each) => each.check === check && each.level === level && says.test(each.says));
    expect(found, `${check} ${says} of ${JSON.stringify(findings, null, 2)}`).toBeDefined();
    expect(found?.cure).toMatch(cure);
  }
}

test("a relay that can't start: no such class, no address, no certificate", async () => {
  const looked = async () =>
    (await getServer("stuck")).status?.conditions?.some(({ type }) => type === "CertificateReady");
  await until("the operator to have looked at it", looked, { patienceMs: patienceMs.pod, everyMs: 300 });
  expectFound(await examined("stuck"), [
    ["storage", "problem", /^the volume claim is Pending$/, /describe pvc stuck-data/],
    ["addresses", "problem", /address/, /network\.addresses/],
    ["certificate", "problem", /none-such/, /certificates\.md/],
  ]);
});

test("a relay that runs where much is wrong", async () => {
  await kubectl(["label", "namespace", namespace, `${podSecurity}=restricted`, "--overwrite"]);
  await kubectl(["-n", namespace, "scale", "deployment/chatmail-operator", "--replicas=0"]);
  const operator = ["-n", namespace, "get", "deployment", "chatmail-operator"];
  const stopped = async () => !(await kubectlJson<{ status: { replicas?: number } }>(operator)).status.replicas;
  await until("the operator to stop", stopped, { patienceMs: patienceMs.pod, everyMs: 300 });
  // a computer whose clock is ten minutes ahead
  const clock =
    "const now = Date.now; Date.now = () => now() + 600000; globalThis.Date = class extends Date { constructor(...of) { super(...(of.length ? of : [Date.now()])); } };";
  const environment = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(clock)}` };
  const found = await examined("sick", ["--mail-host", nobody], { environment });
  expectFound(found, [
    ["operator", "problem", /chatmail-operator does not run/, /describe deployment chatmail-operator/],
    ["clock", "problem", /^the clock of this computer is (?:9|10)m ahead of that of the API server$/, /NTP/],
    ["policy", "problem", /^Pod Security is restricted/, /enforce=baseline/],
    ["port 25 out", "problem", new RegExp(nobody.replaceAll(".", "\\.")), /without-port-25/],
    ["ports in", "problem", new RegExp(`${address.replaceAll(".", "\\.")} port 443`), /get service sick/],
    ["DNS", "problem", /^required records: MX _sick\.test\. Missing$/, /kubectl chatmail dns sick/],
    ["DNS", "warning", /^recommended records: SRV _imap\._tcp\._sick\.test\. Missing$/, /kubectl chatmail dns sick/],
    ["PTR", "warning", /is other\.test\., and should be _sick\.test\./, /provider/],
    ["certificate", "problem", /^another certificate is served/, /pass it through/],
  ]);
  // the clock of the node is right, whatever this one says
  expect(found.filter(({ check }) => check === "clock")).toHaveLength(1);
});
