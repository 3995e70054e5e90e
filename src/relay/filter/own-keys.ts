/**
 * The keys that our own domains sign with, read from the Secret's folder. A domain that is to sign
 * and has no key takes no mail: nothing goes out unsigned. What is missing is looked for again
 * whenever readiness is asked for, since a Secret may be completed while the pod runs.
 */
import { readFileSync } from "node:fs";
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

type DomainKeys = { signer: Signer } | { problem: string };

export class OwnKeys {
  readonly #options: OwnKeysOptions;
  readonly #ofDomain = new Map<string, DomainKeys>();

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

  #keysOf(domain: string): DomainKeys {
    const known = this.#ofDomain.get(domain);
    if (known && "signer" in known) return known;
    const read = this.#read(domain);
    if ("problem" in read && (!known || known.problem !== read.problem)) {
      events.signingKeyMissing(this.#options.log, domain, read.problem);
    }
    this.#ofDomain.set(domain, read);
    return read;
  }

  #read(domain: string): DomainKeys {
    const { config, log, now } = this.#options;
    const keys: SigningKey[] = [];
    for (const { selector, file, optional } of config.dkim[domain] ?? []) {
      try {
        keys.push(signingKey({ domain, selector, privateKey: readFileSync(file) }));
      } catch (thrown) {
        const code = codeOf(thrown);
        if (optional && code === "ENOENT") continue;
        return { problem: code === undefined ? `${file}: ${messageOf(thrown)}` : `${file} can't be read: ${code}` };
      }
    }
    if (keys.length === 0) return { problem: `${domain} has no DKIM key` };
    events.signingKeyFound(
      log,
      domain,
      keys.map((each) => each.selector),
    );
    return { signer: createSigner({ keys, now }) };
  }
}
