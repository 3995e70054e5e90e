/**
 * The accounts that the relay's own probe uses: made for one message, and known nowhere but in this
 * process. Their names have a character that no other address of the relay may have, so nobody has
 * or gets such a name, and whatever reads addresses by `domains.ts` refuses them: registration,
 * port 25, `/mxdeliv`, mail from users. What they may do is what is written here.
 */
import { randomBytes, randomInt, timingSafeEqual } from "node:crypto";
import { join } from "node:path";
import { addressDomain } from "../../mail/address.ts";
import { type Domains, type LocalAddress, limitsOfDomain } from "../domains.ts";

export interface ProbeAccount {
  address: string;
  password: string;
}

/** Who sends one message, and who gets it; neither can do the other's part. */
export interface ProbePair {
  domain: string;
  sender: ProbeAccount;
  recipient: ProbeAccount;
  /** Dovecot has reported that the message has come. */
  isDelivered: boolean;
}

/** What the filter has to know of a sender. */
export interface ProbeSender {
  account: LocalAddress;
  /** The one address that it may write to. */
  recipient: string;
}

export type ProbeLogin = { kind: "ok"; account: LocalAddress } | { kind: "wrongPassword" };

/** Of the accounts of one service: submission knows senders, IMAP recipients. */
export type ProbeService = "submission" | "imap";

/** The probe connects from the pod itself. */
const here = "127.0.0.1";

/** Not in the local part of any other account (`domains.ts`). */
const prefix = "probe~";

/** Beside the folders of the domains: expiry, which walks those, does not see it. */
export const probeFolder = (mailFolder: string): string => join(mailFolder, ".probe");

export class ProbeAccounts {
  readonly #config: Domains;
  readonly #senders = new Map<string, ProbePair>();
  readonly #recipients = new Map<string, ProbePair>();

  constructor(config: Domains) {
    this.#config = config;
  }

  /** They exist until `close`. */
  open(domain: string): ProbePair {
    const pair = { domain, sender: newAccount(domain), recipient: newAccount(domain), isDelivered: false };
    this.#senders.set(pair.sender.address, pair);
    this.#recipients.set(pair.recipient.address, pair);
    return pair;
  }

  close({ sender, recipient }: ProbePair): void {
    this.#senders.delete(sender.address);
    this.#recipients.delete(recipient.address);
  }

  /** Undefined where the address is none of the probe's: its login is decided elsewhere. */
  login(service: ProbeService, given: ProbeAccount, client: string | undefined): ProbeLogin | undefined {
    const name = given.address.toLowerCase();
    const pair = (service === "imap" ? this.#recipients : this.#senders).get(name);
    const known = service === "imap" ? pair?.recipient : pair?.sender;
    const account = pair && known && this.#accountOf(pair, known);
    if (!account || !known) return undefined;
    const isRight = client === here && same(known.password, given.password);
    return isRight ? { kind: "ok", account } : { kind: "wrongPassword" };
  }

  /** The mailbox of a message that is on its way. */
  mailbox(address: string): LocalAddress | undefined {
    const pair = this.#recipients.get(address.toLowerCase());
    return pair && this.#accountOf(pair, pair.recipient);
  }

  sending(address: string): ProbeSender | undefined {
    const pair = this.#senders.get(address.toLowerCase());
    const account = pair && this.#accountOf(pair, pair.sender);
    return account && { account, recipient: pair.recipient.address };
  }

  /** Dovecot has delivered to this address; false where it is none of the probe's. */
  delivered(address: string): boolean {
    const pair = this.#recipients.get(address.toLowerCase());
    if (pair) pair.isDelivered = true;
    return pair !== undefined;
  }

  /** Where the mailbox of a domain is, whatever its name is at the moment. */
  homeOf(domain: string): string {
    return join(probeFolder(this.#config.mailFolder), domain);
  }

  /** Undefined where the domain is no longer served. */
  #accountOf({ domain }: ProbePair, { address }: ProbeAccount): LocalAddress | undefined {
    const limits = limitsOfDomain(this.#config, domain);
    const local = address.slice(0, address.indexOf("@"));
    return limits && { address, local, domain, limits, home: this.homeOf(domain) };
  }
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";

function newAccount(domain: string): ProbeAccount {
  const name = Array.from({ length: 24 }, () => letters[randomInt(letters.length)]).join("");
  return { address: `${prefix}${name}@${addressDomain(domain)}`, password: randomBytes(24).toString("base64url") };
}

/** A text with the addresses of probes taken out of it, for people. */
export const withoutProbes = (text: string): string =>
  text.replaceAll(/<?probe~[a-z0-9]+@(\[[^\]\s]*\]|[a-z0-9._-]*[a-z0-9])>?/gi, "<probe>");

function same(known: string, given: string): boolean {
  const [one, other] = [Buffer.from(known), Buffer.from(given)];
  return one.length === other.length && timingSafeEqual(one, other);
}
