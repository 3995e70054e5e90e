/**
 * The containers of a relay pod as plain values: what each runs, as whom, with which rights and
 * folders. The operator's StatefulSet and the tests that run the same containers without a cluster
 * both read them here.
 */
import { ports } from "../mail/ports.ts";
import type { Part } from "./files.ts";
import { ageIdentityKey, domainFolder, folders, loopback, postfix, programs, vmail } from "./layout.ts";
import { turnConfigFile, turnSecretFile } from "./turn.ts";

/**
 * `plan`: the ConfigMap with the plan, read-only. `pages`: the user's own pages, read-only, and
 * empty where there are none. `tls`: the certificate's Secret, read-only. `run`: the emptyDir, in
 * memory, of sockets and the served key that all containers share. `data`: a folder of the volume,
 * where not told otherwise to write to. `scratch`: an emptyDir of this container alone, on
 * disk or in memory. `turnSecret`: the Secret that TURN credentials are made with, read-only.
 * `dkim`: the Secret of keys to sign with, read-only; empty where the domain is an address literal.
 * `invites`: the Secret of invites, `appVersions`: the user's ConfigMap of app versions; both
 * read-only, and empty without one. `backups`: the volume for backups.
 * `acmeAccount`: the Secret of the account, `ageIdentity`: that with the key that opens a backup;
 * both read-only, and empty without one. `wholeData`: all of the volume, read-only; `copy`: another
 * one that it is copied to. `storeAuthority`: whose certificates the store may have, read-only.
 * `imported`: the volume of a relay that is brought over, read-only.
 */
export type RelayMount =
  | { from: "plan"; at: string }
  | { from: "pages"; at: string }
  | { from: "tls"; at: string }
  | { from: "dkim"; at: string }
  | { from: "invites"; at: string }
  | { from: "appVersions"; at: string }
  | { from: "turnSecret"; at: string }
  | { from: "run"; at: string }
  | { from: "backups"; at: string; readOnly?: true }
  | { from: "imported"; at: string }
  | { from: "storeAuthority"; at: string }
  | { from: "acmeAccount"; at: string }
  | { from: "ageIdentity"; at: string }
  | { from: "data"; subPath: VolumeFolder; at: string; readOnly?: true }
  | { from: "wholeData"; at: string }
  | { from: "copy"; at: string }
  | { from: "scratch"; name: string; at: string; inMemory?: true };

/** Of these, each domain has its own, in a folder with its name below `at`. */
const domainMounts = ["pages", "tls", "dkim", "invites", "appVersions"] as const;
export type DomainMount = RelayMount & { from: (typeof domainMounts)[number] };

export function isDomainMount(mount: RelayMount): mount is DomainMount {
  return (domainMounts as readonly string[]).includes(mount.from);
}

/** Folders on the volume. */
export const volumeFolders = {
  mail: { owner: vmail, mode: "0700" },
  queue: { owner: { uid: 0, gid: 0 }, mode: "0755" },
  postfix: { owner: postfix, mode: "0700" },
  plan: { owner: vmail, mode: "0700" },
} as const;
export type VolumeFolder = keyof typeof volumeFolders;

/**
 * What has to be there: a port that takes connections, a page, or success of a program that runs in
 * the container.
 */
export type RelayProbe = ProbeOf & { everySeconds: number; failures: number };
type ProbeOf = { tcp: number } | { http: { path: string; port: number } } | { command: readonly string[] };

export interface RelayContainer {
  name: string;
  /** Program and arguments; replaces the image's entry point. */
  command: readonly string[];
  uid: number;
  gid: number;
  /** All others are dropped. Every container has no_new_privs and a read-only root file system. */
  capabilities: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Variables that are set from fields of the pod. */
  podEnv?: Readonly<Record<string, PodField>>;
  /** Variables that are set from keys of Secrets. */
  secretEnv?: Readonly<Record<string, { secretName: string; key: string }>>;
  mounts: readonly RelayMount[];
  /** TCP, unless they say otherwise. */
  ports: readonly { name: PortName | `turn-${number}`; port: number; protocol?: "UDP" }[];
  startup?: RelayProbe;
  readiness?: RelayProbe;
  liveness?: RelayProbe;
}

export type PortName = keyof typeof ports;

/** Fields of the downward API. */
export type PodField = "status.podIP" | "status.hostIP";

export type RelayContainerName = "postfix" | "dovecot" | "relay" | "web" | "turn";

