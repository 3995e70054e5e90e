/**
 * The proof that a store loses nothing: a ledger of what was changed past `src/kube` and of what a
 * store was told, and the hands that make the changes. Of each object every version has to be told,
 * or (after a gap that the server can't fill, such as a 410) a later one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { kubeClient } from "../../src/kube/client.ts";
import type { Credentials } from "../../src/kube/credentials.ts";
import { resources } from "../../src/kube/kinds.ts";
import type { KubeObject, Resource } from "../../src/kube/object.ts";
import { type Change, Store } from "../../src/kube/store.ts";
import { keepFilled, type WatchPatience, watchPatience } from "../../src/kube/watch.ts";
import type { ApiServer } from "./api-server.ts";
import { patienceMs, until } from "./until.ts";

/**
 * As in production but for what would take minutes: a dead connection is noticed after two seconds,
 * and lists have several pages.
 */
export const testPatience: WatchPatience = { ...watchPatience, idleMs: 2_000, pageSize: 7 };

export interface Counts {
  made: number;
  /** Told as they were. */
  seen: number;
  /** Not told, but a later version of the same object was, or it came and went unseen. */
  folded: number;
  missed: number;
  /** Told twice, or an older version after a newer, or anything after the deletion. */
  disordered: number;
}

interface Made {
  uid: string;
  /** Of the new version; undefined: deleted. */
  version?: bigint;
}

export class Ledger {
  readonly #made: Made[] = [];
  readonly #told = new Map<string, { versions: bigint[]; deleted: boolean }>();
  readonly #missedUids = new Set<string>();
  #disordered = 0;

  /** How many changes were made until now. */
  get size(): number {
    return this.#made.length;
  }

  made(object: { metadata: { uid?: string; resourceVersion?: string } }, deleted = false): void {
    const { uid = "", resourceVersion = "0" } = object.metadata;
    this.#made.push(deleted ? { uid } : { uid, version: BigInt(resourceVersion) });
  }

  /** What a store's listener hears. */
  readonly told = (change: Change<KubeObject>): void => {
    const { uid = "", resourceVersion = "0" } = change.object.metadata;
    const known = this.#told.get(uid) ?? { versions: [], deleted: false };
    this.#told.set(uid, known);
    const version = BigInt(resourceVersion);
    const last = known.versions.at(-1);
    if (known.deleted) this.#disordered++;
    else if (change.type === "deleted") known.deleted = true;
    else if (last !== undefined && version <= last) this.#disordered++;
    else if ((change.type === "added") !== (last === undefined)) this.#disordered++;
    else known.versions.push(version);
  };

