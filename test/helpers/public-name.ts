/**
 * A relay under an ordinary name, without another hand: told by `npm run demo -- --public`, proved
 * by test/cluster/public.test.ts. Around it: a signed zone that takes updates at the lab's BIND, a
 * resolver that validates it, and Pebble as the authority. Runs inside the lab.
 */
import { readFile } from "node:fs/promises";
import { connect } from "node:tls";
import { parse } from "yaml";
import type { ChatmailServerStatus, WrittenServer } from "../../src/api/chatmail-server.ts";
import { annotations } from "../../src/api/names.ts";
import { askServer } from "../../src/dns/ask.ts";
import type { SeenType } from "../../src/dns/values.ts";
import { ports } from "../../src/mail/ports.ts";
import { delegationSigner, nameServer, publishZone, removeZone, updateKey } from "../lab/names.ts";
import { addresses, privatePeers } from "../lab/place.ts";
import { onAnyLoad } from "./accounts.ts";
import { anchorOf } from "./dns-servers.ts";
import { someAccount } from "./first-message.ts";
import { ImapClient } from "./imap-client.ts";
import { apply, kubectl, objectIn } from "./kubectl.ts";
import { encryptedMessage, randomName } from "./messages.ts";
import { type Pebble, startPebble } from "./pebble.ts";
import { getServer, namespace, podOf, removeServer } from "./servers.ts";
import { startValidatingResolver } from "./signed-zones.ts";
import { SmtpClient } from "./smtp-client.ts";
import { coreThatTrusts, type TrustingCore } from "./trusting-core.ts";
import { patienceMs, until } from "./until.ts";

export const name = "public";
export const domain = "nine.example.org";
const [zone, parent] = ["example.org", "org"];
const authorities = "public-authorities";
const patience = { patienceMs: patienceMs.pod, everyMs: 100 };
/** The shortest that a spec may have: a new key is published for two of them before it signs. */
const ttlSeconds = 30;

const zoneText = `$TTL ${ttlSeconds}
@ IN SOA ns1.${zone}. hostmaster.${zone}. @SERIAL@ 60 60 60 1
@ IN NS ns1.${zone}.
ns1 IN A ${nameServer}`;

export interface Surroundings {
  /** The root of the authority, in PEM format. */
  root: string;
  /** A Delta Chat that trusts it. */
  core: TrustingCore;
  /** The example as the lab needs it, for `kubectl apply`. */
  server: WrittenServer;
  remove: () => Promise<void>;
}

/** All that is there before anybody applies anything; what an earlier run left is removed. */
export async function openSurroundings(): Promise<Surroundings> {
  await removeServer(name);
  const closing: (() => Promise<unknown>)[] = [];
  const remove = async () => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  try {
    closing.push(() => removeZone(zone));
    await publishZone(zone, zoneText, { signed: true });
    const ds = await until("the keys of the zone", () => delegationSigner(zone), patience);
    closing.push(() => removeZone(parent));
    await publishZone(parent, `${zone}. NS ns1.${zone}.\nns1.${zone}. A ${nameServer}\n${ds}`);
    const resolver = await startValidatingResolver([anchorOf(ds)]);
    closing.push(resolver.remove);
    const pebble = await startPebble({
      address: addresses.gateway,
      nameServer: `${nameServer}:53`,
      httpPort: ports.http,
    });
    closing.push(pebble.stop);
    const root = await pebble.root();
    const core = await coreThatTrusts(root);
    closing.push(async () => core.remove());
    const made = ["secret/dns-key", "secret/chatmail-acme-account", `configmap/${authorities}`];
    closing.push(() => kubectl(["-n", namespace, "delete", "--ignore-not-found", ...made]));
    await apply(
      { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "dns-key", namespace },
        stringData: { secret: updateKey().secret },
      },
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: authorities, namespace },
        data: { "ca.crt": `${pebble.authority}${root}` },
      },
    );
    return { root, core, server: await example(pebble, resolver.address), remove };
  } catch (thrown) {
    await remove();
    throw thrown;
  }
}

/**
 * examples/public.yaml, with what differs in the lab: another authority, the name of the lab's key,
 * special-purpose addresses, and short times.
 */
