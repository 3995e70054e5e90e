/** From the containers of src/mail, which are plain values, to what a Kubernetes pod says. */
import type { V1Container, V1PodSpec, V1Probe, V1Volume, V1VolumeMount } from "@kubernetes/client-node";
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import { amountOf } from "../../../api/quantity.ts";
import { builtInAccountSecret } from "../../../api/spec/certificate.ts";
import type { Job, Json } from "../../../kube/kinds.ts";
import { signsMail } from "../../../mail/address.ts";
import {
  type Extras,
  isDomainMount,
  type RelayContainer,
  type RelayMount,
  type RelayProbe,
} from "../../../pod/containers.ts";
import {
  ageIdentityKey,
  domainFolder,
  givenTls,
  lastTls,
  planFile,
  storeAuthorityFile,
  vmail,
} from "../../../pod/layout.ts";
import { appVersionsKey } from "../../../pod/relay-config.ts";
import { builtInResources, emptyLimit, runLimit, scratchLimit } from "../../../pod/resources.ts";
import { turnSecretKey } from "../../../pod/turn.ts";
import { type Component, childLabels } from "./child.ts";
import { isEdgePort } from "./edge-routes.ts";
import { servedPorts } from "./service.ts";

export interface PodPlan {
  server: ChatmailServer;
  image: string;
  tlsSecretName: string;
  /** Of the Secrets that the pod reads only as it starts. */
  secretsHash: string;
  /** The Secret of invites must not be mounted: it may not hold any. */
  noInvites?: true | undefined;
  extras: Extras;
  /** Of jobs: the claim with the mailboxes, where it is not the first one; and one to copy to. */
  claimName?: string | undefined;
  copyClaimName?: string | undefined;
}

type Container = Json<V1Container>;
type Probe = Json<V1Probe>;
type Volume = Json<V1Volume>;
export type PodSpec = Json<V1PodSpec>;

/** Whole numbers of seconds a probe's program may take to answer. */
const probeTimeoutSeconds = 5;

export function containerOf(container: RelayContainer, plan: PodPlan): Container {
  const { server, image } = plan;
  const env = [
    ...Object.entries(container.env).map(([name, value]) => ({ name, value })),
    ...Object.entries(container.podEnv ?? {}).map(([name, fieldPath]) => ({
      name,
      valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } },
    })),
    ...Object.entries(container.secretEnv ?? {}).map(([name, { secretName, key }]) => ({
      name,
      valueFrom: { secretKeyRef: { name: secretName, key, ...(container.name === "restore" && { optional: true }) } },
    })),
  ];
  const { exposure, web } = server.spec.network;
  const hostPorts = exposure === "HostPort";
  const isServed = (name: string, protocol: string) =>
    protocol === "UDP" ||
    ((servedPorts as readonly string[]).includes(name) && !(web.mode === "Edge" && isEdgePort(name)));
  return {
    name: container.name,
    image,
    imagePullPolicy: server.spec.image.pullPolicy,
    command: container.command,
    securityContext: {
      runAsUser: container.uid,
      runAsGroup: container.gid,
      runAsNonRoot: container.uid !== 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"], ...addedTo(container) },
    },
    volumeMounts: container.mounts.map((mount) => mountOf(mount, server.spec.domain)),
    ...(env.length > 0 && ({ env } satisfies Partial<Container>)),
    resources: resourcesOf(container.name, server.spec),
    ...(container.ports.length > 0 &&
      ({
        ports: container.ports.map(({ name, port, protocol = "TCP" }) =>
          hostPorts && isServed(name, protocol)
            ? { name, containerPort: port, protocol, hostPort: port }
            : { name, containerPort: port, protocol },
        ),
      } satisfies Partial<Container>)),
    ...probesOf(container),
  };
}

const addedTo = ({ capabilities }: RelayContainer): NonNullable<Container["securityContext"]>["capabilities"] =>
  capabilities.length > 0 ? { add: capabilities } : {};

type Probes = Pick<Container, "startupProbe" | "readinessProbe" | "livenessProbe">;

