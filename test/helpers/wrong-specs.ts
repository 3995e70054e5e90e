/**
 * Specs that nobody should get past: the API server (CEL in the CRD) and zod refuse each, with a
 * sentence that names field and rule.
 */

export interface WrongSpec {
  when: string;
  spec: Record<string, unknown>;
  /** What the API server says. */
  says: RegExp;
  /** The path that zod names, where it is not simply the field in `says`. */
  path: string;
}

const domain = "_wrong.test";

/** IPv6 addresses in the one form that a domain may have. */
export const canonicalIPv6 = [
  "2001:db8::9",
  "2001:db8:0:1::",
  "fd00::1:0:0:9",
  "64:ff9b::c000:207",
  "2001:db8:1:1:1:1:0:1",
];

const otherSpellings = [
  ["2001:DB8::9", "2001:db8::9"],
  ["2001:0db8::0009", "2001:db8::9"],
  ["2001:db8:0:0:0:0:0:9", "2001:db8::9"],
  ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:db8::1:0:0:0", "2001:db8:0:0:1::"],
  ["64:ff9b::192.0.2.7", "64:ff9b::c000:207"],
  ["[2001:db8::9]", "2001:db8::9"],
  ["ipv6:2001:db8::9", "2001:db8::9"],
  ["[IPv6:2001:DB8:0::9]", "2001:db8::9"],
] as const;

/** Of an address, with something around or in it, and what is none. */
const noPlainAddresses = [
  "2001:db8::9/128",
  "fe80::1%eth0",
  "::ffff:192.0.2.7",
  "::ffff:c000:207",
  "2001:db8::9:",
  "nine.example.org:443",
];

const addressesOfNoHost = ["::", "::1", "fe80::1", "febf::1", "ff02::1"];