/** What runs beside mail, and what stands before it. */
export interface Extras {
  turn?: {
    relayPorts: readonly number[];
    /** How the outside sees the pod's address; undefined where nobody knows. */
    external?: { address: string } | { podField: PodField };
  };
}

/** Set on the pod, so that users other than root may listen on ports below 1024. */
export const podSysctls = { "net.ipv4.ip_unprivileged_port_start": "0" } as const;

/**
 * resolv.conf's options where the resolvers validate: glibc passes on their word for it (Postfix
 * asks by glibc).
 */
export const validatingDnsOptions = ["edns0", "trust-ad"] as const;

/** How long the pod may take to end: running answers, a delivery, a session that writes. */
export const terminationGraceSeconds = 30;

const plan: RelayMount = { from: "plan", at: folders.plan };
const lastPlan: RelayMount = { from: "data", subPath: "plan", at: folders.lastPlan, readOnly: true };
/** What a container renders for its own program. Nobody else can write there. */
const rendered = (part: Part): RelayMount => ({ from: "scratch", name: `${part}-config`, at: `/etc/chatmail/${part}` });
const pages: RelayMount = { from: "pages", at: folders.pages };
const tls: RelayMount = { from: "tls", at: folders.tls };
const dkim: RelayMount = { from: "dkim", at: folders.dkim };
const invites: RelayMount = { from: "invites", at: folders.invites };
const appVersions: RelayMount = { from: "appVersions", at: folders.appVersions };
const turnSecret: RelayMount = { from: "turnSecret", at: folders.turnSecret };
const run: RelayMount = { from: "run", at: folders.run };
const mail: RelayMount = { from: "data", subPath: "mail", at: folders.mail };
const queue: RelayMount = { from: "data", subPath: "queue", at: folders.queue };
const postfixState: RelayMount = { from: "data", subPath: "postfix", at: folders.postfixState };

const listen = (...names: PortName[]) => names.map((name) => ({ name, port: ports[name] }));

/**
 * Looks every second until the first success, so a pod is Ready as soon as it can be; costs nothing
 * afterwards.
 */
const startup = (what: ProbeOf): RelayProbe => ({ ...what, everySeconds: 1, failures: 60 });

/** Dovecot's ports are behind nginx: the probe comes from inside. */
const dovecotProbe: ProbeOf = { command: ["/bin/bash", "-c", `: </dev/tcp/127.0.0.1/${loopback.imaps}`] };

const withPlan = (part: Part) => [programs.quiet, programs.withPlan, part];

const asVmail = { uid: vmail.uid, gid: vmail.gid, capabilities: [], env: {} } as const;
const asPostfix = { uid: 0, gid: 0, capabilities: ["SETUID", "SETGID", "DAC_OVERRIDE"], env: {} } as const;

/** Runs before the others and ends: gives a new volume its folders. Only it may change owners. */
export const prepareContainer: RelayContainer = {
  name: "prepare",
  command: [programs.prepareVolume],
  uid: 0,
  gid: 0,
  capabilities: ["CHOWN", "FOWNER"],
  env: {},
  mounts: [mail, queue, postfixState, { from: "data", subPath: "plan", at: folders.lastPlan }],
  ports: [],
};

/**
 * Young objects get 4 MB, the heap grows by two fifths of what is in use, and all threads share one
 * malloc arena: 120 MiB after some thousand mails and logins and not 158 (decision 0011). Garbage
 * is collected once the daemon is at rest (decision 0060).
 */
const nodeFlags = ["--max-semi-space-size=4", "--heap-growing-percent=40", "--expose-gc"];
/** Threads of the pool wait for the disk while messages are written; passwords need two of them. */
const nodeEnv = { MALLOC_ARENA_MAX: "1", UV_THREADPOOL_SIZE: "8" };

