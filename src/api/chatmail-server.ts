/** The ChatmailServer resource: one schema is the source of types, defaults, validation messages and the CRD. */
import { z } from "zod";
import { bytesOf } from "./quantity.ts";
import { address, addressRange, cel, entries, httpsUrl, objectName, size, text } from "./schema.ts";

const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
const ipv4 = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

/** A DNS name of two labels or more that does not end in digits, `_`-prefixed or not; or an IPv4 address. */
export const domainPattern = `^(_?${label}([.]${label})*[.]([a-z]([a-z0-9-]{0,61}[a-z0-9])?)|${ipv4}([.]${ipv4}){3})$`;

export const Domain = text({
  name: "domain",
  pattern: domainPattern,
  says: "a lower-case DNS name such as nine.example.org, one that begins with _ (self-signed), or an IPv4 address",
  maxLength: 253,
  rules: [
    {
      rule: "self == oldSelf",
      message: "domain can't be changed: addresses and keys belong to it; make a new ChatmailServer",
    },
  ],
}).describe(
  "The mail domain: what stands behind the @ of every address. Can't be changed later. A name that begins with _ means that a self-signed certificate is fine.",
);

export const Accounts = z
  .strictObject({
    registration: z
      .enum(["Open", "Invite", "Closed"])
      .default("Open")
      .describe(
        "Who gets an address: Open, whoever logs in first with it; Invite, holders of an invite; Closed, nobody new.",
      ),
    invitesSecretName: objectName("invitesSecretName")
      .optional()
      .describe(
        "A Secret with an invite under each key: a text of 8 to 128 letters, digits, - and _, or a link that ends in one. Taking a key away takes its invite back. Without it, registration Invite makes the Secret NAME-invites, with one.",
      ),
    usernameMinLength: z
      .int()
      .min(1)
      .max(64)
      .default(9)
      .describe(
        "Shortest local part of a new address, in characters. Clients make up 9; where that is not allowed, or their passwords are too short, the invite asks the relay for an address.",
      ),
    usernameMaxLength: z
      .int()
      .min(1)
      .max(64)
      .default(9)
      .describe("Longest local part of a new address, in characters."),
    passwordMinLength: z
      .int()
      .min(8)
      .max(100)
      .default(9)
      .describe("Shortest password of a new address, in characters. Clients make up 50. The longest has 128 bytes."),
    sendRatePerMinute: z
      .int()
      .min(1)
      .max(10_000)
      .default(60)
      .describe("Messages one address may send in a minute, sustained."),
    sendBurst: z
      .int()
      .min(1)
      .max(10_000)
      .default(10)
      .describe("Messages one address may send at once before the rate counts."),
    sendSizePerMinute: size({ name: "sendSizePerMinute", atLeast: "64Ki", atMost: "1Ti" })
      .default("10Mi")
      .describe("Mail in bytes that one address may send in a minute, sustained, whatever the number of recipients."),
    sendSizeBurst: size({ name: "sendSizeBurst", atLeast: "1Mi", atMost: "1Ti" })
      .default("150Mi")
      .describe(
        "Mail in bytes that one address may send at once before sendSizePerMinute counts. Where it is smaller than messages.maxSize, one such mail may be sent.",
      ),
    createRatePerMinute: z
      .int()
      .min(1)
      .max(10_000)
      .default(120)
      .describe(
        "New addresses one client may make in a minute, sustained; requests to /new likewise. A client is an IPv4 address or an IPv6 /64. Where a load balancer hides its clients, they count together.",
      ),
    createBurst: z
      .int()
      .min(1)
      .max(10_000)
      .default(300)
      .describe(
        "New addresses one client may make at once before the rate counts. A whole class or office may be one client.",
      ),
    mailboxQuota: size({ name: "mailboxQuota", atLeast: "10Mi", atMost: "1Ti" })
      .default("500Mi")
      .describe("What one mailbox may hold, such as 500Mi."),
    imapConnections: z
      .int()
      .min(10)
      .max(100_000)
      .default(10_000)
      .describe("IMAP sessions at the same time that are not asleep."),
    smtpConnections: z
      .int()
      .min(10)
      .max(10_000)
      .default(1_000)
      .describe(
        "Submission sessions at the same time, on each of the ports 465 and 587; one client (an IPv4 address, or the /64 of an IPv6 one) may have a third of them.",
      ),
    refuseNewAbove: z
      .strictObject({
        loadPerCore: z
          .int()
          .min(1)
          .max(1_000)
          .default(10)
          .describe("One-minute load average of the node, for each of its cores, above which no address is made."),
      })
      .prefault({})
      .describe("When no new address is made: clients try again or go to another relay."),
    refuseNewBelow: z
      .strictObject({
        memory: size({ name: "memory", atLeast: "1Mi", atMost: "1Ti" })
          .default("200Mi")
          .describe(
            "Free memory below which no address is made. An eighth of the container's memory limit, where that is less.",
          ),
        disk: size({ name: "disk", atLeast: "1Mi", atMost: "1Ti" })
          .default("1Gi")
          .describe(
            "Free room on the volume below which no address is made. An eighth of the volume, where that is less.",
          ),
      })
      .prefault({})
      .describe("When no new address is made: clients try again or go to another relay."),
  })
  .refine((accounts) => accounts.usernameMinLength <= accounts.usernameMaxLength, {
    message: "usernameMinLength must not be greater than usernameMaxLength",
    path: ["usernameMinLength"],
  })
  .meta(
    cel({
      rule: "self.usernameMinLength <= self.usernameMaxLength",
      message: "usernameMinLength must not be greater than usernameMaxLength",
    }),
  )
  .describe("Who gets an address and what one address may use.");