export const wrongSpecs: readonly WrongSpec[] = [
  {
    when: "no DKIM key is of RSA",
    spec: { domain, dkim: { algorithms: ["Ed25519"] } },
    says: /spec\.dkim\.algorithms: .*algorithms must contain RSA2048/,
    path: "dkim.algorithms",
  },
  {
    when: "the prefix of selectors is no label",
    spec: { domain, dkim: { selectorPrefix: "Mail.1" } },
    says: /spec\.dkim\.selectorPrefix: .*must be lower-case letters, digits and -/,
    path: "dkim.selectorPrefix",
  },
  {
    when: "an old DKIM key is kept for less than mail is in a queue",
    spec: { domain, dkim: { rotation: { keepOldDays: 2 } } },
    says: /spec\.dkim\.rotation\.keepOldDays.*greater than or equal to 3/,
    path: "dkim.rotation.keepOldDays",
  },
  {
    when: "backups go to two places",
    spec: {
      domain,
      backup: { destination: { volumeClaim: { name: "a" }, s3: { bucket: "backups", credentialsSecretName: "b" } } },
    },
    says: /spec\.backup\.destination: .*destination must be either s3 or volumeClaim/,
    path: "backup.destination.s3",
  },
  {
    when: "the schedule of backups has four fields",
    spec: { domain, backup: { schedule: "0 3 * *" } },
    says: /spec\.backup\.schedule: .*schedule must be five fields as cron has them/,
    path: "backup.schedule",
  },
  {
    when: "backups are for a key of SSH",
    spec: { domain, backup: { encryption: { ageRecipients: ["ssh-ed25519 AAAA"] } } },
    says: /spec\.backup\.encryption\.ageRecipients\[0\]: .*must be public keys of age/,
    path: "backup.encryption.ageRecipients.0",
  },
  {
    when: "the store of backups has a path",
    spec: {
      domain,
      backup: {
        destination: { s3: { bucket: "backups", credentialsSecretName: "b", endpoint: "https://s3.example/backups" } },
      },
    },
    says: /spec\.backup\.destination\.s3\.endpoint: .*must be a URL that begins with https:\/\/ or http:\/\//,
    path: "backup.destination.s3.endpoint",
  },
  { when: "the domain is missing", spec: {}, says: /spec\.domain: Required value/, path: "domain" },
  { when: "the domain is empty", spec: { domain: "" }, says: /spec\.domain.*at least 1 char/, path: "domain" },
  {
    when: "the domain has one label",
    spec: { domain: "localhost" },
    says: /spec\.domain: .*domain must be a lower-case DNS name such as/,
    path: "domain",
  },
  {
    when: "the domain has capitals",
    spec: { domain: "Nine.example.org" },
    says: /spec\.domain: .*must be a lower-case DNS name/,
    path: "domain",
  },
  {
    when: "the domain is an address book entry",
    spec: { domain: "me@nine.example.org" },
    says: /spec\.domain: .*must be a lower-case DNS name/,
    path: "domain",
  },
  {
    when: "the domain ends in a dot",
    spec: { domain: "nine.example.org." },
    says: /spec\.domain: .*must be a lower-case DNS name/,
    path: "domain",
  },
  {
    when: "the domain is no IPv4 address though it looks like one",
    spec: { domain: "1.2.3.256" },
    says: /spec\.domain: .*an IPv4 address/,
    path: "domain",
  },
  ...otherSpellings.map(([domain, canonical]) => ({
    when: `the domain is the IPv6 address ${domain}, which is not in its canonical form`,
    spec: { domain },
    says: new RegExp(`spec\\.domain: .*domain must be ${canonical}: an IPv6 address has one canonical form`),
    path: "domain",
  })),
  ...noPlainAddresses.map((domain) => ({
    when: `the domain is ${domain}`,
    spec: { domain },
    says: /spec\.domain: .*such as 2001:db8::9, without port, prefix or zone, and not mapped from IPv4/,
    path: "domain",
  })),
  ...addressesOfNoHost.map((domain) => ({
    when: `the domain is ${domain}`,
    spec: { domain },
    says: /spec\.domain: .*must not be an unspecified, loopback, link-local or multicast address/,
    path: "domain",
  })),
  {
    when: "a label of the domain is too long",
    spec: { domain: `${"a".repeat(64)}.example` },
    says: /spec\.domain: .*must be a lower-case DNS name/,
    path: "domain",
  },
  {
    when: "the whole domain is too long",
    spec: { domain: `${"a.".repeat(130)}example` },
    says: /spec\.domain: Too long: may not be more than 253/,
    path: "domain",
  },
  {
    when: "management is a word of its own",
    spec: { domain: domain, management: "Off" },
    says: /spec\.management: Unsupported value: "Off": supported values: "Managed", "Paused", "Unmanaged"/,
    path: "management",
  },
  {
    when: "registration is a word of its own",
    spec: { domain, accounts: { registration: "open" } },
    says: /spec\.accounts\.registration: Unsupported value: "open": supported values/,
    path: "accounts.registration",
  },
  {
    when: "user names have no characters",
    spec: { domain, accounts: { usernameMinLength: 0 } },
    says: /spec\.accounts\.usernameMinLength.*greater than or equal to 1/,
    path: "accounts.usernameMinLength",
  },
  {
    when: "the shortest user name is longer than the longest",
    spec: { domain, accounts: { usernameMinLength: 12, usernameMaxLength: 9 } },
    says: /spec\.accounts: .*usernameMinLength must not be greater than usernameMaxLength/,
    path: "accounts.usernameMinLength",
  },
  {
    when: "passwords are short",
    spec: { domain, accounts: { passwordMinLength: 4 } },
    says: /spec\.accounts\.passwordMinLength.*greater than or equal to 8/,
    path: "accounts.passwordMinLength",
  },
  {
    when: "a number is text",
    spec: { domain, accounts: { sendRatePerMinute: "many" } },
    says: /spec\.accounts\.sendRatePerMinute.*must be of type integer/,
    path: "accounts.sendRatePerMinute",
  },
  {
    when: "a whole number has a fraction",
    spec: { domain, accounts: { sendBurst: 1.5 } },
    says: /spec\.accounts\.sendBurst.*must be of type integer/,
    path: "accounts.sendBurst",
  },
  {
    when: "nobody may send",
    spec: { domain, accounts: { sendRatePerMinute: 0 } },
    says: /spec\.accounts\.sendRatePerMinute.*greater than or equal to 1/,
    path: "accounts.sendRatePerMinute",
  },
  {
    when: "the quota has a unit nobody knows",
    spec: { domain, accounts: { mailboxQuota: "500MB" } },
    says: /spec\.accounts\.mailboxQuota: .*mailboxQuota must be a whole number with k, M, G/,
    path: "accounts.mailboxQuota",
  },
  {
    when: "the quota is tiny",
    spec: { domain, accounts: { mailboxQuota: "1Mi" } },
    says: /spec\.accounts\.mailboxQuota: .*mailboxQuota must be between 10Mi and 1Ti/,
    path: "accounts.mailboxQuota",
  },
  {
    when: "the quota is a fraction",
    spec: { domain, accounts: { mailboxQuota: "1.5Gi" } },
    says: /spec\.accounts\.mailboxQuota: .*must be a whole number/,
    path: "accounts.mailboxQuota",
  },
  {
    when: "a message is larger than a mailbox",
    spec: { domain, messages: { maxSize: "30Mi" }, accounts: { mailboxQuota: "20Mi" } },
    says: /spec: .*messages\.maxSize must not be greater than accounts\.mailboxQuota/,
    path: "messages.maxSize",
  },
  {
    when: "more room is reserved than there is",
    spec: { domain, storage: { size: "1Gi", reservedForMailboxes: "2Gi" } },
    says: /spec\.storage: .*reservedForMailboxes must be smaller than size/,
    path: "storage.reservedForMailboxes",
  },
  {
    when: "all room is reserved",
    spec: { domain, storage: { size: "1Gi", reservedForMailboxes: "1024Mi" } },
    says: /spec\.storage: .*reservedForMailboxes must be smaller than size/,
    path: "storage.reservedForMailboxes",
  },
  {
    when: "messages are huge",
    spec: { domain, messages: { maxSize: "1Gi" }, accounts: { mailboxQuota: "2Gi" } },
    says: /spec\.messages\.maxSize: .*maxSize must be between 1Mi and 512Mi/,
    path: "messages.maxSize",
  },
  {
    when: "messages are kept too long",
    spec: { domain, messages: { deleteAfterDays: 21 } },
    says: /spec\.messages\.deleteAfterDays.*less than or equal to 20/,
    path: "messages.deleteAfterDays",
  },
  {
    when: "large messages are kept longer than small ones",
    spec: { domain, messages: { deleteAfterDays: 5, deleteLargeAfterDays: 7 } },
    says: /spec\.messages: .*deleteLargeAfterDays must not be greater than deleteAfterDays/,
    path: "messages.deleteLargeAfterDays",
  },
  {
    when: "accounts never go",
    spec: { domain, accounts: { deleteInactiveAfterDays: 0 } },
    says: /spec\.accounts\.deleteInactiveAfterDays.*greater than or equal to 1/,
    path: "accounts.deleteInactiveAfterDays",
  },
  {
    when: "the contact is no e-mail address",
    spec: { domain, privacy: { mail: "ask me" } },
    says: /spec\.privacy\.mail: .*mail must be an e-mail address such as/,
    path: "privacy.mail",
  },
  {
    when: "an address from outside is a name",
    spec: { domain, network: { addresses: ["nine.example.org"] } },
    says: /spec\.network\.addresses\[0\]: .*addresses must be IP addresses such as 10\.96\.0\.53/,
    path: "network.addresses.0",
  },
  {
    when: "calls pass through ports that do not exist",
    spec: { domain, services: { turn: { firstRelayPort: 65_500, relayPortCount: 40 } } },
    says: /spec\.services\.turn: .*firstRelayPort and relayPortCount must not go beyond port 65535/,
    path: "services.turn.relayPortCount",
  },
  {
    when: "calls pass through thousands of ports",
    spec: { domain, services: { turn: { relayPortCount: 5_000 } } },
    says: /spec\.services\.turn\.relayPortCount.*less than or equal to 500/,
    path: "services.turn.relayPortCount",
  },
  {
    when: "the iroh relay is spoken to in the clear",
    spec: { domain, services: { iroh: { url: "http://iroh.example.org" } } },
    says: /spec\.services\.iroh\.url: .*url must be a URL that begins with https/,
    path: "services.iroh.url",
  },
  ...[
    "https://[",
    "https://",
    "https:///x",
    "https://a:65536",
    "https://a:99999/",
    "https://a:b/",
    "https://%",
    "https://a%20b/",
    "https://a b/",
    "https://[::g]/",
    "https://user:password@a.example/",
    "https://a.example/<x>",
    "http://a.example/",
    "HTTPS://a.example/",
    "ftp://a.example/",
  ].map((url) => ({
    when: `the push service is at ${url}`,
    spec: { domain, services: { push: { url } } },
    says: /spec\.services\.push\.url: .*url must be a URL that begins with https/,
    path: "services.push.url",
  })),
  {
    when: "the iroh relay has half an IPv6 address",
    spec: { domain, services: { iroh: { url: "https://[2001:db8::1" } } },
    says: /spec\.services\.iroh\.url: .*url must be a URL that begins with https/,
    path: "services.iroh.url",
  },
  {
    when: "the volume is tiny",
    spec: { domain, storage: { size: "10Mi" } },
    says: /spec\.storage\.size: .*size must be between 100Mi and 100Ti/,
    path: "storage.size",
  },
  {
    when: "the storage class is no name",
    spec: { domain, storage: { storageClassName: "Fast SSD" } },
    says: /spec\.storage\.storageClassName: .*storageClassName must be the name of an object/,
    path: "storage.storageClassName",
  },
  {
    when: "the reclaim policy is one of volumes",
    spec: { domain, storage: { reclaimPolicy: "Recycle" } },
    says: /spec\.storage\.reclaimPolicy: Unsupported value/,
    path: "storage.reclaimPolicy",
  },
  {
    when: "the Secret is not named",
    spec: { domain, certificate: { source: "Secret" } },
    says: /spec\.certificate: .*secret is required when source is Secret/,
    path: "certificate.secret",
  },
  {
    when: "a Secret is named that nobody reads",
    spec: { domain, certificate: { secret: { name: "mine" } } },
    says: /spec\.certificate: .*secret is only used when source is Secret/,
    path: "certificate.secret",
  },
  {
    when: "a restore has no source",
    spec: { domain, bootstrap: { restore: { ageIdentitySecretName: "age" } } },
    says: /spec\.bootstrap\.restore: .*restore must have one of s3, volumeClaim and upload/,
    path: "bootstrap.restore.s3",
  },
  {
    when: "a restore has two sources",
    spec: { domain, bootstrap: { restore: { upload: true, volumeClaim: { name: "a" } } } },
    says: /spec\.bootstrap\.restore: .*restore must have one of s3, volumeClaim and upload/,
    path: "bootstrap.restore.volumeClaim",
  },
  {
    when: "no key opens the backup",
    spec: { domain, bootstrap: { restore: { volumeClaim: { name: "a" } } } },
    says: /spec\.bootstrap\.restore: .*ageIdentitySecretName is required without upload/,
    path: "bootstrap.restore.ageIdentitySecretName",
  },
  {
    when: "there is a restore and an import",
    spec: { domain, bootstrap: { restore: { upload: true }, import: { volumeClaim: { name: "a" } } } },
    says: /spec\.bootstrap: .*bootstrap must be either restore or import/,
    path: "bootstrap.restore",
  },
  {
    when: "authorities are named for a certificate that none of them signs",
    spec: { domain, certificate: { source: "SelfSigned", caBundle: { configMapName: "mine" } } },
    says: /spec\.certificate: .*caBundle is not used when source is SelfSigned/,
    path: "certificate.caBundle",
  },
  {
    when: "an issuer is named that nobody asks",
    spec: { domain, certificate: { source: "ACME", certManager: { issuerRef: { name: "letsencrypt" } } } },
    says: /spec\.certificate: .*certManager is only used when source is CertManager or Auto/,
    path: "certificate.certManager",
  },
  {
    when: "an ACME account is given for a certificate of one's own",
    spec: { domain, certificate: { source: "Secret", secret: { name: "a" }, acme: { email: "a@b.example" } } },
    says: /spec\.certificate: .*acme is only used when source is ACME or Auto/,
    path: "certificate.acme",
  },
  {
    when: "the ACME server has no https",
    spec: { domain, certificate: { acme: { directoryURL: "http://acme.example/directory" } } },
    says: /spec\.certificate\.acme\.directoryURL: .*directoryURL must be a URL that begins with https/,
    path: "certificate.acme.directoryURL",
  },
  {
    when: "the address of the ACME account is two",
    spec: { domain, certificate: { acme: { email: "a@b.example,c@d.example" } } },
    says: /spec\.certificate\.acme\.email: .*email must be one e-mail address/,
    path: "certificate.acme.email",
  },
  {
    when: "the key of the authorities is a path",
    spec: {
      domain,
      certificate: { source: "Secret", secret: { name: "a" }, caBundle: { configMapName: "b", key: "../c" } },
    },
    says: /spec\.certificate\.caBundle\.key: Invalid value/,
    path: "certificate.caBundle.key",
  },
  {
    when: "the certificate source does not exist",
    spec: { domain, certificate: { source: "Magic" } },
    says: /spec\.certificate\.source: Unsupported value: "Magic"/,
    path: "certificate.source",
  },
  {
    when: "the exposure does not exist",
    spec: { domain, network: { exposure: "Ingress" } },
    says: /spec\.network\.exposure: Unsupported value: "Ingress"/,
    path: "network.exposure",
  },
  {
    when: "a load balancer class is given without a load balancer",
    spec: { domain, network: { exposure: "NodePort", service: { loadBalancerClass: "example.com/lb" } } },
    says: /spec\.network: .*service.loadBalancerClass is only used when exposure is LoadBalancer/,
    path: "network.service.loadBalancerClass",
  },
  {
    when: "node ports are given where the Service has none",
    spec: { domain, network: { exposure: "HostPort", service: { nodePorts: { smtp: 30025 } } } },
    says: /spec\.network: .*service.nodePorts is not used when exposure is HostPort/,
    path: "network.service.nodePorts",
  },
  {
    when: "a node port is no port",
    spec: { domain, network: { service: { nodePorts: { smtp: 70000 } } } },
    says: /spec\.network\.service\.nodePorts\.smtp: .*less than or equal to 65535/,
    path: "network.service.nodePorts.smtp",
  },
  {
    when: "a resolver is a name",
    spec: { domain, network: { dnssecResolvers: ["dns.example.org"] } },
    says: /spec\.network\.dnssecResolvers\[0\]: .*must be IP addresses such as 10\.96\.0\.53/,
    path: "network.dnssecResolvers.0",
  },
  {
    when: "a resolver is colons",
    spec: { domain, network: { dnssecResolvers: ["::::"] } },
    says: /spec\.network\.dnssecResolvers\[0\]: .*must be IP addresses such as 10\.96\.0\.53/,
    path: "network.dnssecResolvers.0",
  },
  {
    when: "a trusted network is of colons",
    spec: { domain, network: { proxyProtocol: { trustedNetworks: [":::/64"] } } },
    says: /spec\.network\.proxyProtocol\.trustedNetworks\[0\]: .*trustedNetworks must be address ranges/,
    path: "network.proxyProtocol.trustedNetworks.0",
  },
  {
    when: "a trusted network is no range",
    spec: { domain, network: { proxyProtocol: { trustedNetworks: ["10.0.0.1"] } } },
    says: /spec\.network\.proxyProtocol\.trustedNetworks\[0\]: .*trustedNetworks must be address ranges/,
    path: "network.proxyProtocol.trustedNetworks.0",
  },
  {
    when: "a private peer is a name",
    spec: { domain, network: { privatePeers: ["10.0.0.0/8", "mail.internal"] } },
    says: /spec\.network\.privatePeers\[1\]: .*privatePeers must be address ranges/,
    path: "network.privatePeers.1",
  },
  {
    when: "a refused peer has a wrong length",
    spec: { domain, network: { refusedPeers: ["2001:db8::/129"] } },
    says: /spec\.network\.refusedPeers\[0\]: .*refusedPeers must be address ranges/,
    path: "network.refusedPeers.0",
  },
  {
    when: "an annotation is a number",
    spec: { domain, network: { service: { annotations: { a: 1 } } } },
    says: /spec\.network\.service\.annotations\.a.*must be of type string/,
    path: "network.service.annotations.a",
  },
  {
    when: "source ranges are given without a load balancer",
    spec: { domain, network: { exposure: "HostPort", service: { loadBalancerSourceRanges: ["192.0.2.0/24"] } } },
    says: /spec\.network: .*service.loadBalancerSourceRanges is only used when exposure is LoadBalancer/,
    path: "network.service.loadBalancerSourceRanges",
  },
  {
    when: "a pull secret has no name",
    spec: { domain, image: { pullSecrets: [{}] } },
    says: /spec\.image\.pullSecrets\[0\]\.name: Required value/,
    path: "image.pullSecrets.0.name",
  },
  {
    when: "memory is no amount",
    spec: { domain, resources: { relay: { limits: { memory: "lots" } } } },
    says: /spec\.resources\.relay\.limits\.memory: .*memory must be an amount as Kubernetes has them/,
    path: "resources.relay.limits.memory",
  },
  {
    when: "a toleration has an effect of its own",
    spec: { domain, scheduling: { tolerations: [{ effect: "Never" }] } },
    says: /spec\.scheduling\.tolerations\[0\]\.effect: Unsupported value/,
    path: "scheduling.tolerations.0.effect",
  },
  {
    when: "the image has a space",
    spec: { domain, image: { reference: "relay : 1" } },
    says: /spec\.image\.reference: .*reference must be an image reference without spaces/,
    path: "image.reference",
  },
  {
    when: "a field does not exist",
    spec: { domain, acounts: {} },
    says: /unknown field "spec\.acounts"/,
    path: "acounts",
  },
  {
    when: "a field inside does not exist",
    spec: { domain, messages: { maxsize: "1Mi" } },
    says: /unknown field "spec\.messages\.maxsize"/,
    path: "messages.maxsize",
  },
];

