/**
 * Where things are inside a relay pod: users, ports, folders and sockets. The image, the pod and
 * the configuration texts agree through here.
 */

/** The one user of Dovecot, the relay daemon and nginx; owns all mailboxes. */
export const vmail = { uid: 5000, gid: 5000, name: "vmail" } as const;

/**
 * Users of Postfix: its daemons, and the group that may submit mail. Fixed, since the queue on the
 * volume belongs to them.
 */
export const postfix = { uid: 5001, gid: 5001, name: "postfix", dropGid: 5002, dropGroup: "postdrop" } as const;

/** Where files are mounted; `containers.ts` says which container has which. */
export const folders = {
  /** A ConfigMap: plan.json. The one thing that containers are told. */
  plan: "/etc/chatmail/plan",
  /**
   * On the volume, by subPath `plan`: the last plan that all programs have taken. The relay daemon
   * writes it, the others read it.
   */
  lastPlan: "/var/lib/chatmail/plan",
  /**
   * Each a link, in a folder of the container's own, to what it has rendered from the plan it uses
   * (configure.ts).
   */
  postfixConfig: "/etc/chatmail/postfix/current",
  dovecotConfig: "/etc/chatmail/dovecot/current",
  webConfig: "/etc/chatmail/web/current",
  /**
   * In the folder of each domain, a ConfigMap of the user's: the pages, where the plan says that
   * they are the user's own.
   */
  pages: "/srv/chatmail/pages",
  /** In the folder of each domain, a Secret: the certificate. */
  tls: "/etc/chatmail/tls",
  /** In the folder of each domain, a Secret: keys to sign with, as dkim.ts names them. */
  dkim: "/etc/chatmail/dkim",
  /** In the folder of each domain, a Secret: each file is an invite. */
  invites: "/etc/chatmail/invites",
  /** In the folder of each domain, a ConfigMap of the user's: appversions.json. */
  appVersions: "/etc/chatmail/app-versions",
  turnConfig: "/tmp/turn/current",
  /** Another volume, for backups alone: a folder for each domain. */
  backups: "/var/lib/chatmail/backups",
  /** A Secret: what TURN credentials are made with, as turn.ts names it. */
  turnSecret: "/etc/chatmail/turn-secret",
  /** In the folder of the domain, a Secret: the key of the ACME account. For backups alone. */
  acmeAccount: "/etc/chatmail/acme-account",
  /** A Secret: the key that opens a backup. */
  ageIdentity: "/etc/chatmail/age-identity",
  /** A volume that is moved, and the one that it is copied to. */
  moveFrom: "/var/lib/chatmail/from",
  moveTo: "/var/lib/chatmail/to",
  /** A ConfigMap or Secret: the authorities of the store for backups. */
  storeAuthority: "/etc/chatmail/store-authority",
  /** Another volume, with the files of a relay that is brought over. */
  imported: "/var/lib/chatmail/imported",
  run: "/run/chatmail",
  /** Made by the relay daemon; a file for each domain, named as it. */
  servedTls: "/run/chatmail/tls",
  /** On the volume, by subPath `queue`. */
  queue: "/var/spool/postfix",
  /** On the volume, by subPath `postfix`: Postfix's own small state. */
  postfixState: "/var/lib/postfix",
  /** Dovecot's inner sockets; its own emptyDir. */
  dovecotRun: "/run/dovecot",
  /**
   * On the volume, by subPath `mail`: DOMAIN/ADDRESS/ is a Maildir with the account's own files
   * beside it.
   */
  mail: "/var/lib/chatmail/mail",
} as const;

/**
 * A domain as the name of a file, a folder or a memory zone. Kubernetes mounts nothing at a path
 * with a colon, which an IPv6 address has; no DNS name is like what comes of it, for these have a
 * dot.
 */
export const domainFile = (domain: string) => domain.replaceAll(":", "-");

/** What belongs to one domain, in one of the folders that have a folder for each. */
export const domainFolder = (folder: string, domain: string) => `${folder}/${domainFile(domain)}`;

/**
 * Unix sockets in `folders.run`. The pod is the boundary: they are open to all of its containers
 * (mode 0666), and nothing else enters the pod.
 */
export const sockets = {
  /** Milter for mail that our own users submit. */
  outgoingMilter: `${folders.run}/outgoing-milter.sock`,
  /** Milter for mail from other servers. */
  incomingMilter: `${folders.run}/incoming-milter.sock`,
  /** Milter for the bounces that Postfix writes. */
  bounceMilter: `${folders.run}/bounce-milter.sock`,
  /** Postfix's questions in Dovecot's auth protocol. */
  sasl: `${folders.run}/sasl.sock`,
  /**
   * HTTP: Dovecot's Lua questions (/passdb, /userdb, /users), and nothing that the outside may
   * reach.
   */
  auth: `${folders.run}/auth.sock`,
  /** What Dovecot's LMTP asks of each recipient, in the protocol of its auth process. */
  userdb: `${folders.run}/userdb.sock`,
  /** HTTP: what nginx forwards (/new, /join, /i/…). */
  web: `${folders.run}/web.sock`,
  /** HTTP: mail from other relays that nginx forwards (/mxdeliv). */
  mxdeliv: `${folders.run}/mxdeliv.sock`,
  /** Postfix's questions about routes: the tables `transport` and `tls-policy`. */
  routes: `${folders.run}/routes.sock`,
  /** Dovecot dict: IMAP METADATA. */
  metadata: `${folders.run}/metadata.sock`,
  /** Dovecot's quota warning (script protocol). */
  quota: `${folders.run}/quota.sock`,
  /** LMTP into Dovecot. */
  lmtp: `${folders.run}/lmtp.sock`,
  /** The same without a look at the quota, for the relay daemon, which knows that there is room. */
  /** Dovecot's report of each delivery: a line with the address, and the author of each message. */
  delivered: `${folders.run}/delivered.sock`,
} as const;

