/** What is wrong, from what was seen, and how it is cured. Pure. */

import { durationText } from "../text/duration.ts";
import { summaryOf } from "../views/status.ts";
import type { Facts } from "./facts.ts";

/** problem: mail or clients suffer. warning: they may. unknown: it could not be seen. */
export type Level = "problem" | "warning" | "unknown" | "fine";

export interface Finding {
  check: string;
  level: Level;
  says: string;
  /** What to do; absent where nothing is to be done. */
  cure?: string;
}

type Found = Omit<Finding, "check">;
type Check = (facts: Facts) => readonly Found[];

const fine = (says: string): Found[] => [{ level: "fine", says }];
const problem = (says: string, cure: string): Found => ({ level: "problem", says, cure });
const warning = (says: string, cure: string): Found => ({ level: "warning", says, cure });
const unknown = (says: string, cure?: string): Found[] => [{ level: "unknown", says, ...(cure && { cure }) }];

const leastVersion = { major: 1, minor: 31 };

const cluster: Check = ({ clusterVersion: seen }) => {
  if ("unknown" in seen) return unknown(`the version of the cluster is not known: ${seen.unknown}`);
  const [, major = 0, minor = 0] = /^v?(\d+)\.(\d+)/.exec(seen.value)?.map(Number) ?? [];
  if (major > leastVersion.major || (major === leastVersion.major && minor >= leastVersion.minor))
    return fine(`Kubernetes ${seen.value}`);
  return [problem(`Kubernetes ${seen.value} is older than 1.31`, "Upgrade the cluster")];
};

const operator: Check = ({ operator: { owner, deployment, unknown: why }, server }) => {
  const { namespace } = server.metadata;
  if (owner === undefined && why?.startsWith("no operator"))
    return [problem(why, `Install the operator so that it watches ${namespace} (watch.namespaces in the chart)`)];
  if (!deployment) return unknown(why ?? "the operator was not found");
  const { name, namespace: home } = deployment.metadata;
  if ((deployment.status?.availableReplicas ?? 0) > 0) return fine(`${home}/${name} runs`);
  return [problem(`${home}/${name} does not run`, `See why: kubectl -n ${home} describe deployment ${name}`)];
};

/** Certificates, TSIG and clients go wrong by less than this many at most. */
const clockToleranceMs = 30_000;

const clock: Check = ({ clockAheadMs, inside }) => {
  const off = (whose: string, aheadMs: number): Found | undefined => {
    if (Math.abs(aheadMs) <= clockToleranceMs) return undefined;
    const says = `the clock of ${whose} is ${durationText(Math.abs(aheadMs))} ${aheadMs > 0 ? "ahead of" : "behind"} that of the API server`;
    return problem(says, "Synchronize it by NTP (chrony, systemd-timesyncd) on all nodes");
  };
  if ("unknown" in clockAheadMs) return unknown(`clocks could not be compared: ${clockAheadMs.unknown}`);
  const here = off("this computer", clockAheadMs.value);
  const node = "value" in inside ? off("the relay's node", inside.value.clockAheadMs + clockAheadMs.value) : undefined;
  const found = [here, node].filter((each) => each !== undefined);
  return found.length > 0 ? found : fine("clocks agree");
};

const policy: Check = ({ namespaceLabels: seen, server }) => {
  if ("unknown" in seen) return unknown(`Pod Security of the namespace is not known: ${seen.unknown}`);
  const level = seen.value["pod-security.kubernetes.io/enforce"] ?? "privileged";
  const needed = server.spec.network?.exposure === "HostPort" ? ["privileged"] : ["privileged", "baseline"];
  if (needed.includes(level)) return fine(`Pod Security is ${level}`);
  const label = `pod-security.kubernetes.io/enforce=${needed.at(-1)}`;
  const cure = `kubectl label namespace ${server.metadata.namespace} ${label} --overwrite`;
  return [problem(`Pod Security is ${level}: the API server refuses the relay pod`, cure)];
};

const leastInotify = 8_192;

