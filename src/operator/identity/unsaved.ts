/** What was made for an identity until the API server has accepted it. */
import type { KubeObject } from "../../kube/object.ts";
import type { Store } from "../../kube/store.ts";
import { BoundedMap } from "../../lib/bounded-map.ts";
import type { IdentityName, Texts } from "./table.ts";

interface Unsaved {
  uid: string;
  /** "nextDkim": the keys that are to take the place of those that sign. */
  name: IdentityName | "nextDkim";
}

/** Of so many Secrets at most, some 2 kB each. */
const mostUnsaved = 1_000;

export class UnsavedKeys {
  readonly #texts = new BoundedMap<string, Texts>(mostUnsaved);

  constructor(servers: Pick<Store<KubeObject>, "listen">) {
    servers.listen(({ type, object }) => {
      if (type !== "deleted") return;
      for (const key of [...this.#texts.keys()]) if (key.startsWith(`${object.metadata.uid} `)) this.#texts.delete(key);
    });
  }

  /** Those that are kept, or new ones. */
  async texts(of: Unsaved, make: () => Promise<Texts> | Texts): Promise<Texts> {
    const key = keyFor(of);
    const kept = this.#texts.use(key);
    if (kept) return kept;
    const made = await make();
    this.#texts.set(key, made);
    return made;
  }

  forget(of: Unsaved): void {
    this.#texts.delete(keyFor(of));
  }
}

const keyFor = ({ uid, name }: Unsaved) => `${uid} ${name}`;