function probesOf({ startup, readiness, liveness }: RelayContainer): Probes {
  const probes: { -readonly [Key in keyof Probes]: Probes[Key] } = {};
  if (startup) probes.startupProbe = probeOf(startup);
  if (readiness) probes.readinessProbe = probeOf(readiness);
  if (liveness) probes.livenessProbe = probeOf(liveness);
  return probes;
}

/**
 * What the spec says goes before what is built in, for each of CPU and memory. A request of the
 * spec above a built-in limit takes the limit away; a limit of the spec below a built-in request
 * lowers the request: the API server refuses a request above its limit.
 */
function resourcesOf(container: string, spec: ChatmailServer["spec"]): NonNullable<Container["resources"]> {
  // who deletes everything needs no more than who deletes what is old
  const isExpiry = container === "expire" || container === "move" || container.startsWith("erase-");
  const isBackup = ["restore", "import", "drill"].includes(container);
  const own = isBackup ? "backup" : container;
  const builtIn = builtInResources(spec)[(isExpiry ? "expire" : own) as keyof ReturnType<typeof builtInResources>];
  const given = spec.resources[(isExpiry ? "expiry" : own) as keyof typeof spec.resources];
  const requests: Record<string, string> = {};
  const limits: Record<string, string> = {};
  for (const name of ["cpu", "memory"] as const) {
    const [wanted, most] = [given?.requests?.[name], given?.limits?.[name]];
    const request = wanted ?? builtIn.requests[name];
    const limit = most ?? (name === "memory" ? builtIn.limits.memory : undefined);
    const fits = limit === undefined || amountOf(request) <= amountOf(limit);
    requests[name] = fits || wanted !== undefined ? request : limit;
    if (limit !== undefined && (fits || most !== undefined)) limits[name] = limit;
  }
  return Object.keys(limits).length > 0 ? { requests, limits } : { requests };
}

/** The volume with the mailboxes. */
const dataVolume = "data";

/**
 * The template with the mailboxes on this claim. Which claim it is stands in no revision: a pod
 * that goes back to an earlier revision stays on the volume that is in use.
 */
export function onClaim<T extends PodTemplateLike>(template: T, claimName: string): T {
  if (!template.spec) return template;
  const volumes = template.spec.volumes?.map((volume) =>
    volume.name === dataVolume ? { ...volume, persistentVolumeClaim: { claimName } } : volume,
  );
  return { ...template, spec: { ...template.spec, ...(volumes && { volumes }) } };
}

type PodTemplateLike = NonNullable<Job["spec"]>["template"];

const volumeNames = {
  plan: "plan",
  pages: "pages",
  tls: "tls",
  dkim: "dkim",
  invites: "invites",
  appVersions: "app-versions",
  turnSecret: "turn-secret",
  acmeAccount: "acme-account",
  ageIdentity: "age-identity",
  storeAuthority: "store-authority",
} as const;

function mountOf(mount: RelayMount, domain: string): Json<V1VolumeMount> {
  if (isDomainMount(mount))
    return { name: volumeNames[mount.from], mountPath: domainFolder(mount.at, domain), readOnly: true };
  switch (mount.from) {
    case "plan":
    case "turnSecret":
    case "acmeAccount":
    case "ageIdentity":
    case "storeAuthority":
      return { name: volumeNames[mount.from], mountPath: mount.at, readOnly: true };
    case "run":
      return { name: mount.from, mountPath: mount.at };
    case "wholeData":
      return { name: dataVolume, mountPath: mount.at, readOnly: true };
    case "copy":
      return { name: mount.from, mountPath: mount.at };
    case "backups":
      return { name: mount.from, mountPath: mount.at, ...(mount.readOnly && { readOnly: true }) };
    case "imported":
      return { name: mount.from, mountPath: mount.at, readOnly: true };
    case "data":
      return mount.readOnly
        ? { name: dataVolume, mountPath: mount.at, subPath: mount.subPath, readOnly: true }
        : { name: dataVolume, mountPath: mount.at, subPath: mount.subPath };
    case "scratch":
      return { name: mount.name, mountPath: mount.at };
  }
}