export const Messages = z
  .strictObject({
    maxSize: size({ name: "maxSize", atLeast: "1Mi", atMost: "512Mi" })
      .default("30Mi")
      .describe("Largest message that is taken, such as 30Mi."),
    deleteAfterDays: z
      .int()
      .min(1)
      .max(20)
      .default(20)
      .describe("Days after which a message is deleted. 20 at most: a chatmail relay is no archive."),
    deleteLargeAfterDays: z
      .int()
      .min(1)
      .max(20)
      .default(7)
      .describe("Days after which a seen message of more than 200 kB is deleted."),
    inactiveAccountsAfterDays: z
      .int()
      .min(1)
      .max(3650)
      .default(90)
      .describe("Days without a login after which an address and all it holds are deleted."),
  })
  .refine((messages) => messages.deleteLargeAfterDays <= messages.deleteAfterDays, {
    message: "deleteLargeAfterDays must not be greater than deleteAfterDays",
    path: ["deleteLargeAfterDays"],
  })
  .meta(
    cel({
      rule: "self.deleteLargeAfterDays <= self.deleteAfterDays",
      message: "deleteLargeAfterDays must not be greater than deleteAfterDays",
    }),
  )
  .describe("What is taken and how long it is kept.");

const line = (options: { maxLength: number }) => z.string().min(1).max(options.maxLength);

export const Privacy = z
  .strictObject({
    postal: line({ maxLength: 1000 }).optional().describe("Postal address of who runs the relay."),
    mail: text({
      name: "mail",
      pattern: '^[^@\\s<>"]{1,64}@[^@\\s<>"]{1,255}$',
      says: "an e-mail address such as admin@example.org",
      maxLength: 320,
    })
      .optional()
      .describe("E-mail address of who runs the relay; clients show it as the contact."),
    dataOfficer: line({ maxLength: 1000 }).optional().describe("The data protection officer."),
    supervisor: line({ maxLength: 1000 }).optional().describe("The supervising authority."),
  })
  .describe("Who answers for the relay, for its privacy page.");

export const Website = z
  .strictObject({
    configMapName: objectName("configMapName")
      .optional()
      .describe("A ConfigMap whose files (index.html and what it needs) take the place of the built-in pages."),
  })
  .describe("The pages of the relay.");

/** The highest port there is. */
const lastPort = 65_535;

export const Turn = z
  .strictObject({
    enabled: z
      .boolean()
      .default(false)
      .describe("Whether a TURN server runs beside the relay and clients are told of it. Needs UDP port 3478 open."),
    externalAddress: text({
      name: "externalAddress",
      pattern: `^${ipv4}([.]${ipv4}){3}$`,
      says: "an IPv4 address",
      // a name is told what is asked for, not that it is too long
      maxLength: 253,
    })
      .optional()
      .describe(
        "The IPv4 address under which the outside reaches the relay. Without it that of the load balancer, or the node's own; to be given where the node is behind a NAT or the load balancer has only a name.",
      ),
    firstRelayPort: z
      .int()
      .min(10_000)
      .max(lastPort)
      .default(49_152)
      .describe("The first of the UDP ports that calls pass through."),
    relayPorts: z
      .int()
      .min(4)
      .max(500)
      .default(40)
      .describe(
        "How many of them there are: one for each network that a caller's device is in. A tenth stays free, and one account has 12 of them at most. With LoadBalancer and HostPort all are opened.",
      ),
  })
  .refine((turn) => turn.firstRelayPort + turn.relayPorts - 1 <= lastPort, {
    message: `firstRelayPort and relayPorts must not go beyond port ${lastPort}`,
    path: ["relayPorts"],
  })
  .meta(
    cel({
      rule: `self.firstRelayPort + self.relayPorts - 1 <= ${lastPort}`,
      message: `firstRelayPort and relayPorts must not go beyond port ${lastPort}`,
    }),
  )
  .describe("TURN: carries calls between two devices that can't reach each other.");

