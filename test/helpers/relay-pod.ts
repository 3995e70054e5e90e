/**
 * A relay pod without a cluster: the containers of `src/pod/containers.ts` on the lab's Docker
 * engine, in one network namespace, with the same commands, users, rights, mounts, limits of memory
 * and read-only roots that the StatefulSet gives them.
 */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text as bodyOf } from "node:stream/consumers";
import { promisify } from "node:util";
import type { z } from "zod";
import { ChatmailServerSpec } from "../../src/api/chatmail-server.ts";
import { amountOf } from "../../src/api/quantity.ts";
import { type KeyPair, makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { makeRsaKey, publicDkimKey } from "../../src/dns/dkim-key.ts";
import { recordsOf } from "../../src/dns/records.ts";
import { zoneText } from "../../src/dns/zone-text.ts";
import { signsMail } from "../../src/mail/address.ts";
import { ports } from "../../src/mail/ports.ts";
import { extrasOf } from "../../src/operator/server/extras.ts";
import {
  podSysctls,
  prepareContainer,
  type RelayContainer,
  type RelayContainerName,
  type RelayMount,
  relayContainers,
  validatingDnsOptions,
} from "../../src/pod/containers.ts";
import { rsaKey } from "../../src/pod/dkim.ts";
import { type Files, type Part, partFiles, partFolders } from "../../src/pod/files.ts";
import { domainFolder, folders, givenTls, lastTls, planFile, sockets } from "../../src/pod/layout.ts";
import { Plan } from "../../src/pod/plan.ts";
import { planHash } from "../../src/pod/plan-files.ts";
import { planOf, planText } from "../../src/pod/plan-of.ts";
import { builtInResources } from "../../src/pod/resources.ts";
import { turnSecretKey } from "../../src/pod/turn.ts";
import type { PlanStatus } from "../../src/relay/plan/follower.ts";
import { boxPid } from "../lab/box.ts";
import { docker, engineEnv, tryDocker } from "../lab/docker.ts";
import { isRoot, labName, privatePeers } from "../lab/place.ts";
import { accepts } from "./accepts.ts";
import { onAnyLoad } from "./accounts.ts";
import { relayImage } from "./relay-image.ts";
import { patienceMs, until } from "./until.ts";

export interface RelayPod {
  domain: string;
  /** The image of its containers. */
  image: string;
  /** As the engine knows it. */
  nameOf: (container: RelayContainerName) => string;
  /** Addresses of the pod in the lab's network. */
  host: string;
  host6: string;
  at: (port: number) => { host: string; port: number };
  /**
   * What the lab's name server has to say of the domain, for publishZone: where it is and which key
   * it signs with.
   */
  zone: string;
  /**
   * Writes a file that the pod sees, as an edit of the Secret of invites or the ConfigMap of app
   * versions would; without a text, removes it.
   */
  give(what: Given, file: string, text?: string, of?: string): void;
  /** The RSA key that it signs with from the start. */
  dkimKeyPem: string;
  /** What is in the Secret of the pod's own DKIM keys from now on, as the kubelet mounts it. */
  giveKeys(texts: Readonly<Record<string, string>>): void;
  /** Another certificate in the Secret of a domain: of the pod's own, where none is named. */
  giveCertificate(pair: KeyPair, of?: string): void;
  /**
   * That Secret is gone; `last`: what the operator has kept a copy of, so that it is there all the
   * same.
   */
  takeCertificate(last?: KeyPair, of?: string): void;
  /** What the containers share, which is gone with a pod: while none of them runs. */
  clearRun(): void;
  /**
   * All that a domain beside the pod's own has in Secrets. A plan that names it has to be given
   * too.
   */
  giveDomain(domain: string, secrets: DomainSecrets): void;
  /** Folder of a volume folder on this machine. */
  volume(name: "mail" | "queue"): string;
  /** A unix socket of the pod, as this machine reaches it. */
  socket(name: keyof typeof sockets): string;
  /** Another plan in the ConfigMap, as it stands there. */
  givePlan(text: string): void;
  /** Another plan in the ConfigMap; resolves when all of the pod goes by it. */
  usePlan(text: string): Promise<void>;
  /**
   * The spec has these fields from now on: gives the plan that follows from it, and resolves when
   * all of the pod goes by it.
   */
  change(fields: RelayPodOptions["spec"]): Promise<ChatmailServerSpec>;
  /** What the pod says of its plan. */
  planStatus(): Promise<PlanStatus | undefined>;
  /** Resolves when the kubelet would call each container ready. */
  ready(): Promise<void>;
  /** Writes a file of what a program has rendered; the program has to be told by a signal. */
  configure(part: Part, file: string, text: string): Promise<void>;
  /** All that the containers have said, one of them or all. */
  logs(name?: RelayContainerName): Promise<string>;
  /** Runs a command in a container as its own user; what it printed. Throws when it fails. */
  exec(name: RelayContainerName, ...command: string[]): Promise<string>;
  /** Starts one that is written to and read from, as `kubectl exec -i` does. */
  pipe(name: RelayContainerName, command: readonly string[]): ChildProcessWithoutNullStreams;
  /** The same as another user. */
  execAs(user: { uid: number; gid: number }, name: RelayContainerName, ...command: string[]): Promise<string>;
  /** SIGTERM, as the kubelet does; resolves when the container is gone, with its exit code. */
  stop: (name: RelayContainerName) => Promise<number>;
  /** Kills without a word. */
  kill(name: RelayContainerName): Promise<void>;
  start: (name: RelayContainerName) => Promise<void>;
  /** When the container was started, in milliseconds since 1970. */
  startedAt(name: RelayContainerName): Promise<number>;
  signal(name: RelayContainerName, signal: string): Promise<void>;
  /** Kills one process of a container, not its first; `pick` says which of so many. */
  killOne(name: RelayContainerName, pick: (count: number) => number): Promise<void>;
  /**
   * Stops all processes of a container where they are, as on a machine that stands still; `thaw`
   * lets them go on.
   */
  freeze(name: RelayContainerName): Promise<void>;
  thaw(name: RelayContainerName): Promise<void>;
  /**
   * What the pod sends to this address of its network is lost from now on, without a word to either
   * side. Needs root.
   */
  cutOff(address: string): Promise<void>;
  reconnect(address: string): Promise<void>;
  /**
   * Argument vector that runs a command in the pod's network, where no container but its own comes
   * and goes. Needs root: without, it is as it was.
   */
  inNetwork(argv: readonly string[]): Promise<string[]>;
  /** How many processes of a name (`comm` of proc(5)) a container has. */
  processes(container: RelayContainerName, name: string): Promise<number>;
  /** This machine's numbers of all processes of a container. Needs root. */
  processNumbers(container: RelayContainerName): Promise<number[]>;
  /** Proportional set size of all processes of each container, in kB. */
  memory(): Promise<Record<RelayContainerName, number>>;
  /**
   * CPU time that all processes of each container have used, in seconds; those that have ended are
   * in it.
   */
  cpu(): Promise<Record<RelayContainerName, number>>;
  remove(): Promise<void>;
}

type Given = "invites" | "appVersions" | "pages";

/** What the pod mounts for one domain. */
export interface DomainSecrets {
  /** None: the Secret is not there yet. */
  certificate?: KeyPair;
  /** None: the domain does not sign, or its Secret is not there yet. */
  rsaKeyPem?: string;
  given?: Partial<Record<Given, Readonly<Record<string, string>>>>;
}

export interface RelayPodOptions {
  /** In the engine already. By default the one that was built last. */
  image?: string;
  /**
   * Fields of the spec besides the domain; addresses are made on any load, unless they say
   * otherwise.
   */
  spec?: Omit<z.input<typeof ChatmailServerSpec>, "domain">;
  /** Without it, the pod's own address: a relay that other pods reach without any name server. */
  domain?: string | ((pod: Pick<RelayPod, "host6">) => string);
  /** Variables for the relay container that no pod of the operator has. */
  relayEnv?: Readonly<Record<string, string>>;
  /**
   * Time between the relay's messages to itself. By default it sends none: they would be among what
   * tests count.
   */
  probeSeconds?: number;
  /** Files that `give` would write, from the start. */
  given?: Partial<Record<Given, Readonly<Record<string, string>>>>;
  /** Served instead of a self-signed certificate. */
  certificate?: KeyPair;
  /** Domains beside the pod's own, which the plan has to name. */
  others?: Readonly<Record<string, DomainSecrets>>;
  /** Files of the pages folder instead of the built-in ones, as from the user's own ConfigMap. */
  ownPages?: Readonly<Record<string, string>>;
  /** A container that ends by itself is started again, as the kubelet does. */
  restarts?: boolean;
  /** A disk of so many MiB for a part of the volume, in memory; `volume` does not lead there. */
  small?: Partial<Record<"mail" | "queue", number>>;
  /** Changes what the programs render from the plan. */
  edit?: (files: Record<Part, Files>) => Record<Part, Files>;
  /**
   * What stands in the ConfigMap instead of the plan that follows from the spec; of a pod with this
   * address.
   */
  plan?: string | ((host: string) => string);
  /** The last good plan that an earlier pod has left on the volume. */
  lastPlan?: string;
  /** Resolves before anything is ready. */
  unready?: boolean;
  /** A file of this machine that every Node program of the pod loads before its own. */
  preload?: string;
  /** Called with the pod's address before its first container starts. */
  beforeStart?: (host: string) => void;
}

export async function startRelayPod(options: RelayPodOptions): Promise<RelayPod> {
  const { spec: fields, relayEnv, probeSeconds = 0, ownPages, certificate, edit, preload, given = {} } = options;
  const image = options.image ?? (await relayImage());
  const folder = mkdtempSync(join(tmpdir(), "relay-pod-"));
  chmodSync(folder, 0o755);
  const id = folder.slice(folder.lastIndexOf("-") + 1).toLowerCase();
  const nameOf = (container: string) => `relay-${id}-${container}`;

  const sysctls = Object.entries(podSysctls).flatMap(([name, value]) => ["--sysctl", `${name}=${value}`]);
  const sandbox = nameOf("sandbox");
  const small = new Map(Object.entries(options.small ?? {}).map(([part, mib]) => [part, { name: nameOf(part), mib }]));
  for (const { name, mib } of small.values()) {
    const tmpfs = ["type=tmpfs", "device=tmpfs", `o=size=${mib}m`].flatMap((each) => ["--opt", each]);
    await docker(["volume", "create", ...tmpfs, name]);
  }
  await docker([
    "run",
    "-d",
    "--name",
    sandbox,
    "--network",
    labName,
    ...sysctls,
    // what is in memory is there as long as somebody has it
    ...[...small.values()].flatMap(({ name }) => ["--volume", `${name}:/held/${name}`]),
    "--entrypoint",
    "sleep",
    image,
    "infinity",
  ]);
  const network = `{{with index .NetworkSettings.Networks "${labName}"}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}`;
  const [host = "", host6 = ""] = (await docker(["inspect", "--format", network, sandbox])).split(" ");

  const domain = typeof options.domain === "function" ? options.domain({ host6 }) : (options.domain ?? host);
  const rsaKeyPem = await makeRsaKey();
  const specOf = (given: RelayPodOptions["spec"]) =>
    ChatmailServerSpec.parse({
      domain,
      ...given,
      accounts: {
        ...onAnyLoad,
        ...given?.accounts,
        refuseNew: { ...onAnyLoad.refuseNew, ...given?.accounts?.refuseNew },
      },
      network: { privatePeers, ...given?.network },
    });
  const spec = specOf(fields);
  const edits = editsOf(spec, edit);
  makeFolders(folder);
  giveDomain(folder, domain, {
    certificate: certificate ?? (await makeSelfSigned(domain, new Date())),
    rsaKeyPem,
    given: { ...given, ...(ownPages && { pages: ownPages }) },
  });
  for (const [name, secrets] of Object.entries(options.others ?? {})) giveDomain(folder, name, secrets);
  swapFolder(join(folder, "plan"), {
    [planFile]: typeof options.plan === "function" ? options.plan(host) : (options.plan ?? planText(planOf(spec))),
  });
  if (options.lastPlan !== undefined) {
    mkdirSync(join(folder, "data", "plan"));
    writeFileSync(join(folder, "data", "plan", planFile), options.lastPlan, { mode: 0o644 });
  }
  writeEdits(join(folder, "edits"), edits);
  const containers = relayContainers(extrasOf({ spec }, []));
  const memory = builtInResources(spec);
  const resolvers = spec.network.dnssecResolvers;

  const create = (container: RelayContainer, command: readonly string[]) => {
    const probes = { RELAY_PROBE_SECONDS: String(probeSeconds) };
    const env = container.name === "relay" ? Object.entries({ ...probes, ...relayEnv }) : [];
    const options = [
      ...optionsOf(container, (mount) => volumeOf(mount, folder, (part) => small.get(part)?.name)),
      // the pod's address is the node's: it is seen from outside as it is
      ...Object.keys(container.podEnv ?? {}).flatMap((name) => ["--env", `${name}=${host}`]),
      ...(resolvers ? ["--volume", `${resolvConf(folder, resolvers)}:/etc/resolv.conf:ro`] : []),
      ...env.flatMap(([name, value]) => ["--env", `${name}=${value}`]),
      ...preloads(
        ...(container.name in edits ? [{ file: join(folder, "edits"), at: "/edits", module: "/edits/apply.mjs" }] : []),
        ...(preload ? [{ file: preload, at: "/preload.mjs", module: "/preload.mjs" }] : []),
      ),
      ...["--network", `container:${sandbox}`],
      ...["--memory", `${amountOf(memory[container.name as keyof typeof memory].limits.memory)}b`],
    ];
    const [program = "", ...args] = container.command;
    return docker([...command, "--name", nameOf(container.name), ...options, "--entrypoint", program, image, ...args]);
  };
  await create(prepareContainer, ["run", "--rm"]);
  options.beforeStart?.(host);
  const restart = options.restarts ? ["--restart", "always"] : [];
  await Promise.all(containers.map((container) => create(container, ["run", "-d", ...restart])));

  const logs: RelayPod["logs"] = async (name) => {
    const names = name ? [name] : containers.map((container) => container.name);
    const all = await Promise.all(names.map((each) => tryDocker(["logs", nameOf(each)])));
    return all.map(({ stdout, stderr }) => stdout + stderr).join("");
  };
  const ofEach = async (figure: (name: RelayContainerName) => Promise<number>) => {
    const figures = await Promise.all(containers.map(async ({ name }) => [name, await figure(name)] as const));
    return Object.fromEntries(figures) as Record<RelayContainerName, number>;
  };
  const exitCode = async (name: string) =>
    Number(await docker(["inspect", "--format", "{{.State.ExitCode}}", nameOf(name)]));
  const isReady = async (name: string) => {
    const container = containers.find((each) => each.name === name);
    const probe = container?.startup;
    if (!probe) return true;
    if ("command" in probe) return (await tryDocker(["exec", nameOf(name), ...probe.command])).code === 0;
    if ("http" in probe) return (await fetch(`http://${host}:${probe.http.port}${probe.http.path}`)).ok;
    return accepts(host, probe.tcp);
  };
  const ready = async (name: string) => {
    const found = () => isReady(name);
    await until(`${name} to be ready`, found, { patienceMs: patienceMs.client, everyMs: 50 }).catch(async (thrown) => {
      const said = (await logs(name as RelayContainerName)).split("\n").slice(-30).join("\n");
      throw new Error(`${String(thrown)}\n${said}`, { cause: thrown });
    });
  };
  const inNetwork: RelayPod["inNetwork"] = async (argv) =>
    isRoot ? ["nsenter", `--net=/proc/${await firstProcess(sandbox)}/ns/net`, "--", ...argv] : [...argv];
  /** An address that nobody has is where packets are lost. */
  const neighbour = async (verb: string, address: string, ...rest: readonly string[]) => {
    const [program = "", ...args] = await inNetwork(["ip", "neigh", verb, address, ...rest, "dev", "eth0"]);
    await promisify(execFile)(program, args);
  };
  const pod: RelayPod = {
    domain,
    image,
    nameOf,
    host,
    host6,
    at: (port) => ({ host, port }),
    zone: zoneOf(domain, host, rsaKeyPem),
    give: (what, file, text, of = domain) => {
      const path = join(domainFolder(join(folder, what), of), file);
      if (text === undefined) rmSync(path, { force: true });
      else writeFileSync(path, text, { mode: 0o644 });
    },
    giveCertificate: (pair, of = domain) => swapCertificate(domainFolder(join(folder, "tls"), of), pair),
    dkimKeyPem: rsaKeyPem,
    giveKeys: (texts) => swapFolder(domainFolder(join(folder, "dkim"), domain), texts),
    takeCertificate: (last, of = domain) => takeCertificate(domainFolder(join(folder, "tls"), of), last),
    clearRun: () => {
      const run = join(folder, "run");
      for (const name of readdirSync(run)) rmSync(join(run, name), { recursive: true, force: true });
    },
    giveDomain: (name, secrets) => giveDomain(folder, name, secrets),
    givePlan: (text) => swapFolder(join(folder, "plan"), { [planFile]: text }),
    usePlan: async (text) => {
      pod.givePlan(text);
      const used = async () => (await pod.planStatus())?.used === planHash(text);
      await until("the new plan to be used", used, { patienceMs: patienceMs.client, everyMs: 100 });
    },
    change: async (given) => {
      const wanted = specOf(given);
      await pod.usePlan(planText(planOf(wanted)));
      return wanted;
    },
    ready: async () => {
      // a process in a container for each look is dear: those come when the others are there
      const isCommand = ({ startup }: RelayContainer) => startup !== undefined && "command" in startup;
      const names = (of: readonly RelayContainer[]) => of.map(({ name }) => ready(name));
      await Promise.all(names(containers.filter((each) => !isCommand(each))));
      await Promise.all(names(containers.filter(isCommand)));
    },
    planStatus: async () => {
      const text = await textAt(`http://${host}:${ports.health}/status`);
      return (JSON.parse(text) as { plan?: PlanStatus }).plan;
    },
    volume: (name) => join(folder, "data", name),
    socket: (name) => join(folder, "run", baseName(sockets[name])),
    configure: async (part, file, text) => {
      const script = `echo ${Buffer.from(text).toString("base64")} | base64 -d > ${partFolders[part]}/${file}`;
      await pod.exec(part, "sh", "-c", script);
    },
    logs,
    exec: (name, ...command) => docker(["exec", nameOf(name), ...command]),
    pipe: (name, command) =>
      spawn("docker", ["exec", "-i", nameOf(name), ...command], { env: { ...process.env, ...engineEnv() } }),
    execAs: ({ uid, gid }, name, ...command) => docker(["exec", "--user", `${uid}:${gid}`, nameOf(name), ...command]),
    stop: async (name) => {
      await docker(["stop", "--time", "30", nameOf(name)]);
      return exitCode(name);
    },
    kill: async (name) => {
      await docker(["kill", nameOf(name)]);
    },
    start: async (name) => {
      await docker(["start", nameOf(name)]);
      await ready(name);
    },
    startedAt: async (name) => Date.parse(await docker(["inspect", "--format", "{{.State.StartedAt}}", nameOf(name)])),
    signal: async (name, signal) => {
      await docker(["kill", "--signal", signal, nameOf(name)]);
    },
    killOne: async (name, pick) => {
      const first = await firstProcess(nameOf(name));
      const others = processesWith(first).filter((pid) => pid !== first);
      const pid = others[pick(others.length)];
      if (pid !== undefined) tell(pid, "SIGKILL");
    },
    freeze: (name) => signalAll(nameOf(name), "SIGSTOP"),
    thaw: (name) => signalAll(nameOf(name), "SIGCONT"),
    cutOff: async (address) => neighbour("replace", address, "lladdr", "02:00:00:00:00:01", "nud", "permanent"),
    reconnect: async (address) => neighbour("del", address),
    inNetwork,
    processes: (container, name) => sumOf(nameOf(container), (pid) => Number(commandOf(pid) === name)),
    processNumbers: async (container) => processesWith(await firstProcess(nameOf(container))),
    memory: () => ofEach((name) => sumOf(nameOf(name), pss)),
    cpu: () => ofEach((name) => sumOf(nameOf(name), cpuSeconds)),
    remove: async () => {
      await tryDocker(["rm", "-f", "-v", ...[...containers].reverse().map(({ name }) => nameOf(name)), sandbox]);
      if (small.size > 0) await tryDocker(["volume", "rm", ...[...small.values()].map(({ name }) => name)]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    if (!options.unready) await pod.ready();
  } catch (thrown) {
    if (process.env.KEEP_POD !== "1") await pod.remove();
    throw thrown;
  }
  return pod;
}

/** By a connection of its own: one that is kept may have been closed by a pod that is busy. */
function textAt(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = get(url, { agent: false, timeout: patienceMs.socket }, (answer) => {
      bodyOf(answer).then(resolve, reject);
    });
    asked.on("timeout", () => asked.destroy(new Error(`no answer from ${url}`)));
    asked.on("error", reject);
  });
}

export function makeFolders(folder: string) {
  for (const name of ["plan", "turnSecret", ...perDomain]) mkdirSync(join(folder, name));
  writeFileSync(join(folder, "turnSecret", turnSecretKey), randomBytes(32).toString("hex"), { mode: 0o644 });
  // an emptyDir is open to all; the volume and what the kubelet makes on it belong to root
  mkdirSync(join(folder, "run"));
  chmodSync(join(folder, "run"), 0o777);
  mkdirSync(join(folder, "data"));
  mkdirSync(join(folder, "scratch"));
}

const perDomain = ["tls", "dkim", "invites", "appVersions", "pages"] as const;

/** A folder for it in each of those that have one for each domain. */
function giveDomain(folder: string, domain: string, { certificate, rsaKeyPem, given = {} }: DomainSecrets) {
  for (const kind of perDomain) mkdirSync(domainFolder(join(folder, kind), domain), { recursive: true });
  if (certificate) swapCertificate(domainFolder(join(folder, "tls"), domain), certificate);
  const write = (kind: string, file: string, text: string) =>
    writeFileSync(join(domainFolder(join(folder, kind), domain), file), text, { mode: 0o644 });
  if (rsaKeyPem !== undefined && signsMail(domain)) write("dkim", rsaKey.file, rsaKeyPem);
  for (const [kind, files] of Object.entries(given))
    for (const [file, text] of Object.entries(files)) write(kind, file, text);
}

/** By part, the files that the test has changed. */
function editsOf(spec: ChatmailServerSpec, edit: RelayPodOptions["edit"]): Partial<Record<Part, Files>> {
  if (!edit) return {};
  const plan = Plan.parse(planOf(spec));
  const built = Object.fromEntries(
    (Object.keys(partFolders) as Part[]).map((part) => [part, partFiles(part, plan)]),
  ) as Record<Part, Files>;
  const parts = Object.entries(edit(built)) as [Part, Files][];
  const changed = parts.map(([part, files]) => {
    const texts = Object.entries(files).filter(([file, text]) => built[part][file] !== text);
    return [part, Object.fromEntries(texts)] as const;
  });
  return Object.fromEntries(changed.filter(([, files]) => Object.keys(files).length > 0));
}

/**
 * As soon as a program's configuration has been rendered, the test's files take their places in it.
 */
function writeEdits(folder: string, edits: Partial<Record<Part, Files>>) {
  mkdirSync(folder);
  const write = (path: string, text: string) => writeFileSync(join(folder, path), text, { mode: 0o644 });
  for (const [part, files] of Object.entries(edits)) {
    mkdirSync(join(folder, part));
    for (const [file, text] of Object.entries(files)) write(`${part}/${file}`, text);
  }
  write(
    "apply.mjs",
    `import { cpSync, realpathSync } from "node:fs";
const folders = ${JSON.stringify(partFolders)};
const part = process.argv[2];
process.on("exit", (code) => code === 0 && cpSync("/edits/" + part, realpathSync(folders[part]), { recursive: true }));
`,
  );
}

/** Options of a container in which Node loads these first. */
function preloads(...modules: readonly { file: string; at: string; module: string }[]): string[] {
  if (modules.length === 0) return [];
  const imports = modules.map(({ module }) => `--import=${module}`).join(" ");
  return [
    ...modules.flatMap(({ file, at }) => ["--volume", `${file}:${at}:ro`]),
    ...["--env", `NODE_OPTIONS=${imports}`],
  ];
}

/** What the kubelet makes of the pod's dnsConfig. */
function resolvConf(folder: string, resolvers: readonly string[]): string {
  const path = join(folder, "resolv.conf");
  const lines = resolvers.map((address) => `nameserver ${address}`);
  writeFileSync(path, [...lines, `options ${validatingDnsOptions.join(" ")}`, ""].join("\n"), { mode: 0o644 });
  return path;
}

/** As the kubelet does it: a new folder, then one rename of the link that leads to it. */
function swapCertificate(folder: string, pair: KeyPair) {
  const texts = { [givenTls.certificate]: pair.certificatePem, [givenTls.key]: pair.keyPem };
  swapFolder(folder, texts);
}

/** As the kubelet does it where a Secret is optional: its files are gone, the others stay. */
function takeCertificate(folder: string, last?: KeyPair) {
  for (const name of Object.values(givenTls)) rmSync(join(folder, name), { force: true });
  const texts = last && {
    [`${lastTls}/${givenTls.certificate}`]: last.certificatePem,
    [`${lastTls}/${givenTls.key}`]: last.keyPem,
  };
  swapFolder(folder, texts ?? {});
}

export function swapFolder(folder: string, texts: Readonly<Record<string, string>>) {
  const fresh = mkdtempSync(join(folder, "..data-"));
  chmodSync(fresh, 0o755);
  for (const [name, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(fresh, name)), { recursive: true });
    writeFileSync(join(fresh, name), text, { mode: 0o644 });
  }
  const [data, next] = [join(folder, "..data"), join(folder, "..data_tmp")];
  symlinkSync(baseName(fresh), next);
  renameSync(next, data);
  for (const name of Object.keys(texts).map((each) => each.split("/")[0] ?? each)) {
    if (!existsSync(join(folder, name))) symlinkSync(`..data/${name}`, join(folder, name));
  }
}