  /** What was made and told of each object with a missed change: to find out why. */
  missed(): string[] {
    return [...this.#missedUids].map((uid) => {
      const made = this.#made.filter((each) => each.uid === uid).map(({ version }) => version ?? "deleted");
      const told = this.#told.get(uid);
      return `${uid}: made ${made.join()}; told ${told ? [...told.versions, ...(told.deleted ? ["deleted"] : [])].join() : "nothing"}`;
    });
  }

  counts(): Counts {
    this.#missedUids.clear();
    const gone = new Set(this.#made.filter(({ version }) => version === undefined).map(({ uid }) => uid));
    const counts: Counts = { made: this.#made.length, seen: 0, folded: 0, missed: 0, disordered: this.#disordered };
    for (const { uid, version } of this.#made) {
      const told = this.#told.get(uid);
      if (version === undefined ? told?.deleted : version !== undefined && has(told?.versions, version)) counts.seen++;
      else if (told === undefined ? gone.has(uid) : told.deleted || after(told.versions, version)) counts.folded++;
      else {
        counts.missed++;
        this.#missedUids.add(uid);
      }
    }
    return counts;
  }
}

/** Versions are told in ascending order. */
const has = (versions: readonly bigint[] | undefined, version: bigint) => versions?.includes(version) ?? false;
const after = (versions: readonly bigint[], version: bigint | undefined) =>
  version !== undefined && (versions.at(-1) ?? 0n) > version;

/**
 * Creates, changes, deletes and makes anew objects of a namespace, one change after the other,
 * until the signal.
 */
export async function makeChanges(options: {
  server: ApiServer;
  plural: "configmaps" | "secrets";
  namespace: string;
  /** Names to play with: `name`-0 … */
  name: string;
  count: number;
  pauseMs: number;
  ledger: Ledger;
  random: () => number;
  signal: AbortSignal;
}): Promise<void> {
  const { server, plural, namespace, name, count, pauseMs, ledger, random, signal } = options;
  const all = `/api/v1/namespaces/${namespace}/${plural}`;
  const known = new Map<string, KubeObject>();
  const path = (of: string) => `${all}/${of}`;
  /** The answer, where it says what came of the change. */
  const asked = async (status: number, ...call: Parameters<ApiServer["request"]>) => {
    const answer = await server.request(...call);
    if (answer.status !== status) throw new Error(`${call[0]} ${call[1]}: ${answer.status}`);
    return answer.body;
  };
  const create = async (of: string) => {
    const metadata = { name: of, labels: { ledger: name } };
    const body = await asked(201, "POST", all, { metadata, data: { text: text(random) } });
    ledger.made(body);
    known.set(of, body);
  };
  const remove = async (of: string, object: KubeObject) => {
    await asked(200, "DELETE", path(of));
    known.delete(of);
    ledger.made(object, true);
  };
  const change = async (of: string) => {
    const patch = { data: { text: text(random) } };
    ledger.made(await asked(200, "PATCH", path(of), patch, "application/merge-patch+json"));
  };
  /**
   * What is there now; asked until there is an answer, for a deletion that nobody knows of would
   * count as a change that was missed.
   */
  const look = async (of: string) => {
    const answer = await server.request("GET", path(of)).catch(() => undefined);
    return answer?.status === 200 || answer?.status === 404 ? answer : undefined;
  };
  while (!signal.aborted) {
    const of = `${name}-${Math.floor(random() * count)}`;
    const dice = random();
    try {
      const object = known.get(of);
      if (!object) await create(of);
      else if (dice < 0.75) await change(of);
      else {
        await remove(of, object);
        if (dice < 0.9) await create(of);
      }
    } catch {
      // What became of it is not known, so the ledger holds only what can be told afterwards.
      const found = await until(`an answer for ${of}`, () => look(of), { patienceMs: patienceMs.pod, everyMs: 50 });
      const before = known.get(of);
      const now = found.status === 200 ? found.body : undefined;
      if (before && now?.metadata.uid !== before.metadata.uid) ledger.made(before, true);
      if (now) known.set(of, now);
      else known.delete(of);
    }
    if (pauseMs > 0) await sleep(pauseMs);
  }
}

/** Some hundred bytes in base64, which are fine as text in a ConfigMap and as data in a Secret. */
const text = (random: () => number) => Buffer.from(String(random()).repeat(10)).toString("base64").replaceAll("=", "A");

export interface Followed {
  store: Store<KubeObject>;
  /** What the reflector said. */
  log: { level: string; message: string; fields: object }[];
  stop: () => Promise<void>;
}

/** A store of `src/kube` that follows one kind in one namespace, as the operator's do. */
export function follow(options: {
  credentials: Credentials;
  resource: Resource;
  namespace: string;
  ledger: Ledger;
  patience?: WatchPatience;
}): Followed {
  const { credentials, resource, namespace, ledger, patience = testPatience } = options;
  const client = kubeClient(credentials, { userAgent: "ledger" });
  const store = new Store<KubeObject>({ scopes: [namespace] });
  store.listen(ledger.told);
  const log: Followed["log"] = [];
  const at = (level: string) => (fields: object, message: string) => void log.push({ level, message, fields });
  const stopping = new AbortController();
  const ended = keepFilled({
    client,
    resource,
    selection: { namespace },
    store,
    signal: stopping.signal,
    log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") },
    patience,
  });
  return {
    store,
    log,
    async stop() {
      stopping.abort(new Error("stopped"));
      await ended;
      client.close();
    },
  };
}

/** Waits until the store holds exactly what the server holds, version by version. */
export async function untilEqual(
  store: Store<KubeObject>,
  of: { server: ApiServer; plural: string; namespace: string },
  withinMs: number = patienceMs.client,
): Promise<void> {
  const line = ({ metadata }: KubeObject) => `${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`;
  let difference = "";
  await until(
    "the store to equal the server",
    async () => {
      const path = `/api/v1/namespaces/${of.namespace}/${of.plural}`;
      const { body } = await of.server.request<{ items: KubeObject[] }>("GET", path);
      const [there, here] = [body.items.map(line).sort(), store.all().map(line).sort()];
      difference = [there.filter((each) => !here.includes(each)), here.filter((each) => !there.includes(each))].join(
        " | ",
      );
      return store.filled && difference === " | ";
    },
    { patienceMs: withinMs },
  ).catch((cause) => {
    throw new Error(`server has | store has: ${difference}`, { cause });
  });
}

export const kinds = { configmaps: resources.configMap, secrets: resources.secret } as const;