export const Services = z
  .strictObject({
    push: z
      .strictObject({
        enabled: z
          .boolean()
          .default(true)
          .describe("Whether a delivered message wakes the devices that have asked for it."),
        url: httpsUrl("url")
          .default("https://notifications.delta.chat/notify")
          .describe("The push service. It is sent a device's token, encrypted for it, and nothing else."),
      })
      .prefault({})
      .describe("Push notifications."),
    turn: Turn.prefault({}),
    iroh: z
      .strictObject({
        url: httpsUrl("url")
          .optional()
          .describe(
            "An iroh relay that clients are told of, such as https://iroh.example.org. Without it they use their own.",
          ),
      })
      .prefault({})
      .describe("The iroh relay that helps apps in chats (webxdc) find a direct way between devices."),
    appVersionsConfigMapName: objectName("appVersionsConfigMapName")
      .optional()
      .describe(
        "A ConfigMap whose appversions.json tells apps of their newest versions. It may change at any time; one that can't be understood is not handed out.",
      ),
  })
  .describe("What the relay does beside mail.");

export const Storage = z
  .strictObject({
    size: size({ name: "size", atLeast: "100Mi", atMost: "100Ti" })
      .default("10Gi")
      .describe("Size of the volume for mailboxes and the queue."),
    reservedForMailboxes: size({ name: "reservedForMailboxes", atLeast: "1Mi", atMost: "100Ti" })
      .optional()
      .describe(
        "Free room on the volume below which no mail is accepted (452), so that a full queue leaves room for mailboxes. Without it a tenth of size.",
      ),
    className: objectName("className")
      .optional()
      .describe("StorageClass of the volume; without it the cluster's default."),
    reclaimPolicy: z
      .enum(["Retain", "Delete"])
      .default("Retain")
      .describe(
        "What happens to mailboxes and keys when the ChatmailServer is deleted: Retain keeps the volume claim and the key Secret.",
      ),
  })
  .refine(
    ({ size, reservedForMailboxes: reserved }) => reserved === undefined || bytesOfOr0(reserved) < bytesOfOr0(size),
    {
      message: "reservedForMailboxes must be smaller than size, or no mail is ever accepted",
      path: ["reservedForMailboxes"],
    },
  )
  .meta(
    cel(
      {
        rule: "!has(self.reservedForMailboxes) || !isQuantity(self.reservedForMailboxes) || !isQuantity(self.size) || quantity(self.reservedForMailboxes).compareTo(quantity(self.size)) < 0",
        message: "reservedForMailboxes must be smaller than size, or no mail is ever accepted",
      },
      {
        rule: "has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)",
        message: "className can't be changed: the volume exists",
      },
      {
        rule: "!isQuantity(self.size) || !isQuantity(oldSelf.size) || quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0",
        message: "size can't become smaller: volumes only grow",
      },
    ),
  )
  .describe("Where mailboxes and the queue are kept.");

