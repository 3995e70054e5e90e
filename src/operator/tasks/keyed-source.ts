import type { Source } from "../../kube/source.ts";

/** Work of a background task, by the keys that its listeners are called with. */
export function keyedSource(listeners: Set<(key: string) => void>, all: () => Iterable<string> = () => []): Source {
  return {
    whenFilled: async () => undefined,
    start: (queue) => {
      const listener = (key: string) => queue.add(key, "change");
      listeners.add(listener);
      for (const key of all()) listener(key);
      return () => listeners.delete(listener);
    },
    sweep: () => undefined,
  };
}
