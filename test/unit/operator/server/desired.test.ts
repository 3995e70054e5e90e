import { describe, expect, test } from "vitest";
import { amountOf } from "../../../../src/api/quantity.ts";
import { desiredChildren, dnsChildren } from "../../../../src/operator/server/desired.ts";
import { expiryTime } from "../../../../src/operator/server/expiry-time.ts";
import type { Seen } from "../../../../src/operator/server/seen.ts";
import { relayContainers } from "../../../../src/pod/containers.ts";
import { aServer, type SpecInput } from "../../../helpers/a-server.ts";
import { absent, dkimKeys, facts, present } from "../../../helpers/identities.ts";

const selfSigned: Seen = {
  certificate: { source: "SelfSigned", secretName: "nine-tls", facts },
  identity: { tls: present(facts), dkim: present(dkimKeys()) },
  jobs: [],
};

// biome-ignore lint/suspicious/noExplicitAny: tests look deep into objects of many kinds
type Loose = any;

const children = (spec: SpecInput = {}, seen: Seen = selfSigned): Record<string, Loose> =>
  Object.fromEntries(
    desiredChildren(aServer(spec), seen, { relayImage: "relay:1", operatorNamespace: "chatmail" }).map(({ object }) => [
      object.kind,
      object,
    ]),
  );

test("seven children, what the pod mounts before the pod", () => {
  expect(
    desiredChildren(aServer(), selfSigned, { relayImage: "relay:1", operatorNamespace: "chatmail" }).map(
      ({ object }) => `${object.kind} ${object.metadata.name}`,
    ),
  ).toEqual([
    "ConfigMap nine-plan",
    "Service nine",
    "NetworkPolicy nine",
    "NetworkPolicy nine-expiry",
    "PersistentVolumeClaim nine-data",
    "StatefulSet nine",
    "CronJob nine-expiry",
  ]);
});

test.each([
  { name: "tls", waits: true },
  { name: "dkim", waits: true },
  { name: "turn", waits: true },
  { name: "invites", waits: false },
] as const)("the pod waits for the key $name while it has to be made: $waits", ({ name, waits }) => {
  const identity = { ...selfSigned.identity, [name]: absent };
  const before = ["ConfigMap", "NetworkPolicy", "PersistentVolumeClaim", "Service"];
  const made = Object.keys(children({}, { ...selfSigned, identity })).sort();
  expect(made).toEqual(waits ? before : [...before, "CronJob", "StatefulSet"].sort());
});

test.each([
  { when: "there is no certificate for the domain", more: { source: "None" } as const },
  { when: "the given Secret may not be served", more: { source: "Secret", unusable: true } as const },
])("the pod, and no other object, waits where $when; a clean-up that is there goes on", ({ more }) => {
  const seen = { ...selfSigned, certificate: { ...selfSigned.certificate, ...more } };
  const before = ["ConfigMap", "NetworkPolicy", "PersistentVolumeClaim", "Service"];
  expect(Object.keys(children({}, seen)).sort()).toEqual(before);
  const set = children().StatefulSet as Seen["statefulSet"];
  expect(Object.keys(children({}, { ...seen, statefulSet: set })).sort()).toEqual([...before, "CronJob"].sort());
});

test.each(["Retain", "RetainIdentity", "Delete"])(
  "with %s the volume belongs to nobody; the rest to the server",
  (policy) => {
    const all = children({ storage: { reclaimPolicy: policy } });
    const isOwned = (kind: string) => all[kind]?.metadata.ownerReferences !== undefined;
    expect(isOwned("PersistentVolumeClaim")).toBe(false);
    expect(["ConfigMap", "Service", "StatefulSet", "CronJob"].map(isOwned)).toEqual([true, true, true, true]);
  },
);

test("only the relay container sees the signing key", () => {
  const pod = children().StatefulSet.spec.template.spec;
  const who = pod.containers.filter((each: Loose) => each.volumeMounts.some(({ name }: Loose) => name === "dkim"));
  expect(who.map(({ name }: Loose) => name)).toEqual(["relay"]);
  const volume = pod.volumes.find(({ name }: Loose) => name === "dkim");
  expect(volume.secret).toEqual({ secretName: "nine-dkim", defaultMode: 0o440 });
});