export const Certificate = z
  .strictObject({
    source: z
      .enum(["Auto", "SelfSigned", "Secret"])
      .default("Auto")
      .describe(
        "Where the certificate comes from. Auto: self-signed for _ names and IP addresses; for other names give a Secret in this version.",
      ),
    secretName: objectName("secretName")
      .optional()
      .describe(
        "The kubernetes.io/tls Secret to serve when source is Secret: tls.crt has the certificate and then the intermediate ones, each signed by the next; tls.key the key of the first.",
      ),
    caBundle: z
      .strictObject({
        configMapName: objectName("configMapName").describe("The ConfigMap."),
        key: z
          .string()
          .min(1)
          .max(253)
          .regex(/^[-._a-zA-Z0-9]+$/)
          .default("ca.crt")
          .describe("The key in it: certificates in PEM form."),
      })
      .optional()
      .describe(
        "Authorities that a given certificate may lead to, besides those that everybody knows. For an organisation whose clients and relays all know them; others refuse such a certificate.",
      ),
  })
  .refine((certificate) => certificate.source !== "Secret" || certificate.secretName !== undefined, {
    message: "secretName is required when source is Secret",
    path: ["secretName"],
  })
  .refine((certificate) => certificate.source === "Secret" || certificate.secretName === undefined, {
    message: "secretName is only used when source is Secret",
    path: ["secretName"],
  })
  .refine((certificate) => certificate.source === "Secret" || certificate.caBundle === undefined, {
    message: "caBundle is only used when source is Secret",
    path: ["caBundle"],
  })
  .meta(
    cel(
      {
        rule: "self.source != 'Secret' || has(self.secretName)",
        message: "secretName is required when source is Secret",
      },
      {
        rule: "self.source == 'Secret' || !has(self.secretName)",
        message: "secretName is only used when source is Secret",
      },
      {
        rule: "self.source == 'Secret' || !has(self.caBundle)",
        message: "caBundle is only used when source is Secret",
      },
    ),
  )
  .describe("The TLS certificate of the relay.");

const annotationMap = entries({ atMost: 50, valueMaxLength: 1024 });

export const ProxyProtocol = z
  .strictObject({
    trustedNetworks: z
      .array(addressRange("trustedNetworks"))
      .min(1)
      .max(16)
      .meta({ "x-kubernetes-list-type": "set" })
      .describe(
        "Where the load balancer connects from, such as 192.0.2.0/28. nginx takes nobody else's word for an address; Postfix can't tell, so see to it that only the load balancer reaches the ports.",
      ),
  })
  .describe(
    "The load balancer begins each connection to each port with a PROXY header (version 1 or 2), which says who the client is. Without this block headers are refused; with it, connections without one. Only the load balancer may reach the ports: to Postfix, whoever does can claim any address.",
  );

const labelMap = entries({ atMost: 16, valueMaxLength: 63 });

export const NetworkPolicy = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe(
        "Whether a NetworkPolicy is made for the pods. It has an effect where the cluster's network enforces such policies.",
      ),
    metricsFrom: z
      .strictObject({
        namespaceLabels: labelMap
          .optional()
          .describe(
            "Labels of their namespace, such as kubernetes.io/metadata.name: monitoring; without it the relay's own namespace.",
          ),
        podLabels: labelMap.optional().describe("Labels of the pods; without it all pods there."),
      })
      .optional()
      .describe(
        "Which pods may read health and metrics (port 9090), beside those of the operator's namespace. Without it no others.",
      ),
  })
  .describe(
    "Who may connect to the relay pod, and whom it may connect to: everybody to the served ports; from the pod DNS, ports 25 and 443, the push service and, with TURN, UDP, each to other relays and to addresses that are neither special-purpose (RFC 6890) nor in refusedPeers, or are in privatePeers.",
  );

export const Network = z
  .strictObject({
    exposure: z
      .enum(["LoadBalancer", "NodePort", "HostPort"])
      .default("LoadBalancer")
      .describe(
        "How clients and other relays reach the relay: a LoadBalancer Service, node ports, or the standard ports of the pod's node.",
      ),
    ipFamilyPolicy: z
      .enum(["SingleStack", "PreferDualStack", "RequireDualStack"])
      .default("PreferDualStack")
      .describe("Address families of the Service, as in a Service's own ipFamilyPolicy."),
    annotations: annotationMap.optional().describe("Annotations for the Service, such as those a load balancer reads."),
    loadBalancerClass: line({ maxLength: 253 })
      .optional()
      .describe("Which load balancer implementation serves it; without it the cluster's default."),
    validatingResolvers: z
      .array(address("validatingResolvers"))
      .min(1)
      .max(3)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .optional()
      .describe(
        "Addresses of up to three resolvers that validate DNSSEC, on a path that nobody can tamper with. The pod asks them instead of the cluster's DNS, and verifies other mail servers by DANE where they publish it.",
      ),
    proxyProtocol: ProxyProtocol.optional(),
    policy: NetworkPolicy.prefault({}),
    connectionsPerClient: z
      .int()
      .min(50)
      .max(100_000)
      .default(1_500)
      .describe(
        "Connections to the ports 80, 143, 443, 465 and 993, all together, that one client may have at the same time: an IPv4 address, or the /64 of an IPv6 one. Everybody behind one NAT is one client; a phone has one to three connections.",
      ),
    privatePeers: z
      .array(addressRange("privatePeers"))
      .max(32)
      .meta({ "x-kubernetes-list-type": "set" })
      .optional()
      .describe(
        "Private and other special-purpose networks (RFC 6890) that the relay may connect to, such as 10.20.0.0/16 for mail servers of one's own. To every other such address it sends no mail, makes no request and no push; so nobody can reach the cluster's own network by way of the relay.",
      ),
    refusedPeers: z
      .array(addressRange("refusedPeers"))
      .max(32)
      .meta({ "x-kubernetes-list-type": "set" })
      .optional()
      .describe(
        "Networks that the relay may not connect to although their addresses are global, such as the cluster's own pods and Services where these have global addresses.",
      ),
  })
  .refine((network) => network.exposure === "LoadBalancer" || network.loadBalancerClass === undefined, {
    message: "loadBalancerClass is only used when exposure is LoadBalancer",
    path: ["loadBalancerClass"],
  })
  .meta(
    cel(
      {
        rule: "self.exposure == 'LoadBalancer' || !has(self.loadBalancerClass)",
        message: "loadBalancerClass is only used when exposure is LoadBalancer",
      },
      {
        rule: "self.exposure != 'LoadBalancer' || oldSelf.exposure != 'LoadBalancer' || (has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && (!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass))",
        message: "loadBalancerClass can't be changed while exposure is LoadBalancer",
      },
    ),
  )
  .describe("How the relay is reached.");