/** What only the operator can judge, because a value is left out: the API server lets them pass. */
export const wrongTogether: readonly { when: string; spec: Record<string, unknown>; says: string }[] = [
  {
    when: "large messages would be kept longer than others",
    spec: { domain, messages: { deleteAfterDays: 5 } },
    says: "spec.messages.deleteLargeAfterDays: deleteLargeAfterDays must not be greater than deleteAfterDays: deleteLargeAfterDays is 7 (built in), deleteAfterDays is 5 (spec)",
  },
  {
    when: "a message would be larger than a mailbox",
    spec: { domain, accounts: { mailboxQuota: "20Mi" } },
    says: 'spec.messages.maxSize: messages.maxSize must not be greater than accounts.mailboxQuota: messages.maxSize is "30Mi" (built in), accounts.mailboxQuota is "20Mi" (spec)',
  },
  {
    when: "calls would pass through ports that do not exist",
    spec: { domain, services: { turn: { firstRelayPort: 65_500 } } },
    says: "spec.services.turn.relayPortCount: firstRelayPort and relayPortCount must not go beyond port 65535: relayPortCount is 40 (built in), firstRelayPort is 65500 (spec)",
  },
  {
    when: "clients could not be given the TURN server, as the domain is an IPv6 address",
    spec: { domain: "2001:db8::9", services: { turn: { enabled: true } } },
    says: "spec.services.turn.enabled: services.turn.enabled is not used when domain is an IPv6 address: Delta Chat can't be given a TURN server with one",
  },
  {
    when: "names would be longer than the longest",
    spec: { domain, accounts: { usernameMinLength: 12 } },
    says: "spec.accounts.usernameMinLength: usernameMinLength must not be greater than usernameMaxLength: usernameMinLength is 12 (spec), usernameMaxLength is 9 (built in)",
  },
  {
    when: "more room would be reserved than there is",
    spec: { domain, storage: { reservedForMailboxes: "20Gi" } },
    says: 'spec.storage.reservedForMailboxes: reservedForMailboxes must be smaller than size, or no mail is ever accepted: reservedForMailboxes is "20Gi" (spec), size is "10Gi" (built in)',
  },
];

