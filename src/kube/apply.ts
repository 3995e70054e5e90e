/** Server-side apply that compares first: an object that is as wanted is not sent, so at rest nothing is written. */
import { createHash } from "node:crypto";
import type { Client } from "./client.ts";
import { canonical, hasAll, ownsMoreThan, projection } from "./fields.ts";
import { type KubeObject, keyOf, type Resource } from "./object.ts";

export type ApplyResult = { sent: false } | { sent: true; live: KubeObject };

/** Kept instead of the objects themselves, which may be large. */
const digest = (value: unknown) => createHash("sha256").update(canonical(value)).digest("base64");

/** Applies objects as one field manager and remembers what the server made of them. */
export class Applier {
  readonly #client: Client;
  readonly #manager: string;
  /** What was sent, and what its fields became: the server may write a value another way than we do. */
  readonly #sent = new Map<string, { wanted: string; became: string }>();

  constructor(options: { client: Client; fieldManager: string }) {
    this.#client = options.client;
    this.#manager = options.fieldManager;
  }

  /** `live`: the object as last seen. A field that another manager set to another value is taken over where `force`. */
  async apply(
    resource: Resource,
    wanted: KubeObject,
    options: { live: KubeObject | undefined; force: boolean; subresource?: string; signal: AbortSignal },
  ): Promise<ApplyResult> {
    const { live, force, subresource, signal } = options;
    const key = `${resource.plural} ${subresource ?? ""} ${keyOf(wanted)}`;
    if (live && this.#isApplied(key, live, wanted, subresource)) return { sent: false };
    const fieldManager = this.#manager;
    const now = await this.#client.apply(
      resource,
      wanted,
      { fieldManager, force, ...(subresource && { subresource }) },
      signal,
    );
    this.#sent.set(key, { wanted: digest(wanted), became: digest(projection(now, wanted)) });
    return { sent: true, live: now };
  }

  forget(resource: Resource, object: KubeObject): void {
    this.#sent.delete(`${resource.plural}  ${keyOf(object)}`);
  }

  #isApplied(key: string, live: KubeObject, wanted: KubeObject, subresource: string | undefined): boolean {
    const sent = this.#sent.get(key);
    if (sent && sent.wanted === digest(wanted)) return sent.became === digest(projection(live, wanted));
    return hasAll(live, wanted) && !ownsMoreThan(live, wanted, this.#manager, subresource);
  }
}
