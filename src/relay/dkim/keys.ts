/**
 * Public keys by name, remembered for as long as the DNS says, answers that there is none too. A lookup that fails is not remembered and is
 * never the answer "no key". One lookup at a time for a name, however many mails wait for it.
 */
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

/** Several TXT records at one name are against the RFC; relays of the field look at three. */
const mostRecords = 3;

/** A short memory of "none" is enough against floods, and does not keep out for long a relay that has just published its key. */
const boundsSeconds = { found: { least: 30, most: 86_400 }, none: { least: 5, most: 60 } };

/** So that made-up signatures in a known name cost one lookup in this time and not one each. */
const freshMs = 15_000;

interface Entry {
  answer: KeyAnswer;
  fetchedAt: number;
  endsAt: number;
}

export function createKeyCache({ lookup, now, size = 1000 }: KeyCacheOptions): KeyCache {
  const entries = new Map<string, Entry>();
  const asking = new Map<string, Promise<KeyAnswer>>();

  const ask = async (name: string): Promise<KeyAnswer> => {
    const txt = await lookup(name).catch((): TxtAnswer => ({ kind: "failed", why: "the resolver failed" }));
    const answer = keysOf(txt);
    entries.delete(name);
    if (txt.kind === "failed") return answer;
    // a record without a usable key is a mistake that somebody may be correcting: remembered as shortly as no record
    const { least, most } = boundsSeconds[answer.kind === "keys" ? "found" : "none"];
    const fetchedAt = now();
    const endsAt = fetchedAt + Math.min(most, Math.max(least, txt.ttlSeconds)) * 1000;
    entries.set(name, { answer, fetchedAt, endsAt });
    for (const oldest of entries.keys()) {
      if (entries.size <= size) break;
      entries.delete(oldest);
    }
    return answer;
  };

  const askOnce = (name: string) => {
    const running = asking.get(name);
    if (running) return running;
    const answer = ask(name).finally(() => asking.delete(name));
    asking.set(name, answer);
    return answer;
  };

  return {
    async get(name) {
      const key = name.toLowerCase();
      const entry = entries.get(key);
      if (!entry || entry.endsAt <= now()) return askOnce(key);
      entries.delete(key);
      entries.set(key, entry);
      return entry.answer;
    },
    async getAgain(name) {
      const key = name.toLowerCase();
      const entry = entries.get(key);
      return entry && now() - entry.fetchedAt < freshMs ? entry.answer : askOnce(key);
    },
  };
}

function keysOf(txt: TxtAnswer): KeyAnswer {
  if (txt.kind === "failed") return txt;
  if (txt.kind === "none") return { kind: "none", why: "no key record" };
  const parsed = txt.records.slice(0, mostRecords).map(parseKeyRecord);
  const keys = parsed.flatMap((each) => ("key" in each ? [each.key] : []));
  if (keys.length > 0) return { kind: "keys", keys };
  const [why = "no key record"] = parsed.flatMap((each) => ("problem" in each ? [each.problem] : []));
  return { kind: "none", why };
}
