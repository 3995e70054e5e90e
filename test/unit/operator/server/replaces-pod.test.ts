/**
 * The column of the reference page that says which edits replace the pod, held against the pod's
 * template, field by field.
 */
import { expect, test } from "vitest";
import { ChatmailServerSpec } from "../../../../src/api/chatmail-server.ts";
import { type Structural, structuralOf } from "../../../../src/api/crd.ts";
import { podReplacement } from "../../../../src/api/reference.ts";
import { desiredChildren } from "../../../../src/operator/server/desired.ts";
import type { Seen } from "../../../../src/operator/server/seen.ts";
import { aServer, type SpecInput } from "../../../helpers/a-server.ts";
import { dkimKeys, facts, present } from "../../../helpers/identities.ts";

/** From which other value of the field to which; fields that belong to it are in both. */
type Edit = [before: SpecInput, after: SpecInput];

const edge = (web: object) => ({
  network: { exposure: "HostPort", web: { mode: "Edge", trustedNetworks: ["10.42.0.0/16"], ...web } },
});
const turn = (fields: object): SpecInput => ({ services: { turn: { enabled: true, ...fields } } });
const accounts = (fields: object): Edit => [{}, { accounts: fields }];
const resources = (name: string, of: string, kind: string): Edit => {
  const value = { cpu: "900m", memory: "900Mi" }[of];
  return [{}, { resources: { [name]: { [kind]: { [of]: value } } } }];
};
const toleration = (fields: object): SpecInput => ({ scheduling: { tolerations: [fields] } });

const rfc2136 = (more: object): SpecInput => ({
  dns: {
    mode: "RFC2136",
    rfc2136: { servers: ["192.0.2.53"], tsig: { keyName: "chatmail", secretRef: { name: "tsig" } }, ...more },
  },
});

const acme = (before: object, after: object): Edit => [
  { certificate: { source: "ACME", acme: { email: "a@b.example", ...before } } },
  { certificate: { source: "ACME", acme: { email: "a@b.example", ...after } } },
];
const binding = { keyID: "a", secretRef: { name: "b", key: "c" } };
const certManager = (before: object, after: object): Edit => [
  { certificate: { source: "CertManager", certManager: { issuerRef: { name: "a" }, ...before } } },
  { certificate: { source: "CertManager", certManager: { issuerRef: { name: "a" }, ...after } } },
];

const encryption = { ageRecipients: [`age1${"q".repeat(58)}`] };
const toS3 = (more: object): SpecInput => ({
  backup: { encryption, destination: { s3: { bucket: "backups", credentialsSecretName: "s3", ...more } } },
});

const restore = (s3: object, more: object = {}): SpecInput => ({
  bootstrap: {
    restore: { s3: { bucket: "backups", credentialsSecretName: "s3", ...s3 }, ageIdentitySecretName: "age", ...more },
  },
});