function zoneOf(domain: string, host: string, rsaKeyPem: string): string {
  const key = publicDkimKey(rsaKeyPem);
  const keys = key ? [{ selector: rsaKey.selector, key }] : [];
  return zoneText({ domain, sets: recordsOf({ domain, addresses: [host], keys }), reverse: [], ttlSeconds: 1 });
}

const baseName = (path: string) => path.slice(path.lastIndexOf("/") + 1);

export function optionsOf(container: RelayContainer, volumeOf: (mount: RelayMount) => string): string[] {
  return [
    ...["--user", `${container.uid}:${container.gid}`, "--read-only", "--cap-drop", "ALL"],
    ...["--security-opt", "no-new-privileges", "--log-opt", "max-size=50m"],
    ...container.capabilities.flatMap((name) => ["--cap-add", name]),
    ...Object.entries(container.env).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    ...container.mounts.flatMap((mount) => ["--volume", volumeOf(mount)]),
  ];
}

export function volumeOf(mount: RelayMount, folder: string, diskOf: (part: string) => string | undefined): string {
  switch (mount.from) {
    case "plan":
    case "pages":
    case "tls":
    case "dkim":
    case "invites":
    case "appVersions":
    case "turnSecret":
    case "acmeAccount":
    case "ageIdentity":
    case "storeAuthority":
    case "imported":
      return `${join(folder, mount.from)}:${mount.at}:ro`;
    case "run":
    case "backups":
    case "wholeData":
    case "copy":
      return `${join(folder, mount.from)}:${mount.at}`;
    case "data": {
      const disk = diskOf(mount.subPath);
      // the image's own folder is no pattern for it
      if (disk !== undefined) return `${disk}:${mount.at}:nocopy`;
      return `${made(join(folder, "data", mount.subPath), 0o755)}:${mount.at}${mount.readOnly ? ":ro" : ""}`;
    }
    case "scratch":
      return `${made(join(folder, "scratch", mount.name), 0o777)}:${mount.at}`;
  }
}

