/**
 * Background task: which certificate each port of a relay pod presents, compared with the one that
 * it has to. Asked when the pod becomes ready and when another certificate is wanted, often until
 * all ports present it, and every hour when all do. A result that differs from the one before it
 * triggers a reconcile.
 *
 * The pod itself is asked, at its own address: a load balancer in front passes TLS through, may not
 * be reached from inside of the cluster, and may be one that the operator has no account of.
 */
import { isAddressLiteral } from "../../api/domain.ts";
import { sha256Of } from "../../certificates/pair.ts";
import { type Presenter, presentedBy } from "../../certificates/presented.ts";
import { type Run, runController } from "../../kube/controller.ts";
import type { Log } from "../../kube/log.ts";
import type { Source } from "../../kube/source.ts";
import type { Metrics } from "../../lib/metrics.ts";
import { messageOf } from "../../lib/text.ts";
import { ports } from "../../mail/ports.ts";
import { keyedSource } from "./keyed-source.ts";

export interface WantedServed {
  /** UID of the pod. */
  podUid: string;
  /** Its address. */
  host: string;
  domain: string;
  /** Of the certificate that is to be presented; hexadecimal, lower-case. */
  sha256: string;
  /**
   * Other certificates that may be presented to whom names no domain: those of other domains of the
   * pod.
   */
  others?: readonly string[];
  proxyProtocol: boolean;
  /** Port 443 has to be told who the client is, whatever holds for the others. */
  edge?: true;
}

/** Unreachable: TLS does not come about. */
export type ServedState = "Current" | "Outdated" | "Unreachable";

export interface ServedPort {
  port: number;
  state: ServedState;
  /** Of what is presented; of the first to end where there are two. */
  notBefore?: Date;
  notAfter?: Date;
  /** What is wrong, in words that do not change by themselves. */
  why?: string;
}

export interface ServedStatus {
  ports: readonly ServedPort[];
  of: WantedServed;
}

interface Known {
  wanted: WantedServed;
  text: string;
  status?: ServedStatus;
  /** Looks in a row after which not all was right. */
  wrong: number;
}

interface Asked extends Pick<Presenter, "startTls"> {
  port: number;
}

/** Where clients and other relays use TLS. */
export const tlsPorts: readonly Asked[] = [
  { port: ports.smtp, startTls: "smtp" },
  { port: ports.imap, startTls: "imap" },
  { port: ports.https },
  { port: ports.submissions },
  { port: ports.submission, startTls: "smtp" },
  { port: ports.imaps },
];

const soonestMs = 1_000;
const latestMs = 300_000;
const restMs = 3_600_000;
const withinMs = 10_000;
const workers = 8;
/** A program that is started again is away for a moment. */
const failuresUntilUnreachable = 3;

export class ServedCertificates {
  readonly #port: (port: number) => number;
  readonly #known = new Map<string, Known>();
  readonly #wantedListeners = new Set<(key: string) => void>();
  readonly #statusListeners = new Set<(key: string) => void>();

  /** `portOf`: where a port of the pod is found; by default, it is that port. */
  constructor({ portOf = (port: number) => port } = {}) {
    this.#port = portOf;
  }

  /** Undefined until the ports of this pod have been asked. */
  of(key: string): ServedStatus | undefined {
    return this.#known.get(key)?.status;
  }