const edits: Record<string, Edit> = {
  management: [{}, { management: "Paused" }],
  "accounts.registration": accounts({ registration: "Invite" }),
  "accounts.invitesSecretName": [
    { accounts: { registration: "Invite" } },
    { accounts: { registration: "Invite", invitesSecretName: "mine" } },
  ],
  "accounts.usernameMinLength": accounts({ usernameMinLength: 3 }),
  "accounts.usernameMaxLength": accounts({ usernameMaxLength: 30 }),
  "accounts.passwordMinLength": accounts({ passwordMinLength: 30 }),
  "accounts.sendRatePerMinute": accounts({ sendRatePerMinute: 3 }),
  "accounts.sendBurst": accounts({ sendBurst: 3 }),
  "accounts.sendSizePerMinute": accounts({ sendSizePerMinute: "3Mi" }),
  "accounts.sendSizeBurst": accounts({ sendSizeBurst: "3Mi" }),
  "accounts.createRatePerMinute": accounts({ createRatePerMinute: 3 }),
  "accounts.createBurst": accounts({ createBurst: 3 }),
  "accounts.mailboxQuota": accounts({ mailboxQuota: "300Mi" }),
  "accounts.deleteInactiveAfterDays": accounts({ deleteInactiveAfterDays: 3 }),
  "accounts.refuseNew.loadPerCoreAbove": accounts({ refuseNew: { loadPerCoreAbove: 3 } }),
  "accounts.refuseNew.memoryBelow": accounts({ refuseNew: { memoryBelow: "3Mi" } }),
  "accounts.refuseNew.diskBelow": accounts({ refuseNew: { diskBelow: "3Mi" } }),
  "messages.maxSize": [{}, { messages: { maxSize: "60Mi" } }],
  "messages.deleteAfterDays": [{}, { messages: { deleteAfterDays: 8 } }],
  "messages.deleteLargeAfterDays": [{}, { messages: { deleteLargeAfterDays: 3 } }],
  "privacy.postal": [{}, { privacy: { postal: "Street" } }],
  "privacy.mail": [{}, { privacy: { mail: "a@b.example" } }],
  "privacy.dataOfficer": [{}, { privacy: { dataOfficer: "N. N." } }],
  "privacy.supervisor": [{}, { privacy: { supervisor: "N. N." } }],
  "website.configMapName": [{}, { website: { configMapName: "pages" } }],
  "services.push.enabled": [{}, { services: { push: { enabled: false } } }],
  "services.push.url": [{}, { services: { push: { url: "https://push.example/x" } } }],
  "services.turn.enabled": [{}, turn({})],
  "services.turn.firstRelayPort": [turn({}), turn({ firstRelayPort: 30_000 })],
  "services.turn.relayPortCount": [turn({}), turn({ relayPortCount: 9 })],
  "services.iroh.url": [{}, { services: { iroh: { url: "https://iroh.example" } } }],
  "services.appVersions.configMapName": [{}, { services: { appVersions: { configMapName: "versions" } } }],
  "storage.size": [{}, { storage: { size: "20Gi" } }],
  "storage.reservedForMailboxes": [{}, { storage: { reservedForMailboxes: "2Gi" } }],
  "storage.annotations": [{}, { storage: { annotations: { a: "b" } } }],
  "storage.storageClassName": [{}, { storage: { storageClassName: "fast" } }],
  "storage.reclaimPolicy": [{}, { storage: { reclaimPolicy: "Delete" } }],
  "certificate.source": [{}, { certificate: { source: "Secret", secret: { name: "mine" } } }],
  "certificate.secret.name": [
    { certificate: { source: "Secret", secret: { name: "mine" } } },
    { certificate: { source: "Secret", secret: { name: "other" } } },
  ],
  "certificate.acme.directoryURL": acme({}, { directoryURL: "https://acme.example/directory" }),
  "certificate.acme.email": acme({}, { email: "b@b.example" }),
  "certificate.acme.termsOfServiceAgreed": acme({}, { termsOfServiceAgreed: true }),
  "certificate.acme.challenge": acme({}, { challenge: "DNS01" }),
  "certificate.acme.profile": acme({}, { profile: "tlsserver" }),
  "certificate.acme.accountSecretName": acme({}, { accountSecretName: "other" }),
  "certificate.acme.externalAccountBinding.keyID": acme(
    { externalAccountBinding: binding },
    { externalAccountBinding: { ...binding, keyID: "x" } },
  ),
  "certificate.acme.externalAccountBinding.secretRef.name": acme(
    { externalAccountBinding: binding },
    { externalAccountBinding: { ...binding, secretRef: { name: "x", key: "c" } } },
  ),
  "certificate.acme.externalAccountBinding.secretRef.key": acme(
    { externalAccountBinding: binding },
    { externalAccountBinding: { ...binding, secretRef: { name: "b", key: "x" } } },
  ),
  "certificate.certManager.issuerRef.name": certManager({}, { issuerRef: { name: "b" } }),
  "certificate.certManager.issuerRef.kind": certManager({}, { issuerRef: { name: "a", kind: "Issuer" } }),
  "certificate.certManager.issuerRef.group": certManager({}, { issuerRef: { name: "a", group: "b.example" } }),
  "certificate.certManager.privateKey.algorithm": certManager({}, { privateKey: { algorithm: "RSA" } }),
  "certificate.certManager.privateKey.rotationPolicy": certManager({}, { privateKey: { rotationPolicy: "Always" } }),
  "certificate.caBundle.configMapName": [
    { certificate: { source: "Secret", secret: { name: "mine" } } },
    { certificate: { source: "Secret", secret: { name: "mine" }, caBundle: { configMapName: "ours" } } },
  ],
  "certificate.caBundle.key": [
    { certificate: { source: "Secret", secret: { name: "mine" }, caBundle: { configMapName: "ours" } } },
    { certificate: { source: "Secret", secret: { name: "mine" }, caBundle: { configMapName: "ours", key: "x" } } },
  ],
  "network.exposure": [{}, { network: { exposure: "HostPort" } }],
  "network.ipFamilyPolicy": [{}, { network: { ipFamilyPolicy: "SingleStack" } }],
  "network.addresses": [turn({}), { ...turn({}), network: { addresses: ["192.0.2.9"] } }],
  "network.service.annotations": [{}, { network: { service: { annotations: { a: "b" } } } }],
  "network.service.loadBalancerClass": [{}, { network: { service: { loadBalancerClass: "x" } } }],
  "network.dnssecResolvers": [{}, { network: { dnssecResolvers: ["192.0.2.53"] } }],
  "network.proxyProtocol.trustedNetworks": [{}, { network: { proxyProtocol: { trustedNetworks: ["192.0.2.0/28"] } } }],
  "network.web.mode": [{ network: { exposure: "HostPort" } }, edge({})],
  "network.web.trustedNetworks": [edge({}), edge({ trustedNetworks: ["10.244.0.0/16"] })],
  "network.policy.enabled": [{}, { network: { policy: { enabled: false } } }],
  "network.policy.metricsFrom.namespaceLabels": [
    {},
    { network: { policy: { metricsFrom: { namespaceLabels: { a: "b" } } } } },
  ],
  "network.policy.metricsFrom.podLabels": [{}, { network: { policy: { metricsFrom: { podLabels: { a: "b" } } } } }],
  "network.connections.imap": [{}, { network: { connections: { imap: 3000 } } }],
  "network.connections.submission": [{}, { network: { connections: { submission: 300 } } }],
  "network.connections.perClient": [{}, { network: { connections: { perClient: 300 } } }],
  "network.privatePeers": [{}, { network: { privatePeers: ["10.0.0.0/8"] } }],
  "network.refusedPeers": [{}, { network: { refusedPeers: ["2a00::/16"] } }],
  ...Object.fromEntries(
    ["postfix", "dovecot", "relay", "web", "expiry", "backup"].flatMap((name) =>
      ["requests", "limits"].flatMap((kind) =>
        ["cpu", "memory"].map((of) => [`resources.${name}.${kind}.${of}`, resources(name, of, kind)]),
      ),
    ),
  ),
  ...Object.fromEntries(
    ["requests", "limits"].flatMap((kind) =>
      ["cpu", "memory"].map((of): [string, Edit] => {
        const [before, after] = resources("turn", of, kind);
        return [
          `resources.turn.${kind}.${of}`,
          [
            { ...turn({}), ...before },
            { ...turn({}), ...after },
          ],
        ];
      }),
    ),
  ),
  "scheduling.nodeSelector": [{}, { scheduling: { nodeSelector: { a: "b" } } }],
  "scheduling.tolerations.key": [toleration({}), toleration({ key: "a" })],
  "scheduling.tolerations.operator": [toleration({ key: "a" }), toleration({ key: "a", operator: "Exists" })],
  "scheduling.tolerations.value": [toleration({ key: "a" }), toleration({ key: "a", value: "b" })],
  "scheduling.tolerations.effect": [toleration({ key: "a" }), toleration({ key: "a", effect: "NoExecute" })],
  "scheduling.tolerations.tolerationSeconds": [
    toleration({ key: "a", effect: "NoExecute" }),
    toleration({ key: "a", effect: "NoExecute", tolerationSeconds: 9 }),
  ],
  "scheduling.priorityClassName": [{}, { scheduling: { priorityClassName: "high" } }],
  "bootstrap.restore.name": [restore({}), restore({}, { name: "nine-20261129T221800Z-all.tar.gz.age" })],
  "bootstrap.restore.ageIdentitySecretName": [{}, restore({})],
  "bootstrap.restore.s3.bucket": [restore({}), restore({ bucket: "others" })],
  "bootstrap.restore.s3.endpoint": [restore({}), restore({ endpoint: "https://s3.example.org" })],
  "bootstrap.restore.s3.region": [restore({}), restore({ region: "eu-central-1" })],
  "bootstrap.restore.s3.prefix": [restore({}), restore({ prefix: "relays/" })],
  "bootstrap.restore.s3.pathStyle": [restore({}), restore({ pathStyle: true })],
  "bootstrap.restore.s3.credentialsSecretName": [{}, restore({})],
  "bootstrap.restore.s3.caBundle.configMapName": [restore({}), restore({ caBundle: { configMapName: "ours" } })],
  "bootstrap.restore.s3.caBundle.secretName": [restore({}), restore({ caBundle: { secretName: "ours" } })],
  "bootstrap.restore.s3.caBundle.key": [
    restore({ caBundle: { secretName: "ours" } }),
    restore({ caBundle: { secretName: "ours", key: "x" } }),
  ],
  "bootstrap.restore.volumeClaim.name": [
    {},
    { bootstrap: { restore: { volumeClaim: { name: "spare" }, ageIdentitySecretName: "age" } } },
  ],
  "bootstrap.restore.upload": [{}, { bootstrap: { restore: { upload: true } } }],
  "bootstrap.import.volumeClaim.name": [{}, { bootstrap: { import: { volumeClaim: { name: "old" } } } }],
  "backup.contents": [toS3({}), { backup: { ...(toS3({}).backup as object), contents: "All" } }],
  "backup.schedule": [toS3({}), { backup: { ...(toS3({}).backup as object), schedule: "@weekly" } }],
  "backup.drill.schedule": [
    { backup: { ...(toS3({}).backup as object), drill: { ageIdentitySecretName: "age" } } },
    { backup: { ...(toS3({}).backup as object), drill: { ageIdentitySecretName: "age", schedule: "@daily" } } },
  ],
  "backup.drill.ageIdentitySecretName": [
    toS3({}),
    { backup: { ...(toS3({}).backup as object), drill: { ageIdentitySecretName: "age" } } },
  ],
  "backup.keep": [toS3({}), { backup: { ...(toS3({}).backup as object), keep: 3 } }],
  "backup.encryption.ageRecipients": [
    { backup: { destination: { volumeClaim: { name: "spare" } } } },
    { backup: { destination: { volumeClaim: { name: "spare" } }, encryption } },
  ],
  "backup.destination.volumeClaim.name": [
    {},
    { backup: { encryption, destination: { volumeClaim: { name: "spare" } } } },
  ],
  "backup.destination.s3.bucket": [toS3({}), toS3({ bucket: "others" })],
  "backup.destination.s3.endpoint": [toS3({}), toS3({ endpoint: "https://s3.example.org" })],
  "backup.destination.s3.region": [toS3({}), toS3({ region: "eu-central-1" })],
  "backup.destination.s3.prefix": [toS3({}), toS3({ prefix: "relays/" })],
  "backup.destination.s3.pathStyle": [toS3({}), toS3({ pathStyle: true })],
  "backup.destination.s3.credentialsSecretName": [{}, toS3({})],
  "backup.destination.s3.caBundle.configMapName": [toS3({}), toS3({ caBundle: { configMapName: "ours" } })],
  "backup.destination.s3.caBundle.secretName": [toS3({}), toS3({ caBundle: { secretName: "ours" } })],
  "backup.destination.s3.caBundle.key": [
    toS3({ caBundle: { secretName: "ours" } }),
    toS3({ caBundle: { secretName: "ours", key: "x" } }),
  ],
  "dkim.algorithms": [{}, { dkim: { algorithms: ["RSA2048", "Ed25519"] } }],
  "dkim.selectorPrefix": [{}, { dkim: { selectorPrefix: "mail" } }],
  "dkim.rotation.everyDays": [{}, { dkim: { rotation: { everyDays: 180 } } }],
  "dkim.rotation.keepOldDays": [{}, { dkim: { rotation: { keepOldDays: 14 } } }],
  "dns.mode": [{}, { dns: { mode: "None" } }],
  "dns.onDelete": [{}, { dns: { onDelete: "Keep" } }],
  "dns.externalDNS.labels": [
    { dns: { mode: "ExternalDNS" } },
    { dns: { mode: "ExternalDNS", externalDNS: { labels: { a: "b" } } } },
  ],
  "dns.externalDNS.annotations": [
    { dns: { mode: "ExternalDNS" } },
    { dns: { mode: "ExternalDNS", externalDNS: { annotations: { a: "b" } } } },
  ],
  "dns.records": [{}, { dns: { records: "Required" } }],
  "dns.rfc2136.servers": [{}, rfc2136({})],
  "dns.rfc2136.zone": [rfc2136({}), rfc2136({ zone: "example.org" })],
  "dns.rfc2136.tsig.keyName": [rfc2136({}), rfc2136({ tsig: { keyName: "other", secretRef: { name: "tsig" } } })],
  "dns.rfc2136.tsig.algorithm": [
    rfc2136({}),
    rfc2136({ tsig: { keyName: "chatmail", algorithm: "HMACSHA512", secretRef: { name: "tsig" } } }),
  ],
  "dns.rfc2136.tsig.secretRef.name": [
    rfc2136({}),
    rfc2136({ tsig: { keyName: "chatmail", secretRef: { name: "other" } } }),
  ],
  "dns.rfc2136.tsig.secretRef.key": [
    rfc2136({}),
    rfc2136({ tsig: { keyName: "chatmail", secretRef: { name: "tsig", key: "x" } } }),
  ],
  "dns.ttlSeconds": [{}, { dns: { ttlSeconds: 3600 } }],
  "image.pullPolicy": [{}, { image: { pullPolicy: "Always" } }],
  "image.pullSecrets.name": [{ image: { pullSecrets: [{ name: "a" }] } }, { image: { pullSecrets: [{ name: "b" }] } }],
  "updatePolicy.mode": [{}, { updatePolicy: { mode: "Manual" } }],
  "updatePolicy.window.start": [{}, { updatePolicy: { window: { start: "02:00" } } }],
  "updatePolicy.window.durationMinutes": [{}, { updatePolicy: { window: { start: "02:00", durationMinutes: 60 } } }],
  "updatePolicy.window.timeZone": [{}, { updatePolicy: { window: { start: "02:00", timeZone: "Europe/Berlin" } } }],
  "updatePolicy.window.days": [{}, { updatePolicy: { window: { start: "02:00", days: ["Sunday"] } } }],
  "updatePolicy.progressDeadlineSeconds": [{}, { updatePolicy: { progressDeadlineSeconds: 60 } }],
  "updatePolicy.onFailure": [{}, { updatePolicy: { onFailure: "Hold" } }],
  "pod.labels": [{}, { pod: { labels: { a: "b" } } }],
  "pod.annotations": [{}, { pod: { annotations: { a: "b" } } }],
  "pod.serviceAccountName": [{}, { pod: { serviceAccountName: "mail" } }],
  "scheduling.affinity": [{}, { scheduling: { affinity: { nodeAffinity: {} } } }],
  "scheduling.runtimeClassName": [{}, { scheduling: { runtimeClassName: "gvisor" } }],
  "network.service.labels": [{}, { network: { service: { labels: { a: "b" } } } }],
  "network.service.loadBalancerSourceRanges": [
    {},
    { network: { service: { loadBalancerSourceRanges: ["192.0.2.0/24"] } } },
  ],
  ...Object.fromEntries(
    ["smtp", "submission", "submissions", "imap", "imaps", "http", "https", "turn"].map((name) => [
      `network.service.nodePorts.${name}`,
      [
        { services: { turn: { enabled: true } } },
        { services: { turn: { enabled: true } }, network: { service: { nodePorts: { [name]: 30_025 } } } },
      ],
    ]),
  ),
  "network.service.allocateNodePorts": [{}, { network: { service: { allocateNodePorts: false } } }],
  "image.reference": [{}, { image: { reference: "other:9" } }],
};