const node: Check = ({ inside: seen }) => {
  if ("unknown" in seen) return unknown(`nothing could be seen from within the pod: ${seen.unknown}`);
  const { inotifyInstances: has } = seen.value;
  if (has >= leastInotify) return fine("settings of the node are good");
  const says = `fs.inotify.max_user_instances of the node is ${has}: with many sessions new messages are announced up to 30 s late`;
  return [warning(says, "On the node: sysctl -w fs.inotify.max_user_instances=65536, and in /etc/sysctl.d")];
};

/** Of the volume. */
const leastFree = 0.1;

const storage: Check = ({ storage: seen, inside, server }) => {
  const found: Found[] = [];
  if ("unknown" in seen) found.push(...unknown(`the volume claim is not known: ${seen.unknown}`));
  else if (seen.value.phase !== "Bound") {
    const cure = `See why: kubectl -n ${server.metadata.namespace} describe pvc ${server.metadata.name}-data`;
    found.push(problem(`the volume claim is ${seen.value.phase}`, cure));
  } else if (seen.value.canGrow === false)
    found.push(
      warning(
        `volumes of StorageClass ${seen.value.className} can't grow`,
        "Choose a size that lasts, or a class with allowVolumeExpansion: true",
      ),
    );
  if ("value" in inside && inside.value.totalBytes > 0) {
    const { freeBytes, totalBytes } = inside.value;
    const share = freeBytes / totalBytes;
    const says = `the volume has ${Math.floor(share * 100)} % left`;
    if (share < leastFree) found.push(problem(says, "Raise storage.size, or lower messages.deleteAfterDays"));
  }
  return found.length > 0 ? found : fine("the volume is bound and has room");
};

const addresses: Check = ({ server }) => {
  const { addresses: known = [], conditions = [] } = server.status ?? {};
  const condition = conditions.find(({ type }) => type === "AddressesReady");
  const cure = "Set network.addresses to the addresses at which the world reaches the relay, see docs/clouds.md";
  if (condition && condition.status !== "True") return [problem(condition.message, cure)];
  if (known.length === 0) return [problem("the relay has no address", cure)];
  return fine(`${known.map(({ value }) => value).join(", ")}`);
};

const mailOut: Check = ({ inside: seen }) => {
  if ("unknown" in seen) return unknown(`whether port 25 goes out is not known: ${seen.unknown}`);
  const { host, problem: why, isUnknownName } = seen.value.mailOut;
  if (why === undefined) return fine(`port 25 goes out (${host})`);
  if (isUnknownName) {
    const says = `the pod can't find the address of ${host}: ${why}`;
    return [problem(says, "See whether the cluster's DNS answers: kubectl -n kube-system logs -l k8s-app=kube-dns")];
  }
  const cure = "Ask the provider to open outgoing port 25; docs/clouds.md#without-port-25 says what works without";
  return [problem(`port 25 of ${host} can't be reached from the pod: ${why}`, cure)];
};

const portsIn: Check = ({ outside: seen, server }) => {
  if ("unknown" in seen) return unknown(`the relay was not tried from here: ${seen.unknown}`);
  const { ports } = seen.value;
  const closed = ports.filter(({ problem: why }) => why !== undefined);
  if (ports.length === 0) return unknown("there is no address to try from here");
  if (closed.length === 0) return fine(`ports ${[...new Set(ports.map(({ port }) => port))].join(", ")} answer`);
  const listed = closed.map(({ address, port, problem: why }) => `${address} port ${port}: ${why}`).join("; ");
  const cure = `Open the ports in firewall and load balancer: kubectl -n ${server.metadata.namespace} get service ${server.metadata.name}`;
  // many networks block port 25 for whoever is in them
  const isOnly25 = closed.length < ports.length && closed.every(({ port }) => port === 25);
  if (!isOnly25) return [problem(`closed from here: ${listed}`, cure)];
  const says = `closed from here: ${listed}. Other ports answer, so it may be this computer's network that blocks it`;
  return [
    warning(says, `Try it from another network: timeout 10 bash -c '</dev/tcp/${server.spec.domain}/25'. ${cure}`),
  ];
};