/** Edits of a server that exists, from its first spec to another. */
export const wrongEdits: readonly {
  when: string;
  from: Record<string, unknown>;
  to: Record<string, unknown>;
  says: RegExp;
}[] = [
  {
    when: "the domain changes",
    from: { domain },
    to: { domain: "_other.test" },
    says: /spec\.domain: .*domain can't be changed/,
  },
  {
    when: "the load balancer class changes",
    from: { domain, network: { service: { loadBalancerClass: "a" } } },
    to: { domain, network: { service: { loadBalancerClass: "b" } } },
    says: /spec\.network: .*service.loadBalancerClass can't be changed/,
  },
];

/** Names that leave no room for the names of children. */
export const wrongNames = ["9nine", "n".repeat(41), "nine.example"];

const row = { name: "nine", domain: "_nine.test" };
const waves = (...all: object[]) => ({ rollout: { waves: all } });
const many = "only the last wave may be without selector, share and count";

/** The same of fleets. */
export const wrongFleets: readonly Omit<WrongSpec, "path">[] = [
  {
    when: "a default is out of bounds",
    spec: { defaults: { messages: { deleteAfterDays: 90 } } },
    says: /spec\.defaults\.messages\.deleteAfterDays.*less than or equal to 20/,
  },
  {
    when: "two defaults do not fit",
    spec: { defaults: { messages: { maxSize: "100Mi" }, accounts: { mailboxQuota: "50Mi" } } },
    says: /messages\.maxSize must not be greater than accounts\.mailboxQuota/,
  },
  {
    when: "a domain is a default",
    spec: { defaults: { domain: "_nine.test" } },
    says: /unknown field "spec\.defaults\.domain"/,
  },
  {
    when: "a fleet is in a fleet",
    spec: { defaults: { fleetRef: { name: "other" } } },
    says: /unknown field "spec\.defaults\.fleetRef"/,
  },
  {
    when: "two rows have a name",
    spec: { domains: [row, { ...row, domain: "_ten.test" }] },
    says: /spec\.domains\[1\]: Duplicate value/,
  },
  { when: "a row has no domain", spec: { domains: [{ name: "nine" }] }, says: /spec\.domains\[0\]\.domain: Required/ },
  {
    when: "a name is too long for a server",
    spec: { domains: [{ ...row, name: "a".repeat(41) }] },
    says: /spec\.domains\[0\]\.name: Too long/,
  },
  {
    when: "a name is none of a server",
    spec: { domains: [{ ...row, name: "9" }] },
    says: /name must be a name of at most 40 characters/,
  },
  {
    when: "a domain is none",
    spec: { domains: [{ ...row, domain: "nine" }] },
    says: /spec\.domains\[0\]\.domain.*must be a lower-case DNS name/,
  },
  {
    when: "two waves have a name",
    spec: waves({ name: "a", count: 1 }, { name: "a" }),
    says: /spec\.rollout\.waves\[1\]: Duplicate value/,
  },
  {
    when: "a wave says twice who is in it",
    spec: waves({ name: "a", count: 1, share: "5%" }),
    says: /a wave has at most one of selector, share and count/,
  },
  { when: "two waves have the rest", spec: waves({ name: "a" }, { name: "b" }), says: new RegExp(many) },
  { when: "the rest is not last", spec: waves({ name: "a" }, { name: "b", count: 1 }), says: new RegExp(many) },
  {
    when: "a share is none",
    spec: waves({ name: "a", share: "0%" }),
    says: /share must be a share of the fleet such as 10%/,
  },
  {
    when: "nobody may be down",
    spec: waves({ name: "a", maxUnavailable: 0 }),
    says: /maxUnavailable.*greater than or equal to 1/,
  },
  {
    when: "no part of a wave may be down",
    spec: waves({ name: "a", maxUnavailable: "0%" }),
    says: /maxUnavailable.*should match/,
  },
  {
    when: "the image is said twice",
    spec: { rollout: { version: "1.4.0" }, defaults: { image: { reference: "a:1" } } },
    says: /rollout\.version and defaults\.image\.reference both say which image/,
  },
  {
    when: "a version is none",
    spec: { rollout: { version: "one two" } },
    says: /version must be a version such as 1\.4\.0/,
  },
];
