/**
 * Public keys by name, remembered for as long as the DNS says, answers that there is none too. A
 * lookup that fails is remembered for seconds and is never the answer "no key". One lookup at a
 * time for a name, however many mails wait for it, and few for the names of one domain: whoever
 * sends mail chooses the names, and may have a name server that is silent.
 */
import { BoundedMap } from "../lib/bounded-map.ts";
import { within } from "../lib/within.ts";
import { type PublicKey, parseKeyRecord } from "./key-record.ts";

/** One TXT record is one text, its strings joined, latin1. */
export type TxtAnswer =
  | { kind: "found"; records: readonly string[]; ttlSeconds: number }
  /** The name or a TXT record of it does not exist. */
  | { kind: "none"; ttlSeconds: number }
  | { kind: "failed"; why: string };

/** Asks the DNS; never rejects. */
export type LookupTxt = (name: string) => Promise<TxtAnswer>;

export type KeyAnswer =
  | { kind: "keys"; keys: readonly PublicKey[] }
  | { kind: "none"; why: string }
  | { kind: "failed"; why: string };

export interface KeyCache {
  get(name: string): Promise<KeyAnswer>;
  /** A signature does not fit the key that `get` gave. Asks again, unless the answer is fresh. */
  getAgain(name: string): Promise<KeyAnswer>;
}

export interface KeyCacheOptions {
  lookup: LookupTxt;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Names remembered; the one not used for longest goes first. */
  size?: number;
}

/** Several TXT records at one name are against the RFC; other chatmail relays read three. */
const mostRecords = 3;

/**
 * A short memory of "none" is enough against floods, and does not keep out for long a relay that
 * has just published its key.
 */
const boundsSeconds = { found: { least: 30, most: 86_400 }, none: { least: 5, most: 60 } };

/** So that made-up signatures in a known name cost one lookup in this time and not one each. */
const freshMs = 15_000;

/** Nobody waits longer for a lookup. What comes later is remembered all the same. */
const patienceMs = 3000;
/** A sender that is told to come again does so after some ten seconds at the earliest. */
const failedMs = 10_000;
/** At the same time; a mail has one or two signatures. */
const mostOfDomain = 4;

interface Entry {
  answer: KeyAnswer;
  fetchedAt: number;
  endsAt: number;
}

export function createKeyCache({ lookup, now, size = 1000 }: KeyCacheOptions): KeyCache {
  const entries = new BoundedMap<string, Entry>(size);
  /** Apart from the others, so that nobody's made-up names take the place of keys. */
  const failures = new BoundedMap<string, Entry>(size);
  const asking = new Map<string, Promise<KeyAnswer>>();
  /** Lookups that run, by domain. */
  const running = new Map<string, number>();

  const ask = async (name: string): Promise<KeyAnswer> => {
    const txt = await lookup(name).catch((): TxtAnswer => ({ kind: "failed", why: "the resolver failed" }));
    const answer = keysOf(txt);
    const fetchedAt = now();
    if (txt.kind === "failed") {
      failures.set(name, { answer, fetchedAt, endsAt: fetchedAt + failedMs });
      return answer;
    }
    failures.delete(name);
    // a record without a usable key is a mistake that somebody may be correcting: remembered as
    // shortly as no record
    const { least, most } = boundsSeconds[answer.kind === "keys" ? "found" : "none"];
    const endsAt = fetchedAt + Math.min(most, Math.max(least, txt.ttlSeconds)) * 1000;
    entries.set(name, { answer, fetchedAt, endsAt });
    return answer;
  };

  const start = (name: string, domain: string) => {
    running.set(domain, (running.get(domain) ?? 0) + 1);
    const answer = ask(name).finally(() => {
      asking.delete(name);
      const left = (running.get(domain) ?? 1) - 1;
      if (left > 0) running.set(domain, left);
      else running.delete(domain);
    });
    asking.set(name, answer);
    return answer;
  };

  const askOnce = (name: string): Promise<KeyAnswer> => {
    const failure = failures.get(name);
    if (failure && failure.endsAt > now()) return Promise.resolve(failure.answer);
    const domain = name.replace(/^.*\._domainkey\./s, "");
    const before = asking.get(name);
    if (!before && (running.get(domain) ?? 0) >= mostOfDomain) return Promise.resolve(tooMany);
    return within(before ?? start(name, domain), patienceMs, noAnswer);
  };

  return {
    async get(name) {
      const key = name.toLowerCase();
      const entry = entries.use(key);
      return entry && entry.endsAt > now() ? entry.answer : askOnce(key);
    },
    async getAgain(name) {
      const key = name.toLowerCase();
      const entry = entries.get(key);
      return entry && now() - entry.fetchedAt < freshMs ? entry.answer : askOnce(key);
    },
  };
}

const tooMany: KeyAnswer = { kind: "failed", why: "too many keys of this domain are being looked up" };
const noAnswer: KeyAnswer = { kind: "failed", why: "name server: no answer in time" };

function keysOf(txt: TxtAnswer): KeyAnswer {
  if (txt.kind === "failed") return txt;
  if (txt.kind === "none") return { kind: "none", why: "no key record" };
  const parsed = txt.records.slice(0, mostRecords).map(parseKeyRecord);
  const keys = parsed.flatMap((each) => ("key" in each ? [each.key] : []));
  if (keys.length > 0) return { kind: "keys", keys };
  const [why = "no key record"] = parsed.flatMap((each) => ("problem" in each ? [each.problem] : []));
  return { kind: "none", why };
}
