/** The relay daemon: opens all listeners and connects each to the code that answers it. */
import { randomInt } from "node:crypto";
import { getServers } from "node:dns";
import { mkdirSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import type { Logger } from "pino";
import { createKeyCache } from "../dkim/keys.ts";
import { createVerifier } from "../dkim/verify.ts";
import { createLookup } from "../dns/lookup.ts";
import { loopback, sockets } from "../pod/layout.ts";
import { type MayConnect, peerRule } from "../pod/networks.ts";
import { Accounts } from "./accounts/accounts.ts";
import type { Crypt } from "./accounts/crypt-addon.ts";
import { Hashing } from "./accounts/hashing.ts";
import { readResources } from "./accounts/resources.ts";
import { accountExists } from "./accounts/store.ts";
import { answerAuth, findUser, maxQuestionBytes as maxAuthBytes } from "./auth/server.ts";
import { Certificates } from "./certificate/certificates.ts";
import { LastMail } from "./closing/last-mail.ts";
import { UntilClosing } from "./closing/until-closing.ts";
import type { Settings, Start } from "./config.ts";
import { openHttpsDelivery, reportingEnd } from "./deliver/server.ts";
import { type LocalAddress, localRecipient, ourDomainOf } from "./domains.ts";
import * as events from "./events.ts";
import { trimMailbox } from "./expire/trim.ts";
import { ClientAddresses } from "./figures/clients.ts";
import { RelayFigures } from "./figures/figures.ts";
import { ProgramReports } from "./figures/reports.ts";
import { BounceFilter } from "./filter/bounce.ts";
import { IncomingFilter } from "./filter/incoming.ts";
import { OutgoingFilter } from "./filter/outgoing.ts";
import { OwnKeys } from "./filter/own-keys.ts";
import { SenderRates } from "./filter/sender-rates.ts";
import { answerHealth } from "./health/server.ts";
import { MailboxDelivery } from "./mailbox/delivery.ts";
import { Maildirs } from "./mailbox/maildir.ts";
import { Room } from "./mailbox/room.ts";
import { Metadata } from "./metadata/answers.ts";
import { TokenStore } from "./metadata/tokens.ts";
import { Metrics } from "./metrics.ts";
import { openRoutes } from "./open-routes.ts";
import { DeliveryOrder } from "./order/order.ts";
import { PlanFollower } from "./plan/follower.ts";
import { ProbeAccounts } from "./probe/accounts.ts";
import { Prober } from "./probe/prober.ts";
import { Push } from "./push/push.ts";
import { openQuota } from "./quota/server.ts";
import { RateLimiter } from "./rate.ts";
import { receiveServer } from "./receive/server.ts";
import { answerWeb, maxQuestionBytes as maxWebBytes } from "./web/server.ts";
import { openDict } from "./wire/dict-server.ts";
import { type HttpOptions, httpServer } from "./wire/http.ts";
import { openMilter } from "./wire/milter-server.ts";
import { openReports } from "./wire/report-server.ts";
import { openSasl } from "./wire/sasl-server.ts";
import { closeServer, listenOn, type SocketServer } from "./wire/socket-server.ts";
import { openSocketmap } from "./wire/socketmap-server.ts";
import { openUserdb } from "./wire/userdb-server.ts";

export interface Daemon {
  healthPort: number;
  metrics: Metrics;
  /** Takes no new questions, answers those that were asked (for at most `graceMs`), and is gone. */
  stop: (graceMs: number) => Promise<void>;
}

export interface DaemonOptions extends Start {
  log: Logger;
  hashWorkerFile: URL;
  /** Where libxcrypt can be used. */
  crypt?: Crypt | undefined;
  /** Of this program, as it is released. */
  version?: string;
  now?: () => number;
}

/** Half of the threads that files and signatures are read, written and made with. */
const hashThreads = 2;

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { settings, log, version = "unknown", now = Date.now } = options;
  const domains = () => Object.keys(settings.domains);
  const metrics = new Metrics(() => domains().length);
  const tools = { config: settings, metrics, log, now };
  metrics.gauge("chatmail_relay_info", () => [{ labels: { version }, value: 1 }]);
  const clients = new ClientAddresses(now);
  const reports = new ProgramReports({ settings, log, now });
  const figures = new RelayFigures({ settings, reports, clients, now });
  figures.addTo(metrics);
  const hashing = { workerFile: options.hashWorkerFile, threads: hashThreads, crypt: options.crypt };
  const hashes = new Hashing(hashing);
  const accounts = new Accounts({
    ...tools,
    hash: (job) => hashes.run(job),
    hashesAtOnce: hashThreads,
    resources: readResources,
    onLogin: ({ address }, from) => clients.note(address, from),
  });
  const probes = new ProbeAccounts(settings);
  const { probeEveryMs } = settings;
  const prober =
    probeEveryMs > 0 ? await Prober.open({ ...tools, accounts: probes, everyMs: probeEveryMs }) : undefined;
  const tokens = new TokenStore({ log, now });
  const ruleOf = ({ privatePeers = [], refusedPeers = [] }: Settings) =>
    peerRule({ allowed: privatePeers, refused: refusedPeers });
  let rule = ruleOf(settings);
  const mayConnect: MayConnect = (address) => rule(address);
  const push = new Push({ ...tools, tokens, mayConnect });
  const keys = new OwnKeys(tools);
  const lookup = createLookup({ servers: getServers(), random: randomInt });
  // whoever sends mail chooses whose name server is asked for keys: a silent one is left early
  const keyLookup = createLookup({ servers: getServers(), random: randomInt, timeoutMs: 1000 });
  const verifier = createVerifier({ keys: createKeyCache({ lookup: (name) => keyLookup(name, "TXT"), now }), now });
  const rates = await SenderRates.open(tools);
  const routes = await openRoutes({ ...tools, lookup, mayConnect });
  const order = new DeliveryOrder({
    isReported: (recipient) => isReported(recipient),
    onEnded: (ms) => metrics.histogram("chatmail_message_delivery_seconds").observe(ms / 1000),
    onLate: () => metrics.count("deliveries_late_total"),
    now,
  });
  const servers: SocketServer[] = [];
  let stopping = false;

  /** Dovecot reports what it delivers to accounts, the courier what goes by HTTPS. */
  function isReported(recipient: string): boolean {
    const account = localRecipient(settings, recipient);
    return account ? accountExists(account) : routes.goesByHttps(recipient);
  }

  const pathOf = (name: keyof typeof sockets) => join(settings.runFolder, basename(sockets[name]));
  const failuresOf = (service: string) => ({
    onFailure: (thrown: unknown) => events.answerFailed(log, service, thrown),
    onProtocolError: (why: string) => {
      metrics.count("peer_errors_total", { service });
      events.peerBrokeProtocol(log, service, why);
    },
  });
  const openHttp = async (name: "auth" | "web", http: Omit<HttpOptions, "onFailure">) => {
    const server = httpServer({ ...http, ...failuresOf(name) });
    await listenOn(server, pathOf(name));
    servers.push(httpSocketServer(server, pathOf(name)));
  };

  /** Makes room in a mailbox that is nearly full. */
  const trim = async (account: LocalAddress) => {
    const removed = await trimMailbox(account, now());
    if (removed === 0) return;
    metrics.of(account.domain).count("quota_expire_runs");
    metrics.of(account.domain).count("quota_expire_removed_files", {}, removed);
    events.quotaTrimmed(log, account.domain, removed);
  };
  /** A message is in the mailbox of an account, with these addresses in its From header. */
  const delivered = async (address: string, authors: readonly string[]) => {
    for (const author of authors) order.ended({ sender: author, recipients: [address] });
    // what somebody sent to themselves wakes nobody
    const fromOthers = authors.some((author) => author.toLowerCase() !== address);
    if (fromOthers) await push.messageCame(address);
  };
  const { onFailure: onMailboxFailure } = failuresOf("mailbox");
  const maildirs = new Maildirs({ onFailure: onMailboxFailure });
  const mailboxes = new MailboxDelivery({
    ...tools,
    maildirs,
    lmtpPath: pathOf("lmtp"),
    room: new Room({ now, trim, ...failuresOf("room") }),
    onDelivered: (address, author) => void delivered(address, [author]).catch(onMailboxFailure),
  });

  mkdirSync(settings.runFolder, { recursive: true });
  const { runFolder, tlsFolder } = settings;
  const certificates = new Certificates({ runFolder, tlsFolder, domains, log });
  const lastMail = new LastMail({ settings, log });
  const { plan } = options;
  const follower =
    plan &&
    new PlanFollower({
      ...plan,
      runFolder: settings.runFolder,
      log,
      check: async (wanted) => {
        // programs that start by this plan wait for its certificates, whatever else is wrong with
        // it
        await certificates.prepare(wanted.domains.map(({ domain }) => domain));
        plan.settingsFor(wanted);
      },
      // everybody reads the settings when they are needed
      use: async (wanted) => {
        replaceFields(settings, plan.settingsFor(wanted));
        rule = ruleOf(settings);
        keys.problems();
        lastMail.follow();
        await push.follow();
        prober?.follow();
      },
      usedByAll: () => certificates.forgetOthers(),
    });
  await certificates.start();
  const health = httpServer({
    maxBodyBytes: 0,
    answer: (question) =>
      answerHealth(question, {
        metrics,
        mailFolder: settings.mailFolder,
        servers: () => servers,
        domains,
        keyProblems: () => keys.problems(),
        signing: () => keys.signing(),
        certificateProblems: () => certificates.problems(),
        stopping: () => stopping,
        refusals: () => accounts.refusals(),
        plan: () => follower?.status(),
        closing: () => lastMail.status(),
        deliverable: () => prober?.report(),
        version,
        figures,
        served: () => certificates.served(),
      }),
    ...failuresOf("health"),
  });
  servers.push(
    await openMilter({
      path: pathOf("outgoingMilter"),
      begin: (from) =>
        new UntilClosing(new OutgoingFilter(from, rates, { ...tools, order, keys, probes, mailboxes }), settings),
      ...failuresOf("outgoing milter"),
    }),
    await openMilter({
      path: pathOf("incomingMilter"),
      begin: (from) => new UntilClosing(new IncomingFilter(from, { ...tools, order, verifier, mailboxes }), settings),
      ...failuresOf("incoming milter"),
    }),
    await openMilter({
      path: pathOf("bounceMilter"),
      begin: ({ sender }) => new BounceFilter(sender, { ...tools, keys }),
      ...failuresOf("bounce milter"),
    }),
    await openSasl({
      path: pathOf("sasl"),
      login: async (user, password, client) => {
        const probe = probes.login("submission", { address: user, password }, client);
        if (probe) return probe;
        const login = await accounts.login(user, password, client);
        metrics.of(ourDomainOf(settings, user)).count("logins_total", { service: "submission", outcome: login.kind });
        return login;
      },
      ...failuresOf("sasl"),
    }),
    await openDict({
      path: pathOf("metadata"),
      answers: new Metadata({ ...tools, accounts, tokens }),
      ...failuresOf("metadata"),
    }),
    await openUserdb({
      path: pathOf("userdb"),
      find: (address) => findUser(address, { accounts, probes, config: settings }),
      ...failuresOf("userdb"),
    }),
    await openReports({
      path: pathOf("delivered"),
      // Dovecot has delivered messages to this address
      take: async ([address = "", ...authors]) => {
        if (!probes.delivered(address)) await delivered(address, authors);
      },
      ...failuresOf("delivered"),
    }),
    await openQuota({
      path: pathOf("quota"),
      config: settings,
      trim,
      ...failuresOf("quota"),
    }),
  );
  servers.push(
    await openSocketmap({
      path: pathOf("routes"),
      answer: (question) => routes.answer(question),
      ...failuresOf("routes"),
    }),
    await openHttpsDelivery({
      port: settings.httpsDeliveryPort,
      open: (envelope) => reportingEnd(envelope, routes.courier, order),
      ...failuresOf("HTTPS delivery"),
    }),
  );
  const received = receiveServer({ config: settings, metrics, port: loopback.received, ...failuresOf("mxdeliv") });
  await listenOn(received, pathOf("mxdeliv"));
  servers.push(httpSocketServer(received, pathOf("mxdeliv")));
  const logins = new RateLimiter(now);
  await openHttp("auth", {
    maxBodyBytes: maxAuthBytes,
    answer: (question) =>
      answerAuth(question, {
        ...tools,
        accounts,
        probes,
        logins,
        onNoteFailure: failuresOf("last login").onFailure,
      }),
  });
  await openHttp("web", {
    maxBodyBytes: maxWebBytes,
    answer: (question) => answerWeb(question, { ...tools, accounts }),
  });
  await new Promise<void>((resolve, reject) => {
    health.once("error", reject);
    health.listen(settings.healthPort, () => resolve());
  });
  await push.follow();
  lastMail.follow();
  follower?.start();
  prober?.follow();
  reports.start();
  keys.start();
  events.serving(log, Object.keys(settings.domains).length);

  return {
    healthPort: (health.address() as AddressInfo).port,
    metrics,
    async stop(graceMs) {
      stopping = true;
      certificates.stop();
      keys.stop();
      await follower?.stop();
      lastMail.stop();
      reports.stop();
      await prober?.stop();
      order.stop();
      await Promise.all(servers.map((server) => server.close(graceMs)));
      mailboxes.close();
      maildirs.close();
      await Promise.all([routes.close(), rates.close()]);
      await push.stop();
      await hashes.close();
      await closeServer(health, 0, () => health.closeAllConnections());
    },
  };
}

/** The object stays the same, so that who holds it sees the new fields. */
function replaceFields(settings: Settings, wanted: Settings): void {
  for (const name of Object.keys(settings)) if (!(name in wanted)) delete settings[name as keyof Settings];
  Object.assign(settings, wanted);
}

function httpSocketServer(server: Server, path: string): SocketServer {
  return {
    path,
    listening: () => server.listening,
    close: (graceMs) =>
      closeServer(server, graceMs, (last) => (last ? server.closeAllConnections() : server.closeIdleConnections())),
  };
}