/** The containers that stay, in the order they are started. */
export function relayContainers(extras: Extras = {}): readonly (RelayContainer & { name: RelayContainerName })[] {
  const { turn } = extras;
  return [
    {
      ...asVmail,
      name: "relay",
      command: [programs.node, ...nodeFlags, programs.relay],
      env: nodeEnv,
      mounts: [
        ...[plan, tls, dkim, invites, appVersions, ...(turn ? [turnSecret] : []), run, mail],
        { from: "data", subPath: "plan", at: folders.lastPlan },
      ],
      ports: listen("health"),
      startup: { http: { path: "/readyz", port: ports.health }, everySeconds: 1, failures: 60 },
      readiness: { http: { path: "/readyz", port: ports.health }, everySeconds: 10, failures: 3 },
      liveness: { http: { path: "/healthz", port: ports.health }, everySeconds: 20, failures: 3 },
    },
    {
      ...asVmail,
      name: "dovecot",
      command: [...withPlan("dovecot"), programs.startDovecot, `${folders.dovecotConfig}/dovecot.conf`],
      mounts: [
        plan,
        lastPlan,
        rendered("dovecot"),
        run,
        mail,
        { from: "scratch", name: "dovecot-run", at: folders.dovecotRun },
        { from: "scratch", name: "dovecot-tmp", at: "/tmp" },
      ],
      ports: [],
      startup: startup(dovecotProbe),
      liveness: { ...dovecotProbe, everySeconds: 60, failures: 3 },
    },
    {
      name: "postfix",
      command: [...withPlan("postfix"), programs.startPostfix, folders.postfixConfig],
      ...asPostfix,
      mounts: [plan, lastPlan, rendered("postfix"), run, queue, postfixState],
      ports: listen("smtp", "submission"),
      startup: startup({ tcp: ports.smtp }),
    },
    {
      ...asVmail,
      name: "web",
      command: [...withPlan("web"), "/usr/sbin/nginx", "-c", `${folders.webConfig}/nginx.conf`, "-e", "stderr"],
      mounts: [plan, lastPlan, rendered("web"), pages, run, { from: "scratch", name: "web-tmp", at: "/tmp" }],
      // of the programs behind it, too
      ports: listen("http", "https", "imap", "imaps", "submissions"),
      startup: startup({ tcp: ports.https }),
      liveness: { tcp: ports.https, everySeconds: 60, failures: 3 },
    },
    ...(turn ? [turnContainer(turn)] : []),
  ];
}

function turnContainer({ relayPorts, external }: NonNullable<Extras["turn"]>) {
  const known = external && "address" in external ? { EXTERNAL_IP: external.address } : {};
  const asked = external && "podField" in external ? { EXTERNAL_IP: external.podField } : {};
  return {
    ...asVmail,
    name: "turn",
    command: [programs.quiet, programs.startTurn, turnConfigFile, turnSecretFile],
    env: known,
    podEnv: { POD_IP: "status.podIP", ...asked },
    mounts: [plan, lastPlan, turnSecret, { from: "scratch", name: "turn-tmp", at: "/tmp", inMemory: true }],
    ports: [
      { name: "turn", port: ports.turn, protocol: "UDP" },
      ...relayPorts.map((port) => ({ name: `turn-${port}`, port, protocol: "UDP" }) as const),
    ],
  } as const satisfies RelayContainer;
}

/**
 * What another image is asked before it replaces the one that runs: whether each program's own
 * checker takes the configuration that the image makes of the plan with this digest. As the users
 * and with the rights that the programs have; without the volume, keys and certificates. To be run
 * one after the other: the first that fails says why.
 */
export function checkContainers(planHash: string): readonly RelayContainer[] {
  const check = (part: Part) => [programs.node, programs.render, part, "check", planHash];
  const emptyFolder = (name: string, at: string): RelayMount => ({ from: "scratch", name, at });
  const state = [emptyFolder("queue", folders.queue), emptyFolder("postfix-state", folders.postfixState)];
  return [
    {
      ...prepareContainer,
      mounts: [...state, emptyFolder("mail", folders.mail), emptyFolder("last-plan", folders.lastPlan)],
    },
    {
      ...asPostfix,
      name: "postfix",
      command: check("postfix"),
      mounts: [plan, rendered("postfix"), run, ...state],
      ports: [],
    },
    {
      ...asVmail,
      name: "dovecot",
      command: check("dovecot"),
      mounts: [
        ...[plan, rendered("dovecot"), run],
        ...[emptyFolder("dovecot-run", folders.dovecotRun), emptyFolder("dovecot-tmp", "/tmp")],
      ],
      ports: [],
    },
    {
      ...asVmail,
      name: "web",
      command: check("web"),
      mounts: [plan, rendered("web"), run, emptyFolder("web-tmp", "/tmp")],
      ports: [],
    },
  ];
}

/**
 * Of a server that is deleted while its identity is kept: they delete the mail in mailboxes and in
 * the queue, each as the user whose it is. No plan is needed.
 */
export const eraseContainers: readonly RelayContainer[] = [
  {
    ...asVmail,
    name: "erase-mail",
    command: [programs.node, programs.expire, "--all", "mail"],
    mounts: [mail],
    ports: [],
  },
  {
    name: "erase-queue",
    command: [programs.node, programs.expire, "--all", "queue"],
    uid: postfix.uid,
    gid: postfix.gid,
    capabilities: [],
    env: {},
    mounts: [queue],
    ports: [],
  },
];

