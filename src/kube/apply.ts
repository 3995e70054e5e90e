/**
 * Server-side apply that compares first: an object that is as wanted is not sent, so nothing is
 * written while nothing changes.
 */
import { createHash } from "node:crypto";
import { type Client, isApiError } from "./client.ts";
import { doubledLists } from "./doubled.ts";
import { canonical, hasAll, ownsMoreThan, projection } from "./fields.ts";
import { immutableFields, remakeOf } from "./immutable.ts";
import { type KubeObject, keyOf, type Resource } from "./object.ts";
import { ownedFields } from "./owned-fields.ts";

/**
 * `remade`: it had to be deleted, because what changed in it can't be changed; apply again when it
 * is gone.
 */
export type ApplyResult = { sent: false; remade?: true } | { sent: true; live: KubeObject };

/** What `Applier` asks of a `Store`, of whatever kind its objects are. */
export interface ApplyStore {
  at: (key: string) => KubeObject | undefined;
  wrote(object: never): void;
  listen(listener: (change: { type: string; object: KubeObject }) => void): () => void;
}

export interface ApplyOptions {
  /** The object as last seen … */
  live?: KubeObject | undefined;
  /** … or the store that knows it, and is told what was written. */
  store?: ApplyStore | undefined;
  /**
   * A field that another manager set to another value is taken over, and a list whose items
   * somebody changed so that ours do not fit beside them; otherwise that is a conflict (409).
   */
  force?: boolean;
  subresource?: string;
  /**
   * How objects are kept in the store, where their contents are not: both sides are compared in
   * this form. Safe to repeat.
   */
  form?: ((object: KubeObject) => KubeObject) | undefined;
  /**
   * Where fields can't be changed: "remake" by the rule of immutable.ts; without it the server's
   * refusal is thrown.
   */
  whenImmutable?: "remake" | "refuse";
  signal: AbortSignal;
}

/** Kept instead of the objects themselves, which may be large. */
const digest = (value: unknown) => createHash("sha256").update(canonical(value)).digest("base64");

/** Applies objects as one field manager and remembers what the server made of them. */
export class Applier {
  readonly #client: Client;
  readonly #manager: string;
  /**
   * Only of what the server wrote another way than we did: what was sent, and what its fields
   * became.
   */
  readonly #sent = new Map<string, { wanted: string; became: string }>();
  readonly #followed = new WeakSet<ApplyStore>();

  constructor(options: { client: Client; fieldManager: string }) {
    this.#client = options.client;
    this.#manager = options.fieldManager;
  }

  /**
   * Sends `wanted` where it differs from what is known, and tells the store what the server made of
   * it. Throws ApiError: 409 with `conflictsOf`, 422 with `immutableFields` or a fault of the
   * object.
   */
  async apply<T extends KubeObject>(resource: Resource, wanted: T, options: ApplyOptions): Promise<ApplyResult> {
    const { store, force = true, subresource, form = (object) => object, signal } = options;
    const live = options.live ?? store?.at(keyOf(wanted));
    const key = sentKey(resource, wanted, subresource);
    const compared = form(wanted);
    if (live && this.#isApplied(key, form(live), compared, subresource)) return { sent: false };
    const how = { fieldManager: this.#manager, force, ...(subresource && { subresource }) };
    try {
      const now = await this.#client.apply(resource, wanted, how, signal).catch(async (error: unknown) => {
        const lists = force && !subresource ? doubledLists(error, wanted) : undefined;
        if (!live || !lists) throw error;
        await this.#takeLists(resource, live, lists, signal);
        return this.#client.apply(resource, wanted, how, signal);
      });
      const became = form(now);
      if (store) this.#forgetWith(store, resource);
      store?.wrote(now as never);
      // After the store has told of a predecessor that this one replaced.
      if (this.#isAsWanted(became, compared, subresource)) this.#sent.delete(key);
      else this.#sent.set(key, { wanted: digest(compared), became: digest(projection(became, compared)) });
      return { sent: true, live: now };
    } catch (error) {
      const propagation = remakeOf(resource);
      const remakes = options.whenImmutable === "remake" && live && propagation && immutableFields(error);
      if (!remakes) throw error;
      await this.#client.remove(resource, live, signal, { propagation });
      return { sent: false, remade: true };
    }
  }

  /**
   * Deletes what belongs to `owner` (by uid), carries `label`, and is no longer wanted; only in the
   * state that was seen. `seen` are objects of this kind, `wanted` may have others too. Returns
   * what was deleted, or was gone already. Throws a 409 for one that changed since it was seen,
   * such as one that somebody has just adopted: the next run sees what it is now.
   */
  async prune(
    resource: Resource,
    options: { seen: readonly KubeObject[]; owner: { uid: string }; label: { name: string; value: string } } & {
      wanted: readonly KubeObject[];
      signal: AbortSignal;
    },
  ): Promise<KubeObject[]> {
    const gone = superfluous(options);
    for (const object of gone) {
      await this.#client.remove(resource, object, options.signal, { onlyIfUnchanged: true });
      this.forget(resource, object);
    }
    return gone;
  }

  /** Whether `wanted` is what is known, so that nothing would be sent. */
  isApplied(resource: Resource, wanted: KubeObject, live: KubeObject): boolean {
    return this.#isApplied(sentKey(resource, wanted), live, wanted, undefined);
  }

  /**
   * Sets or removes our finalizer and leaves others alone. Resolves to whether something was sent.
   */
  async finalizer(
    resource: Resource,
    object: KubeObject,
    options: { name: string; present: boolean; store?: ApplyStore; signal: AbortSignal },
  ): Promise<boolean> {
    const { name, present, store, signal } = options;
    if ((object.metadata.finalizers ?? []).includes(name) === present) return false;
    if (!present) {
      await this.#removeFinalizer(resource, object, name, signal);
      return true;
    }
    const { apiVersion, kind, metadata } = object;
    // With its uid, so that an object that was deleted meanwhile is not recreated.
    const { namespace, name: of, uid } = metadata;
    const own = { name: of, ...(namespace && { namespace }), ...(uid && { uid }), finalizers: [name] };
    const how = { fieldManager: `${this.#manager}/${name.replaceAll("/", ".")}`.slice(0, 128), force: true };
    const now = await this.#client.apply(resource, { apiVersion, kind, metadata: own }, how, signal);
    store?.wrote(now as never);
    return true;
  }

  /**
   * By a patch of the version that was read. Server-side apply would leave one that somebody else
   * has applied too, such as a restored backup, and take those away that nobody has applied, such
   * as `orphan`, which a deletion sets. Without its last finalizer a deleted object is gone; the
   * watch tells.
   */
  async #removeFinalizer(resource: Resource, object: KubeObject, name: string, signal: AbortSignal): Promise<void> {
    const { namespace, name: of, uid } = object.metadata;
    const at = { ...(namespace && { namespace }), name: of };
    for (let tries = 1; ; tries++) {
      const now = await this.#client.get(resource, at, signal);
      const finalizers = now?.metadata.finalizers ?? [];
      if (!now || now.metadata.uid !== uid || !finalizers.includes(name)) return;
      const { resourceVersion } = now.metadata;
      const metadata = { resourceVersion, finalizers: finalizers.filter((each) => each !== name) };
      try {
        await this.#client.merge(resource, at, { metadata }, signal);
        return;
      } catch (error) {
        if (isApiError(error, 404)) return;
        if (!isApiError(error, 409) || tries >= 5) throw error;
      }
    }
  }