function leavesOf(schema: Structural, path = ""): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const here = path ? `${path}.${name}` : name;
    const inner = property.items ?? property;
    return inner.properties ? leavesOf(inner, here) : [here];
  });
}

test("every field but the domain and the fleet has an edit here", () => {
  const others = ["domain", "fleetRef.name"];
  const fields = leavesOf(structuralOf(ChatmailServerSpec)).filter((path) => !others.includes(path));
  expect(Object.keys(edits).sort()).toEqual(fields.sort());
});

function templateOf(spec: SpecInput): string {
  const server = aServer({ domain: "nine.example.org", ...spec });
  const secretName = server.spec.certificate.secret?.name ?? "nine-tls";
  const seen: Seen = {
    certificate: { source: "Secret", secretName, facts },
    identity: { dkim: present(dkimKeys()), turn: present("x") },
    jobs: [],
  };
  const children = desiredChildren(server, seen, { relayImage: "relay:1", operatorNamespace: "chatmail" });
  const object = children.find((each) => each.object.kind === "StatefulSet")?.object as {
    spec?: { template?: object };
  };
  return JSON.stringify(object.spec?.template);
}

test.each(Object.entries(edits))("%s replaces the pod where the reference page says so", (path, [before, after]) => {
  expect(templateOf(after) !== templateOf(before)).toBe(podReplacement(path) !== "");
});

test("a largest message of 20Mi instead of 30Mi leaves the pod as it is", () => {
  expect(templateOf({ messages: { maxSize: "20Mi" } })).toBe(templateOf({ messages: { maxSize: "30Mi" } }));
});
