/** Which versions of what it mounts a running pod may have by now: see sync-pod.ts. */
import { type KubeObject, keyOf } from "../../kube/object.ts";
import type { LivePod } from "./live.ts";

/**
 * What each pod may have mounted by now. A pod that is new to us has what there is: it mounts it as
 * it starts.
 */
export class PodSync {
  readonly #mounted = new Map<string, { uid: string; state: string }>();

  /** Whether something that the pod mounts has changed since we saw it first, or since `noted`. */
  isDue(pod: LivePod, state: string): boolean {
    const known = this.#mounted.get(keyOf(pod));
    if (known?.uid === pod.metadata.uid) return known?.state !== state;
    this.note(pod, state);
    return false;
  }

  note(pod: LivePod, state: string): void {
    this.#mounted.set(keyOf(pod), { uid: pod.metadata.uid ?? "", state });
  }

  forget(pod: KubeObject): void {
    this.#mounted.delete(keyOf(pod));
  }
}