  /** Of how many objects it is remembered what the server made of them. */
  get remembered(): number {
    return this.#sent.size;
  }

  /** What is remembered of an object. By itself where a store tells that it is gone. */
  forget(resource: Resource, object: KubeObject): void {
    this.#sent.delete(sentKey(resource, object));
    this.#sent.delete(sentKey(resource, object, "status"));
  }

  /** Only in the state that was seen. */
  async #takeLists(resource: Resource, live: KubeObject, lists: object, signal: AbortSignal): Promise<void> {
    const { namespace, name, resourceVersion } = live.metadata;
    const at = { ...(namespace && { namespace }), name };
    await this.#client.merge(resource, at, { ...lists, metadata: { resourceVersion } }, signal);
  }

  #isApplied(key: string, live: KubeObject, wanted: KubeObject, subresource: string | undefined): boolean {
    const sent = this.#sent.get(key);
    if (sent && sent.wanted === digest(wanted)) return sent.became === digest(projection(live, wanted));
    return this.#isAsWanted(live, wanted, subresource);
  }

  #isAsWanted(live: KubeObject, wanted: KubeObject, subresource: string | undefined): boolean {
    const owned = ownedFields(live, this.#manager, subresource);
    return hasAll(live, wanted, owned) && !ownsMoreThan(live, wanted, this.#manager, subresource);
  }

  #forgetWith(store: ApplyStore, resource: Resource): void {
    if (this.#followed.has(store)) return;
    this.#followed.add(store);
    store.listen(({ type, object }) => {
      if (type === "deleted") this.forget(resource, object);
    });
  }
}

const sentKey = (resource: Resource, object: KubeObject, subresource = "") =>
  `${resource.group} ${resource.plural} ${subresource} ${keyOf(object)}`;

/** What of `seen` belongs to the owner, carries the label, and is not among `wanted`. Pure. */
export function superfluous(options: {
  seen: readonly KubeObject[];
  owner: { uid: string };
  label: { name: string; value: string };
  wanted: readonly KubeObject[];
}): KubeObject[] {
  const { seen, owner, label } = options;
  const named = (object: KubeObject) => `${object.kind} ${keyOf(object)}`;
  const wanted = new Set(options.wanted.map(named));
  return seen.filter(
    (object) =>
      object.metadata.labels?.[label.name] === label.value &&
      object.metadata.ownerReferences?.some((reference) => reference.controller && reference.uid === owner.uid) &&
      object.metadata.deletionTimestamp === undefined &&
      !wanted.has(named(object)),
  );
}