const reverse: Check = ({ server }) => {
  const rows = server.status?.dns?.reverse ?? [];
  const wrong = rows.filter(({ state }) => state === "Missing" || state === "Different");
  if (wrong.length === 0)
    return fine(rows.length > 0 ? "reverse names are right" : "there is no reverse name to look at");
  return wrong.map(({ address, want, seen }) =>
    warning(
      `the reverse name of ${address} is ${seen ?? "missing"}, and should be ${want}`,
      "Have it set by the provider of the address: classic mail servers look at it",
    ),
  );
};

const dns: Check = ({ server }) => {
  const { name, namespace } = server.metadata;
  const records = server.status?.dns?.records ?? [];
  const cure = `kubectl chatmail dns ${name} -n ${namespace}`;
  if (records.length === 0) return unknown("the operator has not written the records yet", cure);
  const missing = records.filter(({ state }) => state !== "Published" && state !== undefined);
  const say = (need: "Required" | "Recommended") => {
    const names = missing
      .filter((each) => each.need === need)
      .map(({ type, name: of, state }) => `${type} ${of} ${state}`);
    return names.length > 0 ? `${need.toLowerCase()} records: ${names.join(", ")}` : undefined;
  };
  const [required, recommended] = [say("Required"), say("Recommended")];
  const found = [...(required ? [problem(required, cure)] : []), ...(recommended ? [warning(recommended, cure)] : [])];
  return found.length > 0 ? found : fine("records are published");
};

const renewWithinMs = 7 * 86_400_000;

const certificate: Check = ({ server, outside, now }) => {
  const condition = server.status?.conditions?.find(({ type }) => type === "CertificateReady");
  const cure = "See docs/certificates.md";
  if (condition && condition.status !== "True") return [problem(condition.message, cure)];
  const { notAfter, sha256 } = server.status?.certificate ?? {};
  if (notAfter === undefined) return unknown("there is no certificate yet");
  const leftMs = Date.parse(notAfter) - now.getTime();
  if (leftMs < 0) return [problem(`the certificate ended at ${notAfter}`, cure)];
  if (leftMs < renewWithinMs) return [warning(`the certificate ends in ${durationText(leftMs)}`, cure)];
  const served = "value" in outside ? outside.value.certificate : undefined;
  if (served && sha256 !== undefined && plainHex(served.sha256) !== plainHex(sha256)) {
    const says = "another certificate is served than the operator knows of";
    return [problem(says, "Something before the relay ends TLS: it has to pass it through, see docs/clouds.md")];
  }
  return fine(`good until ${notAfter.slice(0, 10)}${served ? ", and served" : ""}`);
};

const plainHex = (text: string) => text.replaceAll(":", "").toLowerCase();

/** What other checks speak of already. */
const spokenOf = ["AddressesReady", "DNSReady", "CertificateReady"];

const status: Check = ({ server }) => {
  const summary = summaryOf(server);
  const others = summary.problems.filter(({ condition }) => !spokenOf.includes(condition));
  if (others.length === 0) return fine("the operator reports no other problem");
  return others.map(({ condition, reason, message }) => ({
    level: condition === "Ready" || condition === "Stalled" ? "problem" : "warning",
    says: `${reason}: ${message}`,
    cure: `See docs/troubleshooting.md#${reason.toLowerCase()}`,
  }));
};

/** In the order in which a person would put things right. */
const checks: Readonly<Record<string, Check>> = {
  cluster,
  operator,
  clock,
  policy,
  storage,
  node,
  status,
  addresses,
  "port 25 out": mailOut,
  "ports in": portsIn,
  DNS: dns,
  PTR: reverse,
  certificate,
};

export function findingsOf(facts: Facts): Finding[] {
  return Object.entries(checks).flatMap(([check, look]) => look(facts).map((found) => ({ check, ...found })));
}