/** How many mails are in Postfix's queue. */
export async function waitingMails(pod: RelayPod): Promise<number> {
  return Number((await pod.exec("postfix", "sh", "-c", "postqueue -j | wc -l")).trim());
}

/** What waits in Postfix's queue is tried at once, and not when its time comes. */
export async function tryWaitingMail(pod: RelayPod): Promise<void> {
  // postkick writes twice; the queue manager may have gone by the second time, with all that it
  // needs
  const kick = `trap "" PIPE; exec postkick -c ${folders.postfixConfig} public qmgr ADF`;
  await pod.exec("postfix", "sh", "-c", kick);
}

function made(path: string, mode: number): string {
  try {
    mkdirSync(path);
    chmodSync(path, mode);
  } catch {
    // it is there, and belongs to whom it belongs
  }
  return path;
}

/** Sum over the processes of a container; seen from here, for the container itself may not look. */
async function sumOf(name: string, figure: (pid: number) => number): Promise<number> {
  return processesWith(await firstProcess(name)).reduce((sum, pid) => sum + figure(pid), 0);
}

/** All processes of the container that this one is of. */
function processesWith(first: number): number[] {
  const all = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number);
  const namespace = pidNamespace(first);
  return all.filter((pid) => pidNamespace(pid) === namespace);
}