/**
 * Copies the volume to another one. Root, since the files are of several users; it reads nothing
 * but files.
 */
export const moveContainer = (pass: MovePass): RelayContainer => ({
  name: "move",
  command: [programs.node, programs.move, pass],
  uid: 0,
  gid: 0,
  capabilities: ["CHOWN", "DAC_OVERRIDE", "FOWNER"],
  env: {},
  mounts: [
    { from: "wholeData", at: folders.moveFrom },
    { from: "copy", at: folders.moveTo },
  ],
  ports: [],
});

/** Exit code of a copy that another try can't make better. */
export const moveHasNoHope = 3;

/** `first`: while the relay runs. `rest`: what has changed since, while it does not. */
export type MovePass = "first" | "rest";

/** The daily clean-up: a job of its own beside the pod, on the same volume. */
export const expiryContainer: RelayContainer = {
  ...asVmail,
  name: "expire",
  command: [programs.node, programs.expire],
  mounts: [plan, lastPlan, mail],
  ports: [],
};

/**
 * A backup: a job of its own beside the pod. It reads the volume and the keys, and writes to a
 * store or to another volume.
 */
export const backupContainer = (
  domain: string,
  options: Pick<RelayContainer, "secretEnv"> & {
    args: readonly string[];
    toVolume?: boolean;
    ownAuthority?: boolean;
    turn: boolean;
    acme: boolean;
  },
): RelayContainer => ({
  ...asVmail,
  name: "backup",
  command: [programs.node, programs.backup, ...options.args],
  ...(options.secretEnv && { secretEnv: options.secretEnv }),
  mounts: [
    ...[plan, lastPlan, tls, dkim, invites],
    ...(options.turn ? [{ from: "turnSecret", at: domainFolder(folders.turnSecret, domain) } as const] : []),
    ...(options.acme ? [{ from: "acmeAccount", at: domainFolder(folders.acmeAccount, domain) } as const] : []),
    { from: "data", subPath: "mail", at: folders.mail, readOnly: true },
    ...(options.toVolume ? [{ from: "backups", at: folders.backups } as const] : []),
    ...(options.ownAuthority ? [storeAuthority] : []),
  ],
  ports: [],
});

const storeAuthority: RelayMount = { from: "storeAuthority", at: folders.storeAuthority };
const ageIdentity: RelayMount = { from: "ageIdentity", at: folders.ageIdentity };

/** What the container of a reader needs beside the arguments. */
interface ReaderOptions extends Pick<RelayContainer, "secretEnv"> {
  args: readonly string[];
  fromVolume: boolean;
  hasKey: boolean;
  ownAuthority: boolean;
}

const readerMounts = ({ hasKey, fromVolume, ownAuthority }: ReaderOptions): RelayMount[] => [
  ...(hasKey ? [ageIdentity] : []),
  ...(fromVolume ? [{ from: "backups", at: folders.backups, readOnly: true } as const] : []),
  ...(ownAuthority ? [storeAuthority] : []),
];
const identitiesArgument = ["--identities", `${folders.ageIdentity}/${ageIdentityKey}`];

/** Reads the newest backup, and nothing of the relay. */
export const drillContainer = (domain: string, options: ReaderOptions): RelayContainer => ({
  ...asVmail,
  name: "drill",
  command: [
    ...[programs.node, programs.backup, "drill", "--domain", domain],
    ...[...identitiesArgument, ...options.args],
  ],
  ...(options.secretEnv && { secretEnv: options.secretEnv }),
  mounts: readerMounts(options),
  ports: [],
});

/** Fills a new volume from a backup, before any other program sees it. */
export const restoreContainer = (domain: string, options: ReaderOptions): RelayContainer => ({
  ...asVmail,
  name: "restore",
  command: [
    ...[programs.node, programs.backup, "bootstrap", "--domain", domain],
    ...[...(options.hasKey ? identitiesArgument : []), ...options.args],
  ],
  ...(options.secretEnv && { secretEnv: options.secretEnv }),
  mounts: [mail, ...readerMounts(options)],
  ports: [],
});

/** Fills a new volume from the files of another relay, before any other program sees it. */
export const importContainer = (domain: string): RelayContainer => ({
  ...asVmail,
  name: "import",
  command: [programs.node, programs.import, "bootstrap", "--domain", domain, "--from", folders.imported],
  mounts: [plan, lastPlan, mail, { from: "imported", at: folders.imported }],
  ports: [],
});