function probeOf(probe: RelayProbe): Probe {
  return {
    ...questionOf(probe),
    periodSeconds: probe.everySeconds,
    failureThreshold: probe.failures,
    timeoutSeconds: probeTimeoutSeconds,
  };
}

function questionOf(probe: RelayProbe): Pick<Probe, "tcpSocket" | "httpGet" | "exec"> {
  if ("tcp" in probe) return { tcpSocket: { port: probe.tcp } };
  if ("http" in probe) return { httpGet: probe.http };
  return { exec: { command: probe.command } };
}

/** The volumes that these containers mount, each once, in the order they are first mounted. */
export function volumesFor(containers: readonly RelayContainer[], plan: PodPlan): Volume[] {
  const volumes = containers.flatMap(({ name, mounts }) => mounts.map((mount) => volumeOf(mount, name, plan)));
  return [...new Map(volumes.map((volume) => [volume.name, volume])).values()];
}

function volumeOf(mount: RelayMount, container: string, plan: PodPlan): Volume {
  const { server, tlsSecretName } = plan;
  const names = childNames(server.metadata.name);
  switch (mount.from) {
    case "plan":
      return { name: volumeNames.plan, configMap: { name: names.planConfigMap, items: items(planFile) } };
    case "pages": {
      const own = server.spec.website.configMapName;
      const name = volumeNames.pages;
      return own === undefined
        ? { name, emptyDir: { sizeLimit: emptyLimit } }
        : { name, configMap: { name: own, optional: true } };
    }
    case "tls":
      // 0440 and fsGroup: the daemons' group may read the key, nobody else. Optional: a Secret that
      // is gone must keep no pod from starting that has the last certificate.
      return {
        name: volumeNames.tls,
        projected: {
          sources: [
            { secret: { name: tlsSecretName, items: tlsItems(), optional: true } },
            { secret: { name: names.lastTlsSecret, items: tlsItems(`${lastTls}/`), optional: true } },
          ],
          defaultMode: 0o440,
        },
      };
    case "dkim": {
      const name = volumeNames.dkim;
      if (!signsMail(server.spec.domain)) return { name, emptyDir: { sizeLimit: emptyLimit } };
      // whole: keys come and go while the pod runs
      return { name, secret: { secretName: names.dkimSecret, defaultMode: 0o440 } };
    }
    case "invites": {
      // Our own is mounted whatever registration is now, so that Invite needs no other pod; one
      // that a person names only once it was looked at.
      const { registration, invitesSecretName: given } = server.spec.accounts;
      if (plan.noInvites || (registration !== "Invite" && given !== undefined))
        return { name: volumeNames.invites, emptyDir: { sizeLimit: emptyLimit } };
      // The user names the keys of this Secret, so it is mounted whole; optional, so that the pod
      // starts without it.
      const secretName = given ?? names.invitesSecret;
      return { name: volumeNames.invites, secret: { secretName, defaultMode: 0o440, optional: true } };
    }
    case "appVersions": {
      const given = server.spec.services.appVersions.configMapName;
      const name = volumeNames.appVersions;
      return given === undefined
        ? { name, emptyDir: { sizeLimit: emptyLimit } }
        : { name, configMap: { name: given, items: items(appVersionsKey), optional: true } };
    }
    case "turnSecret":
      return {
        name: volumeNames.turnSecret,
        secret: { secretName: names.turnSecret, items: items(turnSecretKey), defaultMode: 0o440 },
      };
    case "run":
      // in memory: the served key is in it
      return { name: "run", emptyDir: { medium: "Memory", sizeLimit: runLimit } };
    case "data":
    case "wholeData":
      return { name: dataVolume, persistentVolumeClaim: { claimName: plan.claimName ?? names.volumeClaim } };
    case "copy":
      return { name: "copy", persistentVolumeClaim: { claimName: plan.copyClaimName ?? "" } };
    case "acmeAccount": {
      const secretName = server.spec.certificate.acme?.accountSecretName ?? builtInAccountSecret;
      return { name: volumeNames.acmeAccount, secret: { secretName, defaultMode: 0o440, optional: true } };
    }
    case "ageIdentity": {
      // optional: it is to be deleted when all is restored
      const { bootstrap, backup } = server.spec;
      const given = container === "drill" ? backup.drill : bootstrap?.restore;
      const secretName = given?.ageIdentitySecretName ?? "";
      const name = volumeNames.ageIdentity;
      return { name, secret: { secretName, items: items(ageIdentityKey), defaultMode: 0o440, optional: true } };
    }
    case "backups": {
      const { bootstrap, backup } = server.spec;
      const given = container === "restore" ? bootstrap?.restore : backup.destination;
      return { name: "backups", persistentVolumeClaim: { claimName: given?.volumeClaim?.name ?? "" } };
    }
    case "imported": {
      const claimName = server.spec.bootstrap?.import?.volumeClaim.name ?? "";
      return { name: "imported", persistentVolumeClaim: { claimName } };
    }
    case "storeAuthority": {
      // optional: the program says what is missing, and a volume that is filled needs none
      const { bootstrap, backup } = server.spec;
      const given = container === "restore" ? bootstrap?.restore : backup.destination;
      const { configMapName, secretName = "", key = "" } = given?.s3?.caBundle ?? {};
      const kept = { items: [{ key, path: storeAuthorityFile }], optional: true };
      const name = volumeNames.storeAuthority;
      return configMapName === undefined
        ? { name, secret: { secretName, ...kept } }
        : { name, configMap: { name: configMapName, ...kept } };
    }
    case "scratch":
      return {
        name: mount.name,
        emptyDir: mount.inMemory
          ? { medium: "Memory", sizeLimit: "8Mi" }
          : { sizeLimit: scratchLimit(mount.name, server.spec) },
      };
  }
}