/** To every process of a container, its first one first: that one starts no others meanwhile. */
async function signalAll(name: string, signal: "SIGSTOP" | "SIGCONT"): Promise<void> {
  const first = await firstProcess(name);
  process.kill(first, signal);
  for (const pid of processesWith(first).filter((each) => each !== first)) tell(pid, signal);
}

function tell(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it has ended by itself
  }
}

const commandOf = (pid: number): string => read(`/proc/${pid}/comm`).trim();

/** This machine's number of a container's first process. */
async function firstProcess(name: string): Promise<number> {
  const pid = Number(await docker(["inspect", "--format", "{{.State.Pid}}", name]));
  if (pid === 0) throw new Error(`${name} is not running`);
  return hostPid(pid);
}

/**
 * The engine's own number for a process may be that of its box; the machine's number has it as
 * second in NSpid.
 */
function hostPid(inner: number): number {
  const box = boxPid();
  if (box === undefined) return inner;
  const boxed = pidNamespace(box);
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const ids = nsPids(Number(entry));
    if (ids.length >= 2 && ids[1] === inner && pidNamespace(Number(entry)) !== boxed) return Number(entry);
  }
  throw new Error(`process ${inner} of the engine was not found`);
}

function nsPids(pid: number): number[] {
  return (read(`/proc/${pid}/status`).match(/^NSpid:\s*(.+)$/m)?.[1] ?? "").trim().split(/\s+/).map(Number);
}

const pidNamespace = (pid: number): string => /\d+/.exec(readLink(`/proc/${pid}/ns/pid`))?.[0] ?? `none-${pid}`;

const pss = (pid: number): number => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);

/**
 * The process and the children that it has waited for, so that nothing is lost when one ends:
 * utime, stime, cutime and cstime of proc(5).
 */
function cpuSeconds(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond;
}

/** USER_HZ, the same on every Linux that runs Node. */
const ticksPerSecond = 100;

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
