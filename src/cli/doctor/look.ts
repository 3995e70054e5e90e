/**
 * Sees what the examination needs: each thing by itself, so that one refusal hides no other.
 */
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import type { WrittenServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import { execIn } from "../../kube/exec.ts";
import { type Namespace, resources, type StorageClass, type VolumeClaim } from "../../kube/kinds.ts";
import { messageOf } from "../../lib/text.ts";
import { ports as mailPorts } from "../../mail/ports.ts";
import { folders, programs } from "../../pod/layout.ts";
import { readOperator } from "../operator-side.ts";
import type { Session } from "../session.ts";
import type { Facts, InsideFacts, Reached, Seen } from "./facts.ts";

export interface LookOptions {
  /** Whose port 25 the pod is to try. */
  mailHost: string;
  /** Whether this computer tries the ports of the relay. */
  fromHere: boolean;
}

const connectMs = 8_000;

export async function lookAt(session: Session, server: WrittenServer, options: LookOptions): Promise<Facts> {
  const { namespace } = server.metadata;
  const now = session.around.now();
  session.progress.at("looking at the cluster");
  const version = await seen(() => versionAndClock(session));
  const operator = await readOperator(session, namespace);
  const namespaceLabels = await seen(() => labelsOf(session, namespace));
  const storage = await seen(() => storageOf(session, server));
  session.progress.at("looking from within the relay pod");
  const inside = await seen(() => insideOf(session, server, options.mailHost));
  session.progress.at("trying the ports of the relay");
  const outside = await seen(() => outsideOf(session, server, options.fromHere));
  return {
    server,
    now,
    clusterVersion: "value" in version ? { value: version.value.version } : version,
    clockAheadMs: "value" in version ? { value: version.value.aheadMs } : version,
    operator,
    namespaceLabels,
    storage,
    inside,
    outside,
  };
}

async function seen<T>(look: () => Promise<T>): Promise<Seen<T>> {
  try {
    return { value: await look() };
  } catch (thrown) {
    return { unknown: messageOf(thrown) };
  }
}

async function versionAndClock(session: Session) {
  const client = await session.client();
  const before = session.around.now().getTime();
  const { value, date } = await client.getPath<{ gitVersion: string }>("/version", session.signal);
  const after = session.around.now().getTime();
  // the API server says its time in whole seconds, rounded down
  const theirs = date ? date.getTime() + 500 : (before + after) / 2;
  return { version: value.gitVersion, aheadMs: (before + after) / 2 - theirs };
}

async function labelsOf(session: Session, name: string) {
  const found = await (await session.client()).get<Namespace>(resources.namespace, { name }, session.signal);
  return found?.metadata.labels ?? {};
}

async function storageOf(session: Session, { metadata: { namespace, name }, status }: WrittenServer) {
  const client = await session.client();
  const at = { namespace, name: status?.storage?.claimName ?? childNames(name).volumeClaim };
  const claim = await client.get<VolumeClaim>(resources.volumeClaim, at, session.signal);
  if (!claim) throw new Error(`there is no volume claim ${at.name}`);
  const className = claim.spec?.storageClassName;
  const phase = claim.status?.phase ?? "Pending";
  if (!className) return { phase };
  // reading classes is a right of its own
  const ofClass = await client
    .get<StorageClass>(resources.storageClass, { name: className }, session.signal)
    .catch(() => undefined);
  return { phase, className, ...(ofClass && { canGrow: ofClass.allowVolumeExpansion ?? false }) };
}

/** What the program below prints: the time of the node in place of what its clock is before. */
type Printed = Omit<InsideFacts, "clockAheadMs"> & { timeMs: number };

/** Runs in the relay container: prints Printed. Its words are the host and the folder. */
const insideProgram = `
const [host, folder] = process.argv.slice(1);
const { readFileSync, statfsSync } = require("node:fs");
const disk = statfsSync(folder);
const print = (problem, isUnknownName) => {
  const facts = {
    timeMs: Date.now(),
    inotifyInstances: Number(readFileSync("/proc/sys/fs/inotify/max_user_instances", "utf8")),
    freeBytes: disk.bavail * disk.bsize,
    totalBytes: (disk.blocks - disk.bfree + disk.bavail) * disk.bsize,
    mailOut: { host, problem, isUnknownName },
  };
  process.stdout.write(JSON.stringify(facts), () => process.exit(0));
};
const socket = require("node:net").connect({ host, port: 25 });
socket.setTimeout(${connectMs}, () => print("no answer"));
socket.once("data", (data) => print(data.toString("latin1").startsWith("220") ? undefined : "something else than a mail server answers"));
socket.once("error", (error) => print(error.message || error.code, error.syscall === "getaddrinfo"));
socket.once("close", () => print("the connection was closed"));
`;

async function insideOf(session: Session, server: WrittenServer, mailHost: string): Promise<InsideFacts> {
  const { namespace, name } = server.metadata;
  const at = { namespace, pod: childNames(name).pod, container: "relay" };
  const command = [programs.node, "-e", insideProgram, mailHost, folders.mail];
  const { code, stdout, stderr } = await execIn(await session.credentials(), at, command, session.signal);
  if (code !== 0) throw new Error(stderr.trim().split("\n").at(-1) ?? `exit code ${code}`);
  // what was printed last is what was printed just now
  const { timeMs, ...seen } = JSON.parse(stdout) as Printed;
  return { ...seen, clockAheadMs: timeMs - session.around.now().getTime() };
}

const tried = [mailPorts.smtp, mailPorts.https, mailPorts.imaps] as const;

async function outsideOf(session: Session, { spec, status }: WrittenServer, fromHere: boolean) {
  if (!fromHere) throw new Error("--no-network was given");
  const addresses = (status?.addresses ?? []).map(({ value }) => value);
  const ports = await Promise.all(
    addresses.flatMap((address) => tried.map((port) => reach(address, port, session.signal))),
  );
  const open = ports.find(({ port, problem }) => port === mailPorts.imaps && problem === undefined);
  const certificate = open && (await servedCertificate(open, spec.domain).catch(() => undefined));
  return { ports, ...(certificate && { certificate }) };
}

function reach(address: string, port: number, signal: AbortSignal): Promise<Reached> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, signal });
    const end = (problem?: string) => {
      socket.destroy();
      resolve({ address, port, ...(problem !== undefined && { problem }) });
    };
    socket.setTimeout(connectMs, () => end("no answer"));
    socket.once("connect", () => end());
    socket.once("error", (error) => end(messageOf(error)));
  });
}

function servedCertificate({ address, port }: Reached, servername: string) {
  return new Promise<{ sha256: string; notAfter: Date }>((resolve, reject) => {
    // whether it is trusted is the operator's to say: here it is only compared
    const name = /^[0-9.]+$|:/.test(servername) ? {} : { servername };
    const socket = connectTls({ host: address, port, ...name, rejectUnauthorized: false });
    socket.setTimeout(connectMs, () => socket.destroy(new Error("no answer")));
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      const { fingerprint256, valid_to: until } = socket.getPeerCertificate();
      socket.destroy();
      resolve({ sha256: fingerprint256, notAfter: new Date(until) });
    });
  });
}