async function example({ directoryUrl }: Pebble, resolver: string): Promise<WrittenServer> {
  const written = parse(await readFile(new URL("../../examples/public.yaml", import.meta.url), "utf8"));
  const { certificate, dns } = written.spec;
  return {
    ...written,
    spec: {
      ...written.spec,
      certificate: {
        ...certificate,
        acme: { ...certificate.acme, directoryURL: directoryUrl },
        caBundle: { configMapName: authorities },
      },
      dns: {
        ...dns,
        ttlSeconds,
        rfc2136: { ...dns.rfc2136, tsig: { ...dns.rfc2136.tsig, keyName: updateKey().name } },
      },
      network: { privatePeers, dnssecResolvers: [resolver] },
      accounts: onAnyLoad,
    },
  };
}

type Is = (status: ChatmailServerStatus) => boolean;

/** With what its conditions said last. */
function withConditions(cause: unknown, { conditions = [], dkim }: ChatmailServerStatus): Error {
  const said = conditions.map(({ type, status, reason, message }) => `  ${type}=${status} ${reason}: ${message}`);
  return new Error([String(cause), ...said, JSON.stringify(dkim)].join("\n"), { cause });
}

const statusNow = async (): Promise<ChatmailServerStatus> => (await getServer(name)).status ?? {};

/** Waits until its status is so. */
async function statusIs(what: string, is: Is): Promise<ChatmailServerStatus> {
  let last: ChatmailServerStatus = {};
  const found = async () => {
    last = await statusNow();
    return is(last) && last;
  };
  return until(`${name}: ${what}`, found, patience).catch((cause) => {
    throw withConditions(cause, last);
  });
}

const says =
  (type: string, reason: string): Is =>
  ({ conditions }) =>
    conditions?.some((each) => each.type === type && each.reason === reason) ?? false;

/** Every record is at the name server, and the zone is validated: TLSA and CAA are there, too. */
export const recordsAreVerified = (): Promise<ChatmailServerStatus> =>
  statusIs("its records to be verified", (status) => {
    const records = status.dns?.records ?? [];
    const has = (type: string) => records.some((each) => each.type === type && each.state === "Published");
    return says("DNSReady", "RecordsPublished")(status) && ["A", "MX", "TXT", "TLSA", "CAA"].every(has);
  });

/** What each port presents is what the authority has issued: also to who trusts its root alone. */
export async function certificateIsServed(root: string): Promise<ChatmailServerStatus> {
  await statusIs("its certificate to be issued", says("CertificateReady", "CertificateIssued"));
  const seen = () => Promise.all([ports.imaps, ports.submissions, ports.https].map((port) => namesSeenBy(root, port)));
  await until("the certificate at every port", seen, patience);
  return statusIs("its certificate to be served", says("CertificateServed", "CertificateCurrent"));
}

export const isServing = (): Promise<ChatmailServerStatus> =>
  statusIs("to be Ready", (status) => says("Ready", "Serving")(status));

/** Names of the certificate that a client sees that trusts this root alone. */
export function namesSeenBy(root: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: domain, port, servername: domain, ca: root }, () => {
      resolve(socket.getPeerCertificate().subjectaltname ?? "");
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

/** Mails from the relay to another one, each waited for: a mail that is not verified is refused. */
export class CheckedMail {
  readonly #from: ReturnType<typeof someAccount>;
  readonly #to: string;
  readonly #smtp: SmtpClient;
  readonly #inbox: ImapClient;
  /** How many have arrived; none was lost. */
  count = 0;

  private constructor(parts: {
    from: ReturnType<typeof someAccount>;
    to: string;
    smtp: SmtpClient;
    inbox: ImapClient;
  }) {
    this.#from = parts.from;
    this.#to = parts.to;
    this.#smtp = parts.smtp;
    this.#inbox = parts.inbox;
  }

  static async open(to: WrittenServer): Promise<CheckedMail> {
    const [from, reader] = [someAccount(domain), someAccount(to.spec.domain)];
    const inbox = await ImapClient.ready({ host: to.spec.domain, port: ports.imaps }, reader.address, reader.password);
    await inbox.say("SELECT INBOX");
    const smtp = await SmtpClient.ready({ host: domain, port: ports.submissions }, from.address, from.password);
    return new CheckedMail({ from, to: reader.address, smtp, inbox });
  }

  /** One mail; resolves when it is in the inbox. */
  async send(): Promise<void> {
    const [from, to, mark] = [this.#from.address, [this.#to], randomName(12)];
    const reply = await this.#smtp.send({
      from,
      to,
      data: encryptedMessage({ from, to, headers: { "Chat-Mark": mark } }),
    });
    if (reply.code !== 250) throw new Error(`a mail was not accepted: ${reply.text}`);
    const arrived = async () => {
      const { untagged } = await this.#inbox.say(`SEARCH HEADER Chat-Mark ${mark}`);
      return untagged.some((line) => /^\* SEARCH \d/.test(line));
    };
    const wait = { patienceMs: patienceMs.mail, everyMs: 100 };
    await until(`mail ${this.count + 1} to arrive`, arrived, wait).catch(async (cause) => {
      throw new Error(`${String(cause)}\n${(await podOf(name).logs("postfix")).slice(-3_000)}`, { cause });
    });
    this.count++;
  }

  async close(): Promise<void> {
    await this.#smtp.quit();
    await this.#inbox.logout();
  }
}

