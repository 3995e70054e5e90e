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

type Make = () => Promise<Texts> | Texts;

/** Of so many Secrets at most, some 2 kB each. */
const mostUnsaved = 1_000;

export class UnsavedKeys {
  /** Also while they are being made. In memory alone. */
  readonly #texts = new BoundedMap<string, Promise<Texts>>(mostUnsaved);

  constructor(servers: Pick<Store<KubeObject>, "listen">) {
    servers.listen(({ type, object }) => {
      if (type !== "deleted") return;
      for (const key of [...this.#texts.keys()]) if (key.startsWith(`${object.metadata.uid} `)) this.#texts.delete(key);
    });
  }

  /** Those that are kept, or new ones. What could not be made is made by the next call. */
  texts(of: Unsaved, make: Make): Promise<Texts> {
    const key = keyFor(of);
    const kept = this.#texts.use(key);
    if (kept) return kept;
    const made = (async () => make())();
    this.#texts.set(key, made);
    made.catch(() => {
      if (this.#texts.get(key) === made) this.#texts.delete(key);
    });
    return made;
  }

  /** Starts to make them, where there are none: `texts` gives them later. */
  begin(of: Unsaved, make: Make): void {
    // an error is told to whoever asks for them, for whom they are made again
    this.texts(of, make).catch(() => undefined);
  }

  forget(of: Unsaved): void {
    this.#texts.delete(keyFor(of));
  }
}

const keyFor = ({ uid, name }: Unsaved) => `${uid} ${name}`;