test("an address literal has no signing key, and its pod waits for none", () => {
  const { volumes } = children({ domain: "192.0.2.7" }).StatefulSet.spec.template.spec;
  expect(volumes.find(({ name }: Loose) => name === "dkim")).toEqual({ name: "dkim", emptyDir: { sizeLimit: "1Mi" } });
});

test("no path of a mount has the colons of an IPv6 address", () => {
  const { containers } = children({ domain: "2001:db8::9" }).StatefulSet.spec.template.spec;
  const paths = containers.flatMap((each: Loose) => each.volumeMounts.map(({ mountPath }: Loose) => mountPath));
  expect(paths).toContain("/etc/chatmail/tls/2001-db8--9");
  expect(paths.filter((path: string) => path.includes(":"))).toEqual([]);
});

test("mail pods hold no credentials and no rights they don't name", () => {
  const { StatefulSet, CronJob } = children();
  for (const pod of [StatefulSet.spec.template.spec, CronJob.spec.jobTemplate.spec.template.spec]) {
    expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
    expect(pod.securityContext).toMatchObject({ fsGroup: 5000, seccompProfile: { type: "RuntimeDefault" } });
    for (const { securityContext } of [...(pod.initContainers ?? []), ...pod.containers]) {
      expect(securityContext).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true });
      expect(securityContext.capabilities.drop).toEqual(["ALL"]);
    }
  }
  expect(CronJob.spec.jobTemplate.spec.template.spec.containers[0].securityContext.capabilities).toEqual({
    drop: ["ALL"],
  });
});

test("every volume that is mounted exists, and every volume is mounted", () => {
  const { StatefulSet, CronJob } = children();
  for (const pod of [StatefulSet.spec.template.spec, CronJob.spec.jobTemplate.spec.template.spec]) {
    const containers: Loose[] = [...(pod.initContainers ?? []), ...pod.containers];
    const mounted = new Set(containers.flatMap(({ volumeMounts }) => volumeMounts.map(({ name }: Loose) => name)));
    expect(new Set(pod.volumes.map(({ name }: Loose) => name))).toEqual(mounted);
  }
});

test("the containers of src/mail are all there, with the image of the operator's version or the spec's", () => {
  const images = (spec: SpecInput) =>
    children(spec).StatefulSet.spec.template.spec.containers.map(({ name, image }: Loose) => `${name} ${image}`);
  expect(images({})).toEqual(relayContainers().map(({ name }) => `${name} relay:1`));
  expect(images({ image: { reference: "mine:2" } })).toEqual(relayContainers().map(({ name }) => `${name} mine:2`));
});

const templateOf = (spec: SpecInput) => JSON.stringify(children(spec).StatefulSet.spec.template);

test.each([
  { when: "nothing changes", spec: {}, rolls: false },
  { when: "a limit changes", spec: { accounts: { sendRatePerMinute: 61 } }, rolls: false },
  { when: "the size of a container changes", spec: { resources: { web: { limits: { memory: "2Gi" } } } }, rolls: true },
  { when: "only the pages change", spec: { privacy: { postal: "Street 1" } }, rolls: false },
])("the pod rolls: $rolls when $when", ({ spec, rolls }) => {
  expect(templateOf(spec) !== templateOf({})).toBe(rolls);
});

test.each([
  { exposure: "LoadBalancer", type: "LoadBalancer", policy: "Local", hostPort: undefined },
  { exposure: "NodePort", type: "NodePort", policy: "Local", hostPort: undefined },
  { exposure: "HostPort", type: "ClusterIP", policy: undefined, hostPort: 25 },
])("$exposure: a Service of type $type, host port $hostPort", ({ exposure, type, policy, hostPort }) => {
  const { Service, StatefulSet } = children({ network: { exposure } });
  expect([Service.spec.type, Service.spec.externalTrafficPolicy]).toEqual([type, policy]);
  const ports: Loose[] = StatefulSet.spec.template.spec.containers.flatMap((container: Loose) => container.ports ?? []);
  expect(ports.find(({ name }) => name === "smtp").hostPort).toBe(hostPort);
  expect(ports.find(({ name }) => name === "health").hostPort).toBeUndefined();
});

