/**
 * The keys that our own domains sign with, read from the Secret's folder. A domain that is to sign
 * and has no key takes no mail: nothing goes out unsigned. What is missing is looked for again
 * whenever readiness is asked for, since a Secret may be completed while the pod runs. A rotation
 * is followed: it changes which keys sign, and the next mail is signed with those.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import {
  createSigner,
  type SignatureHeader,
  type Signer,
  type Signing,
  type SigningKey,
  signingKey,
} from "../../dkim/sign.ts";
import { codeOf, messageOf } from "../../lib/text.ts";
import { keyFileOf, rotationFile, signingSelectors } from "../../pod/dkim.ts";
import type { RelayConfig } from "../../pod/relay-config.ts";
import * as events from "../events.ts";
import type { Metrics } from "../metrics.ts";

export interface OwnSigning extends Pick<Signing, "header" | "body"> {
  /** Throws HeadersTooLarge. */
  end(): Promise<SignatureHeader[]>;
}

export interface OwnKeysOptions {
  config: Pick<RelayConfig, "dkim">;
  metrics: Metrics;
  log: Logger;
  now: () => number;
}

interface ReadKeys {
  signer: Signer;
  keys: readonly SigningKey[];
  selectors: readonly string[];
  /** Of the folder as it was read. */
  mark: string | undefined;
  /** The operator says which keys sign. */
  isSaid: boolean;
}

type DomainKeys = ReadKeys | { problem: string };

const followEveryMs = 1_000;