/** Ports on the pod's loopback, where a program takes no unix socket. */
export const loopback = {
  /** SMTP: the relay daemon takes what goes by HTTPS. */
  httpsDelivery: 10083,
  /** SMTP: Postfix takes what came by HTTPS. */
  received: 10026,
  /**
   * Behind the public ports that nginx counts clients at. It begins each connection with a PROXY
   * header, which says whose it is.
   */
  http: 8081,
  https: 8443,
  imap: 1143,
  imaps: 1994,
  submissions: 1466,
  /**
   * nginx's own, for clients with IPv4 and with IPv6 addresses: on the way to those, see web.ts.
   */
  gates: { submissions: [1465, 1467], imaps: [1995, 1996], imap: [1144, 1145] },
} as const;

/**
 * The files of a certificate's Secret: at any time they may change, be broken, or be two halves
 * that don't belong together.
 */
export const givenTls = { certificate: "tls.crt", key: "tls.key" } as const;

/**
 * Folder beside them, with files of the same names: the last pair that could be served. It counts
 * where those can't, and nothing is served yet.
 */
export const lastTls = "last";

/**
 * Headers of one request to /mxdeliv: a thousand recipients are one each. nginx and the daemon
 * behind it agree on this.
 */
export const mostMxdelivHeaders = 1100;

/**
 * All headers of a request together: a thousand recipients of 100 bytes each, and some room. nginx
 * keeps so much for a client that has proved nothing.
 */
export const mostMxdelivHeaderBytes = 128 * 1024;

/**
 * What is served for a domain: key and chain in one file, written by the relay daemon once it has
 * found that they belong together, and replaced by a rename. Whoever reads it, and whenever, reads
 * a pair. While a domain has none of its own, it is a link to the file of another one.
 */
export const servedTls = (domain: string) => domainFolder(folders.servedTls, domain);

/**
 * The named pipes through which the relay daemon tells programs of something new, a line each: "try
 * HASH" and "use HASH" speak of a plan, any other line makes the program read its files anew. nginx
 * reads the certificate at each handshake, and is told of plans alone.
 */
export const reloadPipes = {
  postfix: `${folders.run}/reload-postfix.pipe`,
  dovecot: `${folders.run}/reload-dovecot.pipe`,
  web: `${folders.run}/reload-web.pipe`,
} as const;

/** The key in a Secret, and the file, that has secret keys of age. */
export const ageIdentityKey = "identity";

/** The file in `folders.storeAuthority`: certificates in PEM. */
export const storeAuthorityFile = "ca.crt";

/** The plan, in each of its two folders. */
export const planFile = "plan.json";

/** What a program has made of the plan, for the relay daemon: see configure.ts. */
export const planReport = (program: string) => `${folders.run}/plan-${program}.json`;

/** How much mail is left in Postfix's queue, for the relay daemon, which asks for it. */
export const queueReport = `${folders.run}/queue.json`;

/** Programs of ours in the relay image: bundled, run by the image's node. */
export const programs = {
  node: "/usr/local/bin/node",
  relay: "/opt/chatmail/relay.js",
  expire: "/opt/chatmail/expire.js",
  backup: "/opt/chatmail/backup.js",
  /** What an administrator does with accounts, by exec. */
  users: "/opt/chatmail/users.js",
  /** Takes accounts and mail of another relay, by exec. */
  import: "/opt/chatmail/import.js",
  /** Copies a volume to another one. */
  move: "/opt/chatmail/move.js",
  /** Renders the configuration of one program from the plan: configure.ts. */
  render: "/opt/chatmail/render.js",
  /** Starts a program with addresses taken out of what it logs: `run-quietly PROGRAM ARG…`. */
  quiet: "/opt/chatmail/run-quietly",
  /**
   * Starts a program with the configuration that follows from the plan, and keeps it at the newest
   * plan and certificate: `with-plan PART PROGRAM ARG…`.
   */
  withPlan: "/opt/chatmail/with-plan",
  /** Becomes Dovecot's master with the configuration file given: `start-dovecot FILE`. */
  startDovecot: "/opt/chatmail/start-dovecot",
  /**
   * Becomes Dovecot's login process when the auth process is ready for a crowd: `start-login FILE
   * PROGRAM`.
   */
  startLogin: "/opt/chatmail/start-login",
  /** Becomes Postfix's master with the configuration folder given: `start-postfix FOLDER`. */
  startPostfix: "/opt/chatmail/start-postfix",
  /**
   * Becomes coturn: `start-turn CONFIGURATION SECRET` after it has rendered the former, with POD_IP
   * and EXTERNAL_IP in the environment.
   */
  startTurn: "/opt/chatmail/start-turn",
  /** Makes the folders of the volume and gives them to their users; safe to repeat. */
  prepareVolume: "/opt/chatmail/prepare-volume",
  /** Loaded into Dovecot: no half second between delivery and IDLE (image/nodelay.c). */
  noDelay: "/opt/chatmail/nodelay.so",
  /**
   * Loaded into imap-hibernate: it waits for no inotify descriptor to be closed
   * (image/close-in-background.c).
   */
  closeInBackground: "/opt/chatmail/close-in-background.so",
  /** Dovecot's questions to the relay daemon, in Lua. */
  authLua: "/opt/chatmail/auth.lua",
} as const;