/**
 * The keys of a Secret or ConfigMap that the pod sees, each as a file of its name: nothing else in
 * the object reaches the pod.
 */
const tlsItems = (folder = "") => [givenTls.certificate, givenTls.key].map((key) => ({ key, path: `${folder}${key}` }));

const items = (...keys: string[]) => keys.map((key) => ({ key, path: key }));

/** Of the template of a server's pods: what the spec says, and before it what is ours. */
export function podMeta(server: ChatmailServer, component: Component, own: Record<string, string> = {}) {
  const { labels, annotations } = server.spec.pod;
  const all = { ...annotations, ...own };
  return {
    labels: { ...labels, ...childLabels(server, component) },
    ...(Object.keys(all).length > 0 && { annotations: all }),
  };
}

/**
 * What all pods of a server have: no credentials, no variables of other Services, the spec's wishes
 * for nodes.
 */
export function podBasics(server: ChatmailServer): Partial<PodSpec> {
  const { scheduling, image, pod } = server.spec;
  const { nodeSelector, tolerations, priorityClassName, runtimeClassName } = scheduling;
  return {
    ...(image.pullSecrets && ({ imagePullSecrets: image.pullSecrets } satisfies Partial<PodSpec>)),
    ...(pod.serviceAccountName !== undefined &&
      ({ serviceAccountName: pod.serviceAccountName } satisfies Partial<PodSpec>)),
    ...(runtimeClassName !== undefined && ({ runtimeClassName } satisfies Partial<PodSpec>)),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(nodeSelector && ({ nodeSelector } satisfies Partial<PodSpec>)),
    ...(tolerations && { tolerations: tolerations as NonNullable<PodSpec["tolerations"]> }),
    ...(priorityClassName !== undefined && ({ priorityClassName } satisfies Partial<PodSpec>)),
  };
}

/**
 * Mailboxes belong to one group; asking only at the top of the volume keeps the start of a full one
 * short.
 */
export const podSecurity = {
  fsGroup: vmail.gid,
  fsGroupChangePolicy: "OnRootMismatch",
  seccompProfile: { type: "RuntimeDefault" },
} as const satisfies PodSpec["securityContext"];