const computeAmount = (name: string) =>
  text({
    name,
    pattern: "^([1-9][0-9]{0,14}(m|k|M|G|T|Ki|Mi|Gi|Ti)?|[0-9]{1,6}[.][0-9]{1,3})$",
    says: "an amount as Kubernetes has them, such as 250m, 2 or 128Mi",
    maxLength: 20,
  });

const amounts = z.strictObject({
  cpu: computeAmount("cpu").optional().describe("Processor cores, such as 250m."),
  memory: computeAmount("memory").optional().describe("Memory, such as 128Mi."),
});

const containerResources = z.strictObject({
  requests: amounts.optional().describe("What is set aside for the container."),
  limits: amounts.optional().describe("What the container may use at most."),
});

export const Resources = z
  .strictObject({
    postfix: containerResources.optional().describe("For Postfix."),
    dovecot: containerResources.optional().describe("For Dovecot."),
    relay: containerResources.optional().describe("For the relay daemon."),
    web: containerResources.optional().describe("For nginx."),
    turn: containerResources.optional().describe("For the TURN server, where there is one."),
  })
  .describe(
    "CPU and memory for each container of the relay pod. What is not given has a built-in value: what the container needs while idle as request, and a limit for memory that holds as many sessions as accounts.imapConnections and accounts.smtpConnections allow.",
  );

const labelValue = z.string().max(63);

export const Toleration = z.strictObject({
  key: z.string().max(317).optional().describe("The taint's key; empty with Exists: all taints."),
  operator: z
    .enum(["Exists", "Equal"])
    .optional()
    .describe("Equal, without it: the value must be the same. Exists: any value."),
  value: labelValue.optional().describe("The taint's value."),
  effect: z
    .enum(["NoSchedule", "PreferNoSchedule", "NoExecute"])
    .optional()
    .describe("The taint's effect; without it all effects."),
  tolerationSeconds: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .describe("How long the pod stays once a NoExecute taint is there, in seconds; without it for ever."),
});

export const Scheduling = z
  .strictObject({
    nodeSelector: entries({ atMost: 50, valueMaxLength: 63 }).optional().describe("Labels a node must have."),
    tolerations: z.array(Toleration).max(50).optional().describe("Taints the pod tolerates."),
    priorityClassName: objectName("priorityClassName").optional().describe("PriorityClass of the pod."),
  })
  .describe("Where the relay pod may run.");