/** A mail at each look, until the status is so, and some after it. */
async function mailUntil(mail: CheckedMail, what: string, is: Is): Promise<void> {
  let [last, failed]: [ChatmailServerStatus, unknown] = [{}, undefined];
  const next = async () => {
    last = await statusNow();
    if (is(last)) return true;
    failed = await mail.send().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    return failed !== undefined;
  };
  await until(`${name}: ${what}`, next, { patienceMs: patienceMs.pod, everyMs: 1_000 }).catch((cause) => {
    throw withConditions(cause, last);
  });
  if (failed !== undefined) throw withConditions(failed, last);
  for (let nth = 0; nth < 3; nth++) await mail.send();
}

const annotate = (key: string, value: string) =>
  kubectl(["-n", namespace, "annotate", "--overwrite", "chatmailserver", name, `${key}=${value}`]);

const signedBefore = async (): Promise<string> => (await statusNow()).dkim?.signing?.join() ?? "";

/** The relay itself says which keys it signs with; until then the key before is not given up. */
const isTakenOver = ({ dkim }: ChatmailServerStatus) => !/still signs|has not reported/.test(dkim?.message ?? "");

/** A new key takes over by and by, as at the end of a period. Returns both selectors. */
export async function rotateKey(mail: CheckedMail): Promise<{ from: string; to: string }> {
  const from = await signedBefore();
  await annotate(annotations.rotateDkim, randomName(8));
  await mailUntil(mail, "another key to sign", (status) => {
    const { signing = [], keys = [] } = status.dkim ?? {};
    const retires = keys.some(({ selector, state }) => selector === from && state === "Retiring");
    return retires && !signing.includes(from) && isTakenOver(status);
  });
  return { from, to: await signedBefore() };
}

/** A new key takes over at once, and the one before is withdrawn. Returns both selectors. */
export async function replaceCompromisedKey(mail: CheckedMail): Promise<{ from: string; to: string }> {
  const from = await signedBefore();
  await annotate(annotations.dkimCompromised, from);
  await mailUntil(mail, "the compromised key to be gone", (status) => {
    const { signing = [], keys = [] } = status.dkim ?? {};
    return signing.length > 0 && !keys.some(({ selector }) => selector === from) && isTakenOver(status);
  });
  await until(
    "its record to be withdrawn",
    async () => !(await hasRecord(`${from}._domainkey.${domain}.`, "TXT")),
    patience,
  );
  return { from, to: await signedBefore() };
}

async function hasRecord(of: string, type: SeenType): Promise<boolean> {
  const asked = await askServer(
    { host: nameServer, port: 53 },
    { name: of, type },
    { random: (below) => Math.floor(Math.random() * below), timeoutMs: 2_000, tries: 3 },
  );
  if (!("reply" in asked)) throw new Error(asked.says);
  return asked.reply.answers.some((each) => each.name === of && each.type === type);
}

/** Deletes the server, and returns how many of its records were there before, and are left. */
export async function deleteServer(): Promise<{ before: number; left: string[] }> {
  const { records = [] } = (await statusNow()).dns ?? {};
  const owner = { name: `_chatmail-owner.${domain}.`, type: "TXT" };
  const present = async () => {
    const found = await Promise.all(
      [...records, owner].map(async (each) =>
        (await hasRecord(each.name, each.type as SeenType)) ? [`${each.type} ${each.name}`] : [],
      ),
    );
    return found.flat();
  };
  const before = (await present()).length;
  await kubectl(["-n", namespace, "delete", "chatmailserver", name, "--wait=false"]);
  await until(`${name} to be gone`, async () => !(await objectIn(namespace, `cms/${name}`)), patience);
  return { before, left: await present() };
}