export class OwnKeys {
  readonly #options: OwnKeysOptions;
  readonly #ofDomain = new Map<string, DomainKeys>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: OwnKeysOptions) {
    this.#options = options;
    this.problems();
  }

  /**
   * By domain, which key is missing and why. Reads again what is missing, and forgets domains that
   * are no longer served.
   */
  problems(): Record<string, string> {
    const { dkim } = this.#options.config;
    for (const domain of this.#ofDomain.keys()) if (!Object.hasOwn(dkim, domain)) this.#ofDomain.delete(domain);
    const problems = Object.keys(dkim).flatMap((domain) => {
      const keys = this.#keysOf(domain);
      return "problem" in keys ? [[domain, keys.problem] as const] : [];
    });
    return Object.fromEntries(problems);
  }

  /**
   * Undefined for a domain that does not sign; throws where the key is missing. `isCounted`: the
   * message is a user's.
   */
  begin(domain: string, isCounted = true): OwnSigning | undefined {
    if (!Object.hasOwn(this.#options.config.dkim, domain)) return undefined;
    const keys = this.#ofDomain.get(domain) ?? this.#keysOf(domain);
    if ("problem" in keys) throw new Error(keys.problem);
    const signing = keys.signer.begin();
    return {
      header: (name, value) => signing.header(name, value),
      body: (chunk) => signing.body(chunk),
      end: async () => {
        const signatures = await signing.end(domain);
        if (isCounted) this.#options.metrics.of(domain).count("dkim_signed", {}, signatures.length);
        return signatures;
      },
    };
  }

  /**
   * Takes up which keys sign, where the operator says so in the Secret (`rotationFile`): then their
   * records are published. What else changes there is for the next start: an unknown key is in no
   * record, and a selector never gets another key. Where the new ones can't be used, the domain
   * goes on with those that it has.
   */
  follow(): void {
    for (const [domain, known] of this.#ofDomain) {
      const folder = this.#options.config.dkim[domain];
      if (!("signer" in known) || folder === undefined) continue;
      const mark = markOf(folder);
      if (mark === undefined || mark === known.mark) continue;
      const read = this.#read(domain, folder);
      const problem = "problem" in read ? read.problem : replacedKey(domain, known, read);
      if (problem === undefined && "signer" in read && read.isSaid) {
        this.#ofDomain.set(domain, read);
        if (read.selectors.join() !== known.selectors.join())
          events.signingKeyFound(this.#options.log, domain, read.selectors);
        continue;
      }
      this.#ofDomain.set(domain, { ...known, mark });
      if (problem !== undefined) events.signingKeyRefused(this.#options.log, domain, problem);
    }
  }

  /** Follows by the clock, as certificates are followed. */
  start(): void {
    this.#timer ??= setInterval(() => this.follow(), followEveryMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** By domain, the selectors that its mail is signed with. */
  signing(): Record<string, readonly string[]> {
    const known = [...this.#ofDomain].flatMap(([domain, keys]) =>
      "signer" in keys && Object.hasOwn(this.#options.config.dkim, domain) ? [[domain, keys.selectors] as const] : [],
    );
    return Object.fromEntries(known);
  }

  #keysOf(domain: string): DomainKeys {
    const known = this.#ofDomain.get(domain);
    if (known && "signer" in known) return known;
    const read = this.#read(domain, this.#options.config.dkim[domain] ?? "");
    if ("problem" in read && (!known || known.problem !== read.problem)) {
      events.signingKeyMissing(this.#options.log, domain, read.problem);
    }
    if ("signer" in read) events.signingKeyFound(this.#options.log, domain, read.selectors);
    this.#ofDomain.set(domain, read);
    return read;
  }

  #read(domain: string, folder: string): DomainKeys {
    const { now } = this.#options;
    // what changes from here on is another mark
    const mark = markOf(folder);
    const version = linkIn(folder);
    // the links to single files are made and removed one after another
    const place = version === undefined ? folder : join(folder, version);
    const read = (file: string) => {
      try {
        return readFileSync(join(place, file), "utf8");
      } catch (thrown) {
        throw new Error(`${join(folder, file)} can't be read: ${codeOf(thrown) ?? messageOf(thrown)}`, {
          cause: thrown,
        });
      }
    };
    try {
      const files = readdirSync(place);
      const selectors = signingSelectors(files, read);
      const isSaid = files.includes(rotationFile);
      const found = selectors.map((selector) => keyFrom(domain, selector, folder, read));
      const problems = found.flatMap((each) => ("problem" in each ? [each.problem] : []));
      const keys = found.flatMap((each) => ("problem" in each ? [] : [each]));
      // many servers verify no other
      const isEnough = keys.some(({ key }) => key.asymmetricKeyType === "rsa");
      const [problem] = problems;
      // where nobody says which files are keys, some may be something else
      if (problem !== undefined && (isSaid || !isEnough)) return { problem };
      if (!isEnough) return { problem: `${folder} has no RSA key` };
      return {
        signer: createSigner({ keys, now }),
        keys,
        selectors: keys.map(({ selector }) => selector),
        mark,
        isSaid,
      };
    } catch (thrown) {
      const code = codeOf(thrown);
      return { problem: code === undefined ? messageOf(thrown) : `${folder} can't be read: ${code}` };
    }
  }
}

/** Why these keys can't take the place of those: its record still has the one before. */
function replacedKey(domain: string, before: ReadKeys, after: ReadKeys): string | undefined {
  const other = after.keys.find(({ selector, key }) =>
    before.keys.some((each) => each.selector === selector && !each.key.equals(key)),
  );
  return other && `the key ${other.selector} of ${domain} was replaced by another`;
}

function keyFrom(
  domain: string,
  selector: string,
  folder: string,
  read: (file: string) => string,
): SigningKey | { problem: string } {
  const privateKey = read(keyFileOf(selector));
  try {
    return signingKey({ domain, selector, privateKey });
  } catch (thrown) {
    return { problem: `${join(folder, keyFileOf(selector))}: ${messageOf(thrown)}` };
  }
}

/**
 * Another one when the Secret has changed: the kubelet swaps the link `..data` then, and only then.
 * Elsewhere the folder's own time. Undefined where there is no folder.
 */
function markOf(folder: string): string | undefined {
  return linkIn(folder) ?? statSync(folder, { bigint: true, throwIfNoEntry: false })?.mtimeNs.toString();
}

/** The folder with the files of a mounted Secret as it is now. */
function linkIn(folder: string): string | undefined {
  try {
    return readlinkSync(join(folder, "..data"));
  } catch {
    return undefined;
  }
}