describe("behind an edge", () => {
  const web = { mode: "Edge", trustedNetworks: ["10.42.0.0/16"] };
  const network = { exposure: "HostPort", web };

  test("the ports 80 and 443 of the node are left to it, and the Service has them", () => {
    const { Service, StatefulSet } = children({ network });
    const ports: Loose[] = StatefulSet.spec.template.spec.containers.flatMap((one: Loose) => one.ports ?? []);
    const hosted = ports.filter(({ hostPort }) => hostPort !== undefined).map(({ hostPort }) => hostPort);
    expect(hosted.sort((a, b) => a - b)).toEqual([25, 143, 465, 587, 993]);
    expect(Service.spec.ports.map(({ port }: Loose) => port)).toEqual(expect.arrayContaining([80, 443]));
  });

  test("Traefik is told to pass TLS on with the address of the client, and HTTP", () => {
    const { IngressRouteTCP, IngressRoute } = children({ network });
    const names = ["_nine.test", "mta-sts._nine.test", "www._nine.test"];
    expect(IngressRouteTCP.spec).toEqual({
      entryPoints: ["websecure"],
      routes: [
        {
          match: names.map((name) => `HostSNI(\`${name}\`)`).join(" || "),
          services: [{ name: Service().metadata.name, port: 443, proxyProtocol: { version: 2 } }],
        },
      ],
      tls: { passthrough: true },
    });
    expect(IngressRoute.spec.routes[0]).toMatchObject({ kind: "Rule", match: expect.stringMatching(/^Host\(`/) });
    expect(IngressRoute.metadata.ownerReferences).toHaveLength(1);
  });
  const Service = () => children({ network }).Service;

  test("without one there are no routes", () => {
    expect(Object.keys(children({ network: { exposure: "HostPort" } }))).not.toContain("IngressRoute");
  });
});

test("outside are the ports that clients and other relays know, and no others", () => {
  const { Service } = children();
  const numbers = Service.spec.ports.map(({ port, protocol = "TCP" }: Loose) => `${port} ${protocol}`);
  expect(numbers.sort()).toEqual(["143", "25", "443", "465", "587", "80", "993"].map((port) => `${port} TCP`));
});

test("every port of the Service is a port of a container", () => {
  const { Service, StatefulSet } = children();
  const named = StatefulSet.spec.template.spec.containers.flatMap((c: Loose) =>
    (c.ports ?? []).map((p: Loose) => p.name),
  );
  expect(
    Service.spec.ports.map(({ targetPort }: Loose) => targetPort).filter((port: string) => !named.includes(port)),
  ).toEqual([]);
  expect(Service.spec.ports.map(({ name }: Loose) => name)).not.toContain("health");
});

test("Dovecot, whose ports are behind nginx, is probed from inside", () => {
  const { containers } = children().StatefulSet.spec.template.spec;
  const dovecot = containers.find(({ name }: Loose) => name === "dovecot");
  const probe = { exec: { command: ["/bin/bash", "-c", ": </dev/tcp/127.0.0.1/1994"] } };
  expect(dovecot).toMatchObject({ startupProbe: probe, livenessProbe: probe });
});

test("a given Secret is mounted", () => {
  const all = children(
    { certificate: { source: "Secret", secret: { name: "mine" } } },
    { ...selfSigned, certificate: { source: "Secret", secretName: "mine" } },
  );
  const { volumes } = all.StatefulSet.spec.template.spec;
  const { sources } = volumes.find(({ name }: Loose) => name === "tls").projected;
  expect(sources.map(({ secret }: Loose) => secret.name)).toEqual(["mine", "nine-tls-last"]);
});

test("own pages take the place of the built-in ones", () => {
  const { volumes } = children({ website: { configMapName: "my-pages" } }).StatefulSet.spec.template.spec;
  expect(volumes.find(({ name }: Loose) => name === "pages").configMap).toEqual({
    name: "my-pages",
    optional: true,
  });
});

test.each([
  { when: "there is none yet", existing: undefined, size: "10Gi" },
  { when: "the one there is smaller", existing: "5Gi", capacity: "5Gi", size: "10Gi" },
  { when: "the one there is smaller and not bound, so that it can't be changed", existing: "5Gi", size: "5Gi" },
  { when: "the one that was kept is larger", existing: "20Gi", capacity: "20Gi", size: "20Gi" },
  { when: "the volume has not grown to what was asked for", existing: "20Gi", capacity: "5Gi", size: "10Gi" },
  { when: "the API server would not take the request back so far", existing: "20Gi", capacity: "10Gi", size: "20Gi" },
])("the claim asks for $size when $when", ({ existing, capacity, size }) => {
  const volumeClaim = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "nine-data" },
    spec: { resources: { requests: { ...(existing && { storage: existing }) } } },
    status: capacity ? { phase: "Bound", capacity: { storage: capacity } } : { phase: "Pending" },
  };
  const seen = { ...selfSigned, ...(existing && { volumeClaim }) };
  expect(children({}, seen).PersistentVolumeClaim.spec.resources.requests.storage).toBe(size);
});

test.each([
  { when: "it is new", wanted: "fast", existing: undefined, is: "fast" },
  { when: "the defaults have become others", wanted: "fast", existing: { storageClassName: "slow" }, is: "slow" },
  { when: "the default is gone", wanted: undefined, existing: { storageClassName: "slow" }, is: "slow" },
  { when: "the cluster chose none", wanted: "fast", existing: {}, is: undefined },
])("the claim has the class $is when $when", ({ wanted, existing, is }) => {
  const volumeClaim =
    existing &&
    ({ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name: "nine-data" }, spec: existing } as const);
  const storage = wanted === undefined ? {} : { storageClassName: wanted };
  const claim = children({ storage }, { ...selfSigned, volumeClaim }).PersistentVolumeClaim;
  expect(claim.spec.storageClassName).toBe(is);
});

test("expiry runs daily on the pod's node, never twice at once", () => {
  const { CronJob } = children();
  expect(CronJob.spec).toMatchObject({ timeZone: "Etc/UTC", concurrencyPolicy: "Forbid" });
  const { hour, minute } = expiryTime(aServer());
  expect(CronJob.spec.schedule).toBe(`${minute} ${hour} * * *`);
  const [term] =
    CronJob.spec.jobTemplate.spec.template.spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution;
  expect(term.labelSelector.matchLabels).toEqual(children().StatefulSet.spec.selector.matchLabels);
});

test("the spec's wishes for CPU, memory and nodes reach the pod", () => {
  const { StatefulSet } = children({
    resources: { dovecot: { limits: { memory: "1Gi" } } },
    scheduling: { nodeSelector: { disk: "ssd" }, tolerations: [{ operator: "Exists" }], priorityClassName: "high" },
  });
  const pod = StatefulSet.spec.template.spec;
  expect(pod.containers.find(({ name }: Loose) => name === "dovecot").resources).toEqual({
    requests: { cpu: "25m", memory: "64Mi" },
    limits: { memory: "1Gi" },
  });
  expect(pod).toMatchObject({
    nodeSelector: { disk: "ssd" },
    tolerations: [{ operator: "Exists" }],
    priorityClassName: "high",
  });
});

describe("what the spec says of pods and Service", () => {
  const spec = {
    image: { pullPolicy: "Always", pullSecrets: [{ name: "registry" }] },
    pod: {
      labels: { team: "mail", "chatmail.dev/server": "other" },
      annotations: { a: "b", "chatmail.dev/secrets-hash": "x" },
      serviceAccountName: "mail",
    },
    resources: { expiry: { limits: { memory: "1Gi" } } },
    scheduling: { affinity: { nodeAffinity: {} }, runtimeClassName: "gvisor" },
    network: {
      service: {
        labels: { team: "mail", "chatmail.dev/server": "other" },
        loadBalancerSourceRanges: ["192.0.2.0/24"],
        allocateNodePorts: false,
      },
    },
  };
  const { Service, StatefulSet, CronJob } = children(spec);
  const templates: Loose[] = [StatefulSet.spec.template, CronJob.spec.jobTemplate.spec.template];

  test.each(templates)(
    "is in both templates, and takes the place of nothing that is ours",
    ({ metadata, spec: pod }) => {
      expect(metadata.labels).toMatchObject({ team: "mail", "chatmail.dev/server": "nine" });
      expect(metadata.annotations.a).toBe("b");
      expect(pod).toMatchObject({
        imagePullSecrets: [{ name: "registry" }],
        serviceAccountName: "mail",
        runtimeClassName: "gvisor",
      });
      expect(pod.containers.map(({ imagePullPolicy }: Loose) => imagePullPolicy)).not.toContain("IfNotPresent");
    },
  );

  test("annotations of ours stay, affinity is the relay pod's, and the expiry job has resources of its own", () => {
    const [relay, expiry] = templates;
    expect(relay?.metadata.annotations["chatmail.dev/secrets-hash"]).toMatch(/^[0-9a-f]{16}$/);
    expect(relay?.spec.affinity).toEqual({ nodeAffinity: {} });
    expect(expiry?.spec.affinity).toHaveProperty("podAffinity");
    expect(expiry?.spec.containers[0].resources.limits).toEqual({ memory: "1Gi" });
  });

  test("is in the Service, where it is a load balancer's", () => {
    expect(Service.metadata.labels).toMatchObject({ team: "mail", "chatmail.dev/server": "nine" });
    expect(Service.spec).toMatchObject({
      loadBalancerSourceRanges: ["192.0.2.0/24"],
      allocateLoadBalancerNodePorts: false,
    });
    const hosted = children({ network: { exposure: "HostPort", service: { allocateNodePorts: false } } }).Service;
    expect(hosted.spec).not.toHaveProperty("allocateLoadBalancerNodePorts");
  });

  test("node ports are those that are given; the cluster chooses the others", () => {
    const nodePorts = { smtp: 30_025, turn: 30_478 };
    const services = { turn: { enabled: true, firstRelayPort: 50_000, relayPortCount: 4 } };
    const given = (exposure: string) =>
      children({ services, network: { exposure, service: { nodePorts } } }).Service.spec.ports.flatMap(
        ({ name, nodePort }: Loose) => (nodePort === undefined ? [] : [[name, nodePort]]),
      );
    const both = [
      ["smtp", 30_025],
      ["turn", 30_478],
    ];
    expect(given("NodePort")).toEqual(both);
    expect(given("LoadBalancer")).toEqual(both);
  });

  test("annotations of the volume claim take the place of none of ours", () => {
    const { annotations } = children({ storage: { annotations: { a: "b", "chatmail.dev/domain": "x" } } })
      .PersistentVolumeClaim.metadata;
    expect(annotations).toMatchObject({ a: "b", "chatmail.dev/domain": "_nine.test" });
  });
});

describe("TURN", () => {
  const withTurn = { services: { turn: { enabled: true, firstRelayPort: 50_000, relayPortCount: 4 } } };
  const balanced = (...ingress: object[]): Seen => ({
    ...selfSigned,
    identity: { ...selfSigned.identity, turn: present("0f1e2d3c") },
    service: {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "nine" },
      status: { loadBalancer: { ingress } },
    },
  });
  const turnOf = (network: object, seen: Seen) => {
    const { Service, StatefulSet } = children({ ...withTurn, network }, seen);
    const pod = StatefulSet.spec.template.spec;
    const container = pod.containers.find(({ name }: Loose) => name === "turn");
    const udp = (ports: Loose[]) => ports.filter(({ protocol }) => protocol === "UDP");
    return {
      service: udp(Service.spec.ports).map(({ port }) => port),
      host: container.ports.flatMap(({ hostPort }: Loose) => hostPort ?? []),
      external: container.env.find(({ name }: Loose) => name === "EXTERNAL_IP"),
    };
  };
  const node = { name: "EXTERNAL_IP", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "status.hostIP" } } };
  const is = (value: string) => ({ name: "EXTERNAL_IP", value });

  test.each([
    {
      exposure: "LoadBalancer",
      service: [3478, 50_000, 50_001, 50_002, 50_003],
      host: [],
      external: is("203.0.113.7"),
    },
    { exposure: "NodePort", service: [3478], host: [], external: node },
    { exposure: "HostPort", service: [3478], host: [3478, 50_000, 50_001, 50_002, 50_003], external: node },
  ])("$exposure opens $service in the Service and $host on the node", ({ exposure, ...expected }) => {
    expect(turnOf({ exposure }, balanced({ ip: "2001:db8::7" }, { ip: "203.0.113.7" }))).toEqual(expected);
  });

  test.each([
    { when: "the load balancer has no address yet", ingress: [], network: {}, external: undefined },
    { when: "it has only a name", ingress: [{ hostname: "lb.example" }], network: {}, external: undefined },
    {
      when: "it has only a name, and the spec an address",
      ingress: [{ hostname: "lb.example" }],
      network: { addresses: ["2001:db8::1", "192.0.2.1"] },
      external: is("192.0.2.1"),
    },
    {
      when: "the spec knows better",
      ingress: [{ ip: "203.0.113.7" }],
      network: { addresses: ["2001:db8::1", "192.0.2.1"] },
      external: is("192.0.2.1"),
    },
    {
      when: "the load balancer has two",
      ingress: [{ ip: "203.0.113.7" }, { ip: "203.0.113.12" }],
      network: {},
      external: is("203.0.113.12"),
    },
    {
      when: "the load balancer tells the same two the other way round",
      ingress: [{ ip: "203.0.113.12" }, { ip: "203.0.113.7" }],
      network: {},
      external: is("203.0.113.12"),
    },
    {
      when: "the spec has two, of which the first counts",
      ingress: [],
      network: { addresses: ["203.0.113.7", "192.0.2.1"] },
      external: is("203.0.113.7"),
    },
  ])("seen from outside as $external.value when $when", ({ ingress, network, external }) => {
    expect(turnOf(network, balanced(...ingress)).external).toEqual(external);
  });

  test("the secret is seen by relay and turn alone, and another one rolls the pod", () => {
    const all: Loose[] = desiredChildren(aServer(withTurn), balanced(), {
      relayImage: "relay:1",
      operatorNamespace: "chatmail",
    }).map((each) => each.object);
    expect(JSON.stringify(all)).not.toContain("0f1e2d3c");
    const pod = all.find(({ kind }) => kind === "StatefulSet")?.spec.template.spec;
    const sees = ({ volumeMounts }: Loose) => volumeMounts.some(({ name }: Loose) => name === "turn-secret");
    expect(pod.containers.filter(sees).map(({ name }: Loose) => name)).toEqual(["relay", "turn"]);
    const hash = (seen: Seen) =>
      children(withTurn, seen).StatefulSet.spec.template.metadata.annotations["chatmail.dev/secrets-hash"];
    expect(hash({ ...balanced(), identity: { ...selfSigned.identity, turn: present("other") } })).not.toBe(
      hash(balanced()),
    );
  });
});

test("the pod asks validating resolvers where there are some, else the cluster's DNS", () => {
  const pod = (spec: SpecInput) => children(spec).StatefulSet.spec.template.spec;
  expect(pod({})).not.toHaveProperty("dnsPolicy");
  const dnssecResolvers = ["192.0.2.53", "2001:db8::53"];
  expect(pod({ network: { dnssecResolvers } })).toMatchObject({
    dnsPolicy: "None",
    dnsConfig: { nameservers: dnssecResolvers, options: [{ name: "edns0" }, { name: "trust-ad" }] },
  });
});

describe("what a pod sees of Secrets and ConfigMaps that a person names", () => {
  const volume = (name: string, spec: SpecInput, seen: Partial<Seen> = {}) =>
    children(spec, { ...selfSigned, ...seen }).StatefulSet.spec.template.spec.volumes.find(
      (each: Loose) => each.name === name,
    );
  const key = (name: string) => ({ key: name, path: name });

  test("a certificate and its key, and no other key", () => {
    expect(volume("tls", {}).projected.sources.map(({ secret }: Loose) => secret.items)).toEqual([
      [key("tls.crt"), key("tls.key")],
      [
        { key: "tls.crt", path: "last/tls.crt" },
        { key: "tls.key", path: "last/tls.key" },
      ],
    ]);
  });

  test.each([
    { registration: "Open", mounted: false },
    { registration: "Closed", mounted: false },
    { registration: "Invite", mounted: true },
  ])("registration $registration mounts invites: $mounted", ({ registration, mounted }) => {
    const spec = { accounts: { registration, invitesSecretName: "database-password" } };
    expect(volume("invites", spec).secret?.secretName).toBe(mounted ? "database-password" : undefined);
  });

  test("our own invites are mounted whatever registration is: with Invite they count, and no other pod is needed", () => {
    const own = { secretName: "nine-invites", defaultMode: 0o440, optional: true };
    for (const registration of ["Open", "Closed", "Invite"])
      expect(volume("invites", { accounts: { registration } }).secret).toEqual(own);
  });

  test("a Secret that can't be used for invites is not mounted", () => {
    const invites = { secretName: "ten-dkim", count: 0, unusable: true } as const;
    const spec = { accounts: { registration: "Invite", invitesSecretName: "ten-dkim" } };
    expect(volume("invites", spec, { invites })).toEqual({ name: "invites", emptyDir: { sizeLimit: "1Mi" } });
  });

  test("the app versions, and no other key", () => {
    const spec = { services: { appVersions: { configMapName: "versions" } } };
    expect(volume("app-versions", spec).configMap.items).toEqual([key("appversions.json")]);
  });
});

describe("what each container is given", () => {
  const pod = (spec: SpecInput) => children(spec).StatefulSet.spec.template.spec;
  const resourcesOf = (name: string, spec: SpecInput) =>
    pod(spec).containers.find((each: Loose) => each.name === name).resources;

  test("every container has requests and a limit for memory, in the order of magnitude of its work", () => {
    const { containers, initContainers } = pod({ services: { turn: { enabled: true } } });
    const job = children().CronJob.spec.jobTemplate.spec.template.spec;
    const all = [...initContainers, ...containers, ...job.containers];
    expect(all.map(({ name }: Loose) => name)).toEqual([
      ...["prepare", "relay", "dovecot", "postfix", "web", "turn", "expire"],
    ]);
    for (const { resources } of all) {
      expect(Object.keys(resources.requests)).toEqual(["cpu", "memory"]);
      expect(Object.keys(resources.limits)).toEqual(["memory"]);
      expect(amountOf(resources.requests.memory)).toBeLessThan(amountOf(resources.limits.memory));
    }
    // 3 MiB for each session that the spec allows
    expect(resourcesOf("dovecot", { network: { connections: { imap: 100 } } }).limits).toEqual({ memory: "812Mi" });
    expect(resourcesOf("postfix", { network: { connections: { submission: 1024 } } }).limits).toEqual({
      memory: "7680Mi",
    });
  });

  test.each([
    { given: { requests: { memory: "128Mi" } }, requests: { cpu: "25m", memory: "128Mi" }, limits: { memory: "1Gi" } },
    // a request above the built-in limit: there is none
    { given: { requests: { memory: "2Gi" } }, requests: { cpu: "25m", memory: "2Gi" }, limits: undefined },
    {
      given: { requests: { memory: "2Gi" }, limits: { cpu: "2" } },
      requests: { cpu: "25m", memory: "2Gi" },
      limits: { cpu: "2" },
    },
    // a limit below the built-in request: the request is as low
    { given: { limits: { memory: "64Mi" } }, requests: { cpu: "25m", memory: "64Mi" }, limits: { memory: "64Mi" } },
    {
      given: { limits: { cpu: "0.01" } },
      requests: { cpu: "0.01", memory: "96Mi" },
      limits: { cpu: "0.01", memory: "1Gi" },
    },
    {
      given: { requests: { cpu: "1", memory: "1G" }, limits: { cpu: "2", memory: "2G" } },
      requests: { cpu: "1", memory: "1G" },
      limits: { cpu: "2", memory: "2G" },
    },
  ])("$given goes before what is built in", ({ given, requests, limits }) => {
    expect(resourcesOf("relay", { resources: { relay: given } })).toEqual({ requests, ...(limits && { limits }) });
  });

  test("every emptyDir has a limit; those that hold messages have room for a hundred of the largest", () => {
    const volumes = (spec: SpecInput) =>
      Object.fromEntries(
        [...pod(spec).volumes, ...children(spec).CronJob.spec.jobTemplate.spec.template.spec.volumes].flatMap(
          ({ name, emptyDir }: Loose) => (emptyDir ? [[name, emptyDir.sizeLimit]] : []),
        ),
      );
    expect(volumes({ domain: "203.0.113.9", services: { turn: { enabled: true } } })).toEqual({
      dkim: "1Mi",
      pages: "1Mi",
      "app-versions": "1Mi",
      run: "16Mi",
      "postfix-config": "64Mi",
      "dovecot-config": "64Mi",
      "web-config": "64Mi",
      "dovecot-run": "64Mi",
      // the next power of two, so that a small edit changes nothing
      "dovecot-tmp": "3200Mi",
      "web-tmp": "64Mi",
      "turn-tmp": "8Mi",
    });
    expect(volumes({ messages: { maxSize: "100M" } })).toMatchObject({ "dovecot-tmp": "12800Mi" });
  });
});

describe("the ConfigMap with the records of the domain", () => {
  const key = { type: "rsa", base64: "MIIB" } as const;
  const dkim = present(dkimKeys({ selector: "chatmail", key }));
  const certificate = { source: "Secret", secretName: "mine", facts } as const;
  const zoneOf = (spec: SpecInput, seen: Partial<Seen> = {}) => {
    const server = aServer({ network: { addresses: ["203.0.113.9"] }, ...spec });
    const [child] = dnsChildren(server, { ...selfSigned, identity: { dkim }, ...seen });
    return (child?.object as Loose)?.data?.["records.zone"];
  };

  test("has all that the domain needs, with the TTL of the spec", () => {
    const zone = zoneOf({ dns: { ttlSeconds: 60 } });
    for (const record of [
      /^_nine\.test\. +60 IN A +203\.0\.113\.9$/m,
      /^chatmail\._domainkey\._nine\.test\. 60 IN TXT/m,
    ])
      expect(zone).toMatch(record);
    expect(zone).not.toContain("mta-sts");
  });

  test.each([
    { when: "an authority signed the certificate", seen: { certificate }, has: true },
    { when: "the first certificate is not there yet", seen: { certificate: { source: "None" } }, has: true },
    { when: "the relay signed it itself", seen: {}, has: false },
    {
      when: "it is not for that name",
      seen: { certificate: { ...certificate, facts: { ...facts, missingNames: ["mta-sts.nine.example.org"] } } },
      has: false,
    },
  ] as { when: string; seen: Partial<Seen>; has: boolean }[])(
    "has an MTA-STS record where $when: $has",
    ({ seen, has }) => {
      expect(/^_mta-sts\./m.test(zoneOf({ domain: "nine.example.org" }, seen))).toBe(has);
    },
  );

  test.each([
    { when: "the key is not made yet", spec: {}, seen: { identity: { dkim: absent } } },
    { when: "the domain is an address", spec: { domain: "192.0.2.7" }, seen: {} },
  ])("is not written where $when", ({ spec, seen }) => expect(zoneOf(spec, seen)).toBeUndefined());
});