export const ChatmailServerSpec = z
  .strictObject({
    domain: Domain,
    management: z
      .enum(["Managed", "Paused", "Unmanaged"])
      .default("Managed")
      .describe(
        "Managed: the operator carries out the spec. Paused: spec changes wait, health is still reported. Unmanaged: hands off.",
      ),
    accounts: Accounts.prefault({}),
    messages: Messages.prefault({}),
    privacy: Privacy.prefault({}),
    website: Website.prefault({}),
    services: Services.prefault({}),
    storage: Storage.prefault({}),
    certificate: Certificate.prefault({}),
    network: Network.prefault({}),
    resources: Resources.prefault({}),
    scheduling: Scheduling.prefault({}),
    image: text({
      name: "image",
      pattern: "^[^ \\t\\r\\n]+$",
      says: "an image reference without spaces",
      maxLength: 512,
    })
      .optional()
      .describe("Relay image to run instead of the one that belongs to the operator's version."),
  })
  .refine((spec) => bytesOfOr0(spec.messages.maxSize) <= bytesOfOr0(spec.accounts.mailboxQuota), {
    message: "messages.maxSize must not be greater than accounts.mailboxQuota",
    path: ["messages", "maxSize"],
  })
  .meta(
    cel({
      rule: "!isQuantity(self.messages.maxSize) || !isQuantity(self.accounts.mailboxQuota) || quantity(self.messages.maxSize).compareTo(quantity(self.accounts.mailboxQuota)) <= 0",
      message: "messages.maxSize must not be greater than accounts.mailboxQuota",
    }),
  )
  .describe("What the relay should be. Every field but domain has a default that suits a public relay.");
export type ChatmailServerSpec = z.infer<typeof ChatmailServerSpec>;

/** 0 for text that is no size: the field's own rule has said so already. */
function bytesOfOr0(quantity: string): number {
  try {
    return bytesOf(quantity);
  } catch {
    return 0;
  }
}

export const Condition = z.object({
  type: z.string().max(316).describe("What is judged, such as Ready or CertificateReady."),
  status: z.enum(["True", "False", "Unknown"]).describe("Whether it is so."),
  reason: z.string().max(1024).describe("One word for why; docs/reference lists them."),
  message: z.string().max(32_768).describe("What is so, and what to do where something is missing."),
  lastTransitionTime: z.iso.datetime().describe("When status last changed."),
  observedGeneration: z.int().min(0).optional().describe("The generation of the spec that was judged."),
});
export type Condition = z.infer<typeof Condition>;

export const ChatmailServerStatus = z
  .object({
    observedGeneration: z.int().min(0).optional().describe("The generation of the spec that this status speaks of."),
    conditions: z
      .array(Condition)
      .max(32)
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] })
      .optional()
      .describe("Ready, Reconciling and Stalled, and one for each concern."),
    addresses: z
      .array(z.string().max(253))
      .max(16)
      .optional()
      .describe("Where the relay is reached: IP addresses or host names."),
    invite: z
      .object({
        link: z
          .string()
          .max(512)
          .optional()
          .describe("The link that makes Delta Chat get an address here; also what the QR code on the page says."),
        page: z.string().max(512).optional().describe("The page with the link and the QR code."),
        secretName: z
          .string()
          .max(253)
          .optional()
          .describe(
            "The Secret of invites, where registration asks for one. Invites are not shown here: whoever may read this may not have one.",
          ),
      })
      .optional()
      .describe("How people join."),
    certificate: z
      .object({
        source: z.string().max(64).optional().describe("Where the certificate came from."),
        notAfter: z.iso.datetime().optional().describe("When it ends."),
        sha256: z.string().max(128).optional().describe("SHA-256 of the certificate, hexadecimal."),
      })
      .optional()
      .describe("The certificate that the pod is given."),
    dkim: z
      .object({
        selector: z.string().max(63).optional().describe("The selector of the relay's key."),
        record: z
          .object({
            name: z.string().max(320).optional().describe("Its name."),
            value: z.string().max(2048).optional().describe("Its value, as it stands in a zone file."),
          })
          .optional()
          .describe("The TXT record to publish."),
      })
      .optional()
      .describe("The key that the relay signs its mail with. Other relays refuse mail until the record is published."),
    dns: z
      .array(
        z.object({
          name: z.string().max(320).describe("Its name, with the dot at the end."),
          type: z.string().max(16).describe("Such as MX."),
          value: z.string().max(2048).describe("As it stands in a zone file."),
          required: z.boolean().describe("Whether mail fails without it."),
        }),
      )
      .max(40)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .optional()
      .describe("The DNS records that the domain needs, to be published by whoever looks after its zone."),
    lastExpiry: z
      .object({
        finishedAt: z.iso.datetime().optional().describe("When the last expiry job ended well."),
      })
      .optional()
      .describe("The last daily clean-up."),
  })
  .describe("What is true of the relay and what is missing.");
export type ChatmailServerStatus = z.infer<typeof ChatmailServerStatus>;

/** A ChatmailServer as the API server hands it out: defaults filled in. */
export interface ChatmailServer {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    generation: number;
    resourceVersion?: string;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec: ChatmailServerSpec;
  status?: ChatmailServerStatus;
}