  /** Undefined: there is nothing to ask, or nobody wants to know. */
  want(key: string, wanted: WantedServed | undefined): void {
    if (!wanted) {
      this.#known.delete(key);
      return;
    }
    const text = JSON.stringify(wanted);
    const known = this.#known.get(key);
    if (known?.text === text) return;
    const isSamePod = known?.wanted.podUid === wanted.podUid;
    this.#known.set(key, { wanted, text, wrong: 0, ...(isSamePod && known.status && { status: known.status }) });
    for (const listener of this.#wantedListeners) listener(key);
  }

  /** The first end of what the ports of a server present, by its key. */
  *ends(): Generator<[key: string, notAfter: Date]> {
    for (const [key, { status }] of this.#known) {
      const end = status && firstEnd(status.ports);
      if (end) yield [key, end];
    }
  }

  /** Changes of what is known, as work of the servers by their keys. */
  source(): Source {
    return keyedSource(this.#statusListeners);
  }

  /** Resolves when the signal is aborted; connections that are open then are closed. */
  run(options: { signal: AbortSignal; log: Log; metrics?: Metrics }): Promise<void> {
    return runController({
      ...options,
      name: "served-certificate",
      workers,
      sources: [keyedSource(this.#wantedListeners, () => this.#known.keys())],
      reconcile: async (key, run) => ({ againMs: await this.#look(key, run) }),
    });
  }

  /** Returns when to look again, in milliseconds. */
  async #look(key: string, { signal, log }: Run): Promise<number | undefined> {
    const known = this.#known.get(key);
    if (!known) return undefined;
    const { wanted, status: before } = known;
    const found = await Promise.all(tlsPorts.map((asked) => this.#ask(asked, wanted, signal)));
    if (signal.aborted || this.#known.get(key)?.wanted !== wanted) return undefined;
    const isRight = found.every(({ state }) => state === "Current");
    const wrong = isRight ? 0 : known.wrong + 1;
    if (!isRight) log.debug({ found, wrong }, "certificate not served as it has to be");
    const ported = found.map((now) => settled(now, before?.of === wanted ? before : undefined, wrong));
    const isSame = before?.of === wanted && JSON.stringify(before.ports) === JSON.stringify(ported);
    this.#known.set(key, { ...known, wrong, status: isSame ? before : { ports: ported, of: wanted } });
    if (!isSame) for (const listener of this.#statusListeners) listener(key);
    const ms = isRight ? restMs : Math.min(latestMs, soonestMs * 1.3 ** wrong);
    return ms * (0.75 + Math.random() * 0.5);
  }

  async #ask({ port, startTls }: Asked, wanted: WantedServed, signal: AbortSignal): Promise<ServedPort> {
    const { host, domain, sha256, others = [], edge = false } = wanted;
    const proxyProtocol = wanted.proxyProtocol || (edge && port === ports.https);
    const within = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
    const at = { host, port: this.#port(port), startTls, proxyProtocol };
    // an address is named by nobody (RFC 6066 §3)
    const names = isAddressLiteral(domain) ? [undefined] : [domain, undefined];
    const shown: { notBefore: Date; notAfter: Date }[] = [];
    const wrong: string[] = [];
    try {
      for (const name of names) {
        const certificate = await presentedBy({ ...at, name }, within);
        const digest = sha256Of(certificate);
        const isRight = digest === sha256 || (name === undefined && others.includes(digest));
        const [notBefore, notAfter] = [new Date(certificate.validFrom), new Date(certificate.validTo)];
        // one of another domain is that domain's matter
        if (digest === sha256 || !isRight) shown.push({ notBefore, notAfter });
        if (!isRight) wrong.push(`${name === undefined ? "without a name" : `for ${name}`}: ${digest}`);
      }
    } catch (thrown) {
      const why = within.aborted && !signal.aborted ? `no TLS within ${withinMs / 1_000} s` : messageOf(thrown);
      return { port, state: "Unreachable", why };
    }
    const [first, second = first] = shown;
    const ends = first && second && (first.notAfter < second.notAfter ? first : second);
    return wrong.length > 0
      ? { port, state: "Outdated", ...ends, why: wrong.join(", ") }
      : { port, state: "Current", ...ends };
  }
}

/** What is said of a port: as it was, while it is away for a moment. */
function settled(now: ServedPort, before: ServedStatus | undefined, wrong: number): ServedPort {
  if (now.state !== "Unreachable" || wrong >= failuresUntilUnreachable) return now;
  return before?.ports.find(({ port }) => port === now.port) ?? now;
}

/** The first end of what is presented. */
export function firstEnd(of: readonly ServedPort[]): Date | undefined {
  const ends = of.flatMap(({ notAfter }) => notAfter ?? []);
  return ends.length > 0 ? new Date(Math.min(...ends.map((date) => date.getTime()))) : undefined;
}
